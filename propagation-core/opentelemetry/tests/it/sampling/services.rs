//! Several services, each with a bridge and a sampler of its own: each reads the decision of the one before.

use std::{collections::HashMap, time::Duration};

use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use propagation_core::{
    Formats, Hop, InboundRule, Outcome, Peer, Policy, PropagationContext, Propagator, SpanKind, TraceContext,
    TraceTrust, Transport,
};
use propagation_opentelemetry::{
    OpenTelemetryBridge, OpenTelemetryPropagator,
    sampling::{AlwaysOff, AlwaysOn, CompositeSampler, LinksBased, RateLimited, Rule, RuleBased, Threshold},
};

use super::probability;
use crate::wire::{PARENT, open_policy};

type Headers = Vec<(String, Vec<u8>)>;

/// One service.
struct Service {
    propagator: Propagator,
    provider: SdkTracerProvider,
    exporter: InMemorySpanExporter,
    tracing: bool,
}

impl Service {
    fn new(sampler: CompositeSampler) -> Self {
        Self::build(sampler, "tracecontext", open_policy(), false)
    }

    /// With spans of `tracing`.
    #[cfg(feature = "tracing")]
    fn tracing(sampler: CompositeSampler) -> Self {
        Self::build(sampler, "tracecontext", open_policy(), true)
    }

    fn build(sampler: CompositeSampler, formats: &str, policy: Policy, tracing: bool) -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider =
            SdkTracerProvider::builder().with_sampler(sampler).with_simple_exporter(exporter.clone()).build();
        let builder = Propagator::builder().policy(policy).formats(formats.parse::<Formats>().unwrap());
        #[cfg(feature = "tracing")]
        if tracing {
            let bridge = propagation_opentelemetry::TracingBridge::new();
            return Self { propagator: builder.bridge(bridge).build(), provider, exporter, tracing };
        }
        let bridge = OpenTelemetryBridge::new(provider.tracer("service"));
        Self { propagator: builder.bridge(bridge).build(), provider, exporter, tracing }
    }

    /// Handles a message: a server span, a span of the user's in it, and a call whose headers are the answer.
    fn handle(&self, received: &Headers) -> Headers {
        let run = || {
            let admission = self.propagator.extract(&Peer::caller(Transport::HTTP), received);
            let hop = self.propagator.start(Hop::admitted(SpanKind::Server, admission).named("server"));
            let sent = hop.in_scope(|| self.inside());
            hop.end(&Outcome::Unset);
            sent
        };
        self.in_subscriber(run)
    }

    /// With this service's spans of `tracing`, where it makes them.
    #[cfg_attr(not(feature = "tracing"), expect(clippy::unused_self, reason = "there is no subscriber then"))]
    fn in_subscriber<R>(&self, run: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tracing")]
        if self.tracing {
            use tracing_subscriber::layer::SubscriberExt;
            let layer = tracing_opentelemetry::layer().with_tracer(self.provider.tracer("service"));
            return tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), run);
        }
        run()
    }

    fn inside(&self) -> Headers {
        if self.tracing {
            return tracing::info_span!("user").in_scope(|| self.call());
        }
        self.provider.tracer("user").in_span("user", |_| self.call())
    }

    fn call(&self) -> Headers {
        let client = self.propagator.start(Hop::local(SpanKind::Client, self.propagator.current()).named("client"));
        let mut sent = Headers::new();
        self.propagator.inject(&Peer::http("api"), client.context(), &mut sent);
        client.end(&Outcome::Unset);
        sent
    }

    /// The spans that were exported since the last time.
    fn exported(&self) -> Vec<SpanData> {
        let spans = self.exporter.get_finished_spans().unwrap();
        self.exporter.reset();
        spans
    }
}

fn headers(fields: &[(&str, &str)]) -> Headers {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

fn field<'a>(headers: &'a Headers, name: &str) -> &'a str {
    headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| std::str::from_utf8(value).unwrap())
}

fn is_sampled(headers: &Headers) -> bool {
    let flags = u8::from_str_radix(field(headers, "traceparent").rsplit_once('-').unwrap().1, 16).unwrap();
    flags & 1 == 1
}

/// Each bridge.
fn each(check: impl Fn(fn(CompositeSampler) -> Service)) {
    check(Service::new);
    #[cfg(feature = "tracing")]
    check(Service::tracing);
}

