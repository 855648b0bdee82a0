//! Samplers and span limits from environment variables.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry::{
    Context, Key,
    trace::{Span, Tracer},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{InMemorySpanExporter, InMemorySpanExporterBuilder, Sampler, SpanData, SpanExporter},
};
use propagation_core::{Exception, Hop, Outcome, Peer, PropagationContext, Propagator, SpanKind, Transport};
use propagation_opentelemetry::{
    sampling::CompositeSampler,
    setup::{Setup, Telemetry},
};

use super::parent;
use crate::wire::PARENT;

type Variables = &'static [(&'static str, &'static str)];

fn setup(variables: Variables) -> (Setup, InMemorySpanExporter) {
    let exporter = InMemorySpanExporterBuilder::new().build();
    let look_up = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    (Setup::new("orders").variables(look_up).exporter(exporter.clone()), exporter)
}

fn started(variables: Variables) -> (Telemetry, InMemorySpanExporter) {
    let (setup, exporter) = setup(variables);
    (setup.build().unwrap(), exporter)
}

/// Whether a root and children of these parents are sampled, and with which tracestate.
fn decisions(telemetry: &Telemetry) -> [(bool, String); 3] {
    let tracer = telemetry.tracer("test");
    [Context::new(), parent(true, true, "ot=th:8"), parent(false, true, "")].map(|context| {
        let span = tracer.start_with_context("span", &context);
        (span.span_context().is_sampled(), span.span_context().trace_state().header())
    })
}

#[test]
fn each_name_is_the_sampler_it_says() {
    const ALL: &str = "ot=th:0";
    for (name, argument, [root, sampled, not_sampled]) in [
        ("always_on", "", [(true, ""), (true, "ot=th:8"), (true, "")]),
        ("always_off", "", [(false, ""), (false, "ot=th:8"), (false, "")]),
        ("traceidratio", "0", [(false, ""), (false, "ot=th:8"), (false, "")]),
        ("parentbased_always_on", "", [(true, ""), (true, "ot=th:8"), (false, "")]),
        ("parentbased_always_off", "", [(false, ""), (true, "ot=th:8"), (false, "")]),
        ("ParentBased_ALWAYS_off", "", [(false, ""), (true, "ot=th:8"), (false, "")]),
        ("parentbased_traceidratio", "1", [(true, ""), (true, "ot=th:8"), (false, "")]),
        ("consistent_probability", "", [(true, ALL), (true, ALL), (true, ALL)]),
        ("consistent_probability", "1.0", [(true, ALL), (true, ALL), (true, ALL)]),
        ("parentbased_consistent_probability", "", [(true, ALL), (true, "ot=th:8"), (false, "")]),
        ("parentbased_consistent_probability", "0", [(false, ""), (true, "ot=th:8"), (false, "")]),
        ("adaptive", "1e6", [(true, ALL), (true, ALL), (true, ALL)]),
        ("parentbased_adaptive", "1e6", [(true, ALL), (true, "ot=th:8"), (false, "")]),
        ("parentbased_rate_limited", "1e6", [(true, ""), (true, "ot=th:8"), (false, "")]),
        ("parentbased_links_based", "", [(true, ALL), (true, "ot=th:8"), (false, "")]),
        ("parentbased_links_based", "0", [(false, ""), (true, "ot=th:8"), (false, "")]),
    ] {
        let (setup, _) = setup(&[]);
        let look_up = move |variable: &str| match variable {
            "OTEL_TRACES_SAMPLER" => Some(name.to_owned()),
            "OTEL_TRACES_SAMPLER_ARG" => Some(argument.to_owned()),
            _ => None,
        };
        let telemetry = setup.variables(look_up).build().unwrap();
        let expected = [root, sampled, not_sampled].map(|(kept, state)| (kept, state.to_owned()));
        assert_eq!(decisions(&telemetry), expected, "{name} {argument}");
    }
}

#[test]
fn root_sampler_of_any_name_decides_a_deferred_trace() {
    for (sampler, kept) in [("parentbased_always_off", false), ("parentbased_always_on", true)] {
        let (setup, _) = setup(&[]);
        let look_up = move |variable: &str| match variable {
            "OTEL_TRACES_SAMPLER" => Some(sampler.to_owned()),
            "OTEL_PROPAGATORS" => Some("xray".to_owned()),
            _ => None,
        };
        let telemetry = setup.variables(look_up).build().unwrap();
        let propagator = telemetry.propagator();
        let open = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=?";
        let hop = Hop::admitted(SpanKind::Server, caller(&propagator, &[("x-amzn-trace-id", open)]));
        assert_eq!(propagator.start(hop).context().trace.sampling.decided(), Some(kept), "{sampler}");
    }
}