#[test]
fn all_services_follow_the_first_decision_and_threshold() {
    each(|service| {
        let first = service(CompositeSampler::parent_based(probability(0.5)));
        // Would keep nothing by itself.
        let second = service(CompositeSampler::parent_based(AlwaysOff));
        let mut kept = 0;
        for _ in 0..200 {
            let sent = first.handle(&Headers::new());
            let passed_on = second.handle(&sent);
            for headers in [&sent, &passed_on] {
                assert_eq!(is_sampled(headers), is_sampled(&sent));
                assert_eq!(field(headers, "tracestate"), if is_sampled(&sent) { "ot=th:8" } else { "" });
                assert_eq!(field(headers, "traceparent")[3..35], field(&sent, "traceparent")[3..35]);
            }
            let (spans, theirs) = (first.exported(), second.exported());
            let expected = if is_sampled(&sent) { 3 } else { 0 };
            assert_eq!((spans.len(), theirs.len()), (expected, expected), "whole traces or none");
            for span in spans.iter().chain(&theirs) {
                assert_eq!(span.span_context.trace_state().header(), "ot=th:8", "as the Collector reads it");
            }
            kept += usize::from(is_sampled(&sent));
        }
        // Seven standard deviations.
        assert!((50..150).contains(&kept), "{kept}");
    });
}

#[test]
fn independent_services_sample_nested_sets_of_traces() {
    each(|service| {
        let [half, quarter] = [0.5, 0.25].map(|share| service(CompositeSampler::probability(share).unwrap()));
        let mut both = 0;
        for _ in 0..200 {
            let sent = half.handle(&Headers::new());
            let passed_on = quarter.handle(&sent);
            assert!(is_sampled(&sent) || !is_sampled(&passed_on));
            let state = if is_sampled(&passed_on) { "ot=th:c" } else { "" };
            assert_eq!(field(&passed_on, "tracestate"), state, "each writes its own");
            both += usize::from(is_sampled(&passed_on));
        }
        assert!((10..100).contains(&both), "{both}");
    });
}

#[test]
fn other_members_and_sub_keys_pass_while_a_false_threshold_goes() {
    each(|service| {
        let service = service(CompositeSampler::parent_based(AlwaysOff));
        for (state, goes_on) in [
            ("congo=1,ot=x:y;th:8;rv:ce929d0e0e4736,rojo=2", "congo=1,ot=x:y;th:8;rv:ce929d0e0e4736,rojo=2"),
            ("congo=1,ot=x:y;th:d", "ot=x:y,congo=1"),
            // Keys that OpenTelemetry's own type refuses, and Level 2 allows.
            ("a@much-longer-than-fourteen=1,ot=th:8", "a@much-longer-than-fourteen=1,ot=th:8"),
            ("a@much-longer-than-fourteen=1,ot=th:d", "a@much-longer-than-fourteen=1"),
        ] {
            let sent = service.handle(&headers(&[("traceparent", PARENT), ("tracestate", state)]));
            assert_eq!((is_sampled(&sent), field(&sent, "tracestate")), (true, goes_on));
        }
    });
}

#[test]
fn explicit_randomness_of_the_caller_decides() {
    each(|service| {
        let service = service(CompositeSampler::probability(0.5).unwrap());
        for (randomness, kept) in [("00000000000001", false), ("ffffffffffffff", true)] {
            for others in ["", ",congo=1", ",a@much-longer-than-fourteen=1"] {
                let state = format!("ot=rv:{randomness}{others}");
                let sent = service.handle(&headers(&[("traceparent", PARENT), ("tracestate", &state)]));
                let threshold = if kept { "th:8;" } else { "" };
                assert_eq!(is_sampled(&sent), kept, "{state}");
                assert_eq!(field(&sent, "tracestate"), format!("ot={threshold}rv:{randomness}{others}"));
            }
        }
    });
}

#[test]
fn where_the_caller_left_it_open_the_root_sampler_decides() {
    let accept = || Policy::builder().inbound(InboundRule::peers(["*"]).trust(TraceTrust::IdsOnly)).build().unwrap();
    let xray = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=?";
    let b3 = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    for tracing in [false, cfg!(feature = "tracing")] {
        for (share, kept) in [(0.5, true), (0.1, false)] {
            for (formats, policy, received) in [
                ("tracecontext", accept(), headers(&[("traceparent", PARENT), ("tracestate", "ot=th:d;x:y")])),
                ("tracecontext", accept(), headers(&[("traceparent", &PARENT.replace("-01", "-00"))])),
                ("tracecontext,xray", open_policy(), headers(&[("x-amzn-trace-id", xray)])),
                ("tracecontext,b3", open_policy(), headers(&[("b3", b3)])),
            ] {
                let sampler = CompositeSampler::parent_based(probability(share));
                let service = Service::build(sampler, formats, policy, tracing);
                let sent = service.handle(&received);
                assert_eq!(&field(&sent, "traceparent")[3..35], "4bf92f3577b34da6a3ce929d0e0e4736");
                assert_eq!(is_sampled(&sent), kept, "{share} {received:?}");
                assert_eq!(field(&sent, "tracestate").starts_with("ot=th:8"), kept, "{share} {received:?}");
            }
        }
    }
}

#[test]
fn deferred_decision_is_made_once_for_all_spans_inside() {
    let b3 = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    for tracing in [false, cfg!(feature = "tracing")] {
        let one = RateLimited::new(0.1, AlwaysOn).unwrap().with_clock(|| Duration::ZERO);
        let sampler = CompositeSampler::parent_based(one);
        let service = Service::build(sampler, "b3,tracecontext", open_policy(), tracing);
        assert!(is_sampled(&service.handle(&headers(&[("b3", b3)]))));
        assert_eq!(service.exported().len(), 3, "all of it, with one token");
        assert!(!is_sampled(&service.handle(&headers(&[("b3", b3)]))));
        assert_eq!(service.exported().len(), 0);
    }
}

#[test]
fn debug_is_sampled_and_forwarded_by_every_sampler() {
    let ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d";
    for tracing in [false, cfg!(feature = "tracing")] {
        for sampler in [CompositeSampler::new(AlwaysOff), CompositeSampler::parent_based(AlwaysOff)] {
            for received in [headers(&[("b3", ids)]), headers(&[("b3", "d")])] {
                let service = Service::build(sampler.clone(), "b3,tracecontext", open_policy(), tracing);
                let sent = service.handle(&received);
                assert!(field(&sent, "b3").ends_with("-d"), "{received:?} {sent:?}");
                assert_eq!(field(&sent, "tracestate"), "");
            }
        }
    }
}

#[test]
fn debug_passes_a_rate_limit_and_takes_no_token() {
    let limited = RateLimited::new(1.0, AlwaysOn).unwrap().with_clock(|| Duration::ZERO);
    let service = Service::build(CompositeSampler::parent_based(limited), "b3,tracecontext", open_policy(), false);
    assert!((0..5).all(|_| is_sampled(&service.handle(&headers(&[("b3", "d")])))));
    let others: Vec<_> = (0..3).map(|_| is_sampled(&service.handle(&headers(&[])))).collect();
    assert_eq!(others, [true, false, false]);
}

#[test]
fn decision_of_a_caller_does_not_leak_to_inner_messages() {
    let sampler = || CompositeSampler::parent_based(RuleBased::new().rule(Rule::new().priority(), AlwaysOn));
    for tracing in [false, cfg!(feature = "tracing")] {
        let service = Service::build(sampler(), "b3,tracecontext", open_policy(), tracing);
        let nested = |received: &Headers| {
            let outer = service.propagator.extract(&Peer::caller(Transport::HTTP), &headers(&[("b3", "d")]));
            let outer = service.propagator.start(Hop::admitted(SpanKind::Server, outer));
            let sent = outer.in_scope(|| {
                let inner = service.propagator.extract(&Peer::caller(Transport::HTTP), received);
                let inner = service.propagator.start(Hop::admitted(SpanKind::Consumer, inner));
                let sampled = inner.context().trace.flags().is_sampled();
                inner.end(&Outcome::Unset);
                sampled
            });
            assert!(outer.context().trace.flags().is_sampled());
            outer.end(&Outcome::Unset);
            sent
        };
        let no = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";
        assert!(!service.in_subscriber(|| nested(&headers(&[("b3", no)]))));
        assert!(!service.in_subscriber(|| nested(&headers(&[("b3", &no[..no.len() - 2])]))), "left open");
    }
}

#[test]
fn a_yes_or_no_without_ids_is_followed() {
    let [never, always] = [CompositeSampler::parent_based(AlwaysOff), CompositeSampler::parent_based(AlwaysOn)];
    for (decision, sampler, kept) in [("1", never, true), ("0", always, false)] {
        let service = Service::build(sampler, "b3,tracecontext", open_policy(), false);
        assert_eq!(is_sampled(&service.handle(&headers(&[("b3", decision)]))), kept, "{decision}");
    }
}

#[test]
fn rules_see_the_priority_and_the_baggage_that_came_in() {
    let rules = || {
        let rules = RuleBased::new().rule(Rule::new().priority(), AlwaysOn);
        CompositeSampler::new(rules.rule(Rule::new().baggage("tenant.tier", "gold"), AlwaysOn))
    };
    let service = Service::build(rules(), "datadog,tracecontext,baggage", open_policy(), false);
    let datadog = |priority| {
        headers(&[("x-datadog-trace-id", "5"), ("x-datadog-parent-id", "6"), ("x-datadog-sampling-priority", priority)])
    };
    for (received, kept) in [
        (datadog("2"), true),
        (datadog("1"), false),
        (datadog("-1"), false),
        (headers(&[("baggage", "tenant.tier=gold")]), true),
        (headers(&[("baggage", "tenant.tier=free")]), false),
    ] {
        service.handle(&received);
        let server = service.exported().into_iter().any(|span| span.name == "server");
        assert_eq!(server, kept, "{received:?}");
    }
}