#[test]
fn a_share_given_by_a_variable_is_kept() {
    let (telemetry, _) = started(&[
        ("OTEL_TRACES_SAMPLER", "parentbased_consistent_probability"),
        ("OTEL_TRACES_SAMPLER_ARG", " 0.25 "),
    ]);
    let tracer = telemetry.tracer("test");
    let kept = (0..4_000).filter(|_| tracer.start_with_context("root", &Context::new()).span_context().is_sampled());
    // Seven standard deviations.
    assert!((800..1_200).contains(&kept.count()));
}

#[test]
fn sampler_of_the_code_applies_without_a_variable() {
    let share = || CompositeSampler::probability(1.0).unwrap();
    let (code, _) = setup(&[]);
    assert_eq!(decisions(&code.sampler(share()).build().unwrap())[0], (true, "ot=th:0".into()));
    let (variable, _) = setup(&[("OTEL_TRACES_SAMPLER", "always_off")]);
    assert!(!decisions(&variable.sampler(share()).build().unwrap())[0].0);
    let (stock, _) = setup(&[]);
    assert!(!decisions(&stock.sampler(Sampler::AlwaysOff).build().unwrap())[0].0);
}

#[test]
fn a_rate_without_a_number_is_refused() {
    for name in ["parentbased_rate_limited", "adaptive", "parentbased_adaptive"] {
        let (setup, _) = setup(&[]);
        let look_up = move |variable: &str| (variable == "OTEL_TRACES_SAMPLER").then(|| name.to_owned());
        let error = setup.strict().variables(look_up).build().unwrap_err().to_string();
        assert!(error.starts_with("OTEL_TRACES_SAMPLER_ARG is not set"), "{error}");
    }
}

fn caller(propagator: &Propagator, headers: &[(&str, &str)]) -> propagation_core::Admission {
    let received: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    propagator.extract(&Peer::caller(Transport::HTTP), &received)
}

#[test]
fn failures_of_unsampled_traces_are_exported_on_request() {
    const NOTHING: Variables =
        &[("OTEL_TRACES_SAMPLER", "parentbased_consistent_probability"), ("OTEL_TRACES_SAMPLER_ARG", "0")];
    for (wanted, variables, sampled, names) in [
        (true, NOTHING, false, &["failed"] as &[_]),
        (false, NOTHING, false, &[]),
        (true, &[], true, &["passed", "failed"]),
        (true, &[("OTEL_SDK_DISABLED", "true")], false, &[]),
    ] {
        let (setup, exporter) = setup(variables);
        let telemetry = if wanted { setup.keep_errors() } else { setup }.build().unwrap();
        let propagator = telemetry.propagator();
        let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, outcome) in [("passed", Outcome::Unset), ("failed", Outcome::error("503"))] {
            let hop = Hop::remote(SpanKind::Server, PropagationContext::EMPTY).named(name).with("key", "value");
            let hop = propagator.start(hop);
            propagator.inject(&Peer::http("api"), hop.context(), &mut sent);
            assert_eq!(hop.context().trace.flags().is_sampled(), sampled, "what goes out is the sampler's word");
            hop.end(&outcome);
        }
        let spans = exporter.get_finished_spans().unwrap();
        assert_eq!(spans.iter().map(|span| &*span.name).collect::<Vec<_>>(), names, "{wanted} {variables:?}");
        for span in spans.iter().filter(|span| span.name == "failed") {
            assert!(span.span_context.is_sampled() && span.attributes.iter().any(|found| found.key.as_str() == "key"));
            assert_eq!(span.span_context.trace_state().header(), "");
        }
    }
}

#[test]
fn kept_failure_has_no_threshold() {
    let (setup, exporter) = setup(&[("OTEL_TRACES_SAMPLER", "always_off")]);
    let telemetry = setup.keep_errors().build().unwrap();
    let propagator = telemetry.propagator();
    let received = caller(&propagator, &[("traceparent", PARENT), ("tracestate", "congo=1,ot=th:8;x:y")]);
    propagator.start(Hop::admitted(SpanKind::Server, received)).end(&Outcome::error("503"));
    let span = &exporter.get_finished_spans().unwrap()[0];
    assert_eq!(span.span_context.trace_state().header(), "ot=x:y,congo=1");
    assert_eq!(span.span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
}

/// The calls of an exporter other than `export`.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<Mutex<Vec<String>>>);

impl SpanExporter for Calls {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.0.lock().unwrap().push("shutdown".into());
        Ok(())
    }
    fn set_resource(&mut self, resource: &Resource) {
        let service = resource.get(&Key::from_static_str("service.name")).unwrap();
        self.0.lock().unwrap().push(service.to_string());
    }
}