#[test]
fn a_batch_with_one_sampled_message_in_it_is_kept() {
    each(|service| {
        let service = service(CompositeSampler::parent_based(LinksBased::new(AlwaysOff)));
        let message =
            |flags: &str| -> TraceContext { TraceContext::new(PARENT.replace("-01", flags).parse().unwrap()) };
        for (links, kept) in [
            (vec![message("-00"), message("-01")], true),
            (vec![message("-00"), message("-00")], false),
            (vec![], false),
        ] {
            let process = || {
                let hop = Hop::remote(SpanKind::Consumer, PropagationContext::EMPTY).linked(links.clone());
                let hop = service.propagator.start(hop);
                let sampled = hop.context().trace.flags().is_sampled();
                hop.end(&Outcome::Unset);
                sampled
            };
            assert_eq!(service.in_subscriber(process), kept);
        }
    });
}

#[test]
fn text_map_propagator_carries_decision_and_threshold() {
    let xray = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=";
    for (share, decision, kept) in [(0.5, "?", true), (0.1, "?", false), (0.1, "1", true), (0.5, "0", false)] {
        let sampler = CompositeSampler::parent_based(probability(share));
        let service = Service::build(sampler, "xray,tracecontext", open_policy(), false);
        let propagator = OpenTelemetryPropagator::new(service.propagator.clone());
        let received = HashMap::from([("x-amzn-trace-id".to_owned(), format!("{xray}{decision}"))]);
        let context = propagator.extract_with_context(&Context::new(), &received);
        let span = service.provider.tracer("user").start_with_context("span", &context);
        let mut sent = HashMap::new();
        propagator.inject_context(&context.with_span(span), &mut sent);
        assert!(sent["x-amzn-trace-id"].ends_with(if kept { "Sampled=1" } else { "Sampled=0" }), "{share} {decision}");
        let state = sent.get("tracestate").map(String::as_str);
        assert_eq!(state, (kept && decision == "?").then_some("ot=th:8"), "{share} {decision}");
    }
}

#[test]
fn an_outsider_at_the_edge_has_no_say_in_sampling() {
    let never =
        || CompositeSampler::parent_based(LinksBased::new(RuleBased::new().rule(Rule::new().priority(), AlwaysOn)));
    let b3 = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d";
    let datadog = [("x-datadog-trace-id", "5"), ("x-datadog-parent-id", "6"), ("x-datadog-sampling-priority", "2")];
    for tracing in [false, cfg!(feature = "tracing")] {
        for (formats, received) in [
            ("tracecontext", headers(&[("traceparent", PARENT), ("tracestate", "ot=th:0;rv:ffffffffffffff")])),
            ("tracecontext,b3", headers(&[("b3", b3)])),
            ("tracecontext,b3", headers(&[("b3", "d")])),
            ("tracecontext,b3", headers(&[("b3", "1")])),
            ("tracecontext,datadog", headers(&datadog)),
        ] {
            let service = Service::build(never(), formats, Policy::edge(), tracing);
            let sent = service.handle(&received);
            assert!(!is_sampled(&sent), "{received:?}");
            assert_eq!((field(&sent, "tracestate"), service.exported().len()), ("", 0), "{received:?}");
        }
        // Nor can the caller deny sampling.
        let service = Service::build(CompositeSampler::parent_based(AlwaysOn), "tracecontext", Policy::edge(), tracing);
        let sent = service.handle(&headers(&[("traceparent", &PARENT.replace("-01", "-00"))]));
        assert_eq!((is_sampled(&sent), field(&sent, "tracestate")), (true, "ot=th:0"));
    }
}

#[test]
fn the_threshold_that_went_out_is_the_share_that_was_kept() {
    let service = Service::new(CompositeSampler::parent_based(probability(0.1)));
    let sent: Vec<_> = (0..2_000).map(|_| service.handle(&Headers::new())).filter(is_sampled).collect();
    let threshold = |sent: &Headers| -> Threshold { field(sent, "tracestate")["ot=th:".len()..].parse().unwrap() };
    let stood_for: f64 = sent.iter().map(|sent| threshold(sent).adjusted_count()).sum();
    assert!((1_000.0..3_000.0).contains(&stood_for), "{stood_for}");
}