#[test]
fn wrapped_exporter_receives_resource_and_shutdown() {
    for keep_errors in [false, true] {
        let calls = Calls::default();
        let setup = Setup::new("orders").variables(|_| None).exporter(calls.clone());
        let telemetry = if keep_errors { setup.keep_errors() } else { setup }.build().unwrap();
        telemetry.provider().shutdown().unwrap();
        assert_eq!(*calls.0.lock().unwrap(), ["orders", "shutdown"]);
    }
}

#[test]
fn limits_apply_to_events_links_and_their_attributes() {
    let (telemetry, exporter) = started(&[
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "1"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "1"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1"),
    ]);
    let propagator = telemetry.propagator();
    let trace = caller(&propagator, &[("traceparent", PARENT)]).context.trace;
    let hop = Hop::remote(SpanKind::Consumer, PropagationContext::EMPTY).linked(vec![trace.clone(), trace]);
    let hop = propagator.start(hop.with("a", 1_i64).with("b", 1_i64).with("c", 1_i64).with("d", 1_i64));
    hop.set_attribute("e", 1_i64);
    hop.end(&Outcome::raised(Exception::of(&std::fmt::Error)));
    let span = &exporter.get_finished_spans().unwrap()[0];
    assert_eq!((span.attributes.len(), span.links.links.len(), span.events.events.len()), (3, 1, 1));
    assert_eq!(span.events.events[0].attributes.len(), 1);
    assert!(span.dropped_attributes_count >= 2 && span.links.dropped_count == 1);

    let (telemetry, exporter) = started(&[("OTEL_ATTRIBUTE_COUNT_LIMIT", "0")]);
    telemetry
        .propagator()
        .start(Hop::remote(SpanKind::Server, PropagationContext::EMPTY).with("a", 1_i64))
        .end(&Outcome::Unset);
    assert!(exporter.get_finished_spans().unwrap()[0].attributes.is_empty(), "zero is a limit, too");
}

#[test]
fn attribute_texts_are_cut_to_the_limit_in_characters() {
    for (variables, kept) in [
        (&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")] as Variables, "h\u{e9}\u{20ac}"),
        (&[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3"), ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1")], "h"),
        (&[("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "0")], ""),
        (&[("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")], "h\u{e9}\u{20ac}lo"),
        (&[], "h\u{e9}\u{20ac}lo"),
    ] {
        let (telemetry, exporter) = started(variables);
        let text = || "h\u{e9}\u{20ac}lo".to_owned();
        let hop = Hop::remote(SpanKind::Server, PropagationContext::EMPTY).with("text", text());
        let hop = hop.with("texts", vec![text(), "x".into()]).with("number", 123_456_i64);
        telemetry.propagator().start(hop).end(&Outcome::raised(Exception::new("type").with_message(text())));
        let span = &exporter.get_finished_spans().unwrap()[0];
        let value = |key: &str| {
            let found = span.attributes.iter().find(|found| found.key.as_str() == key);
            found.unwrap().value.to_string()
        };
        let first = kept.chars().count().min(1);
        assert_eq!(value("text"), kept);
        assert_eq!(value("texts"), format!("[\"{kept}\",\"{}\"]", &"x"[..first]));
        assert_eq!(value("number"), "123456");
        let event = &span.events.events[0].attributes;
        let message = event.iter().find(|found| found.key.as_str() == "exception.message").unwrap();
        assert_eq!(message.value.to_string(), kept);
    }
}

#[test]
fn disabled_sdk_forwards_the_decision_without_a_sampler() {
    for headers in [
        [("traceparent", PARENT), ("tracestate", "congo=1,ot=th:8;x:y")],
        [("traceparent", &PARENT.replace("-01", "-00")), ("tracestate", "ot=rv:00000000000001")],
    ] {
        let (telemetry, exporter) =
            started(&[("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_SAMPLER", "consistent_probability")]);
        let propagator = telemetry.propagator();
        let hop = propagator.start(Hop::remote(SpanKind::Server, caller(&propagator, &headers).context));
        let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
        propagator.inject(&Peer::http("api"), hop.context(), &mut sent);
        hop.end(&Outcome::Unset);
        let sent: Vec<_> = sent.iter().map(|(name, value)| (&**name, std::str::from_utf8(value).unwrap())).collect();
        assert_eq!(sent, headers);
        assert!(exporter.get_finished_spans().unwrap().is_empty());
    }
}

#[test]
fn disabled_propagation_carries_and_exports_nothing() {
    let (telemetry, exporter) = started(&[("PROPAGATION_DISABLED", "true")]);
    let propagator = telemetry.propagator();
    let hop = Hop::remote(SpanKind::Server, caller(&propagator, &[("traceparent", PARENT)]).context);
    let hop = propagator.start(hop);
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    propagator.inject(&Peer::http("api"), hop.context(), &mut sent);
    hop.end(&Outcome::Unset);
    assert!(sent.is_empty(), "{sent:?}");
    assert!(exporter.get_finished_spans().unwrap().is_empty());
}
