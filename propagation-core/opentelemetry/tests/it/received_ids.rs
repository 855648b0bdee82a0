//! Trace-ids that came without a parent-id, in the spans of a bridge.
#![cfg(all(feature = "tracing", feature = "sdk"))]

use std::time::Duration;

use opentelemetry::{
    Context, Value,
    propagation::TextMapPropagator,
    trace::{SpanId, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::{
    IdGenerator, InMemorySpanExporter, RandomIdGenerator, Sampler, SdkTracerProvider, ShouldSample, SpanData,
};
use propagation_core::{
    Formats, Hop, InboundRule, Outcome, Peer, Policy, PropagationContext, Propagator, SpanKind, StoredContext,
    TraceTrust, Transport,
    messaging::{self, ExistingContext, ParentMode, Processing},
};
use propagation_opentelemetry::{
    OpenTelemetryBridge, OpenTelemetryPropagator, ReceivedIdGenerator, TracingBridge,
    sampling::{AlwaysOff, AlwaysOn, CompositeSampler},
};
use tracing_subscriber::layer::SubscriberExt;

use crate::{propagator::Headers, wire::open_policy};

const TRACE: &str = "67891233abcdef012345678912345678";
const ROOT: &str = "Root=1-67891233-abcdef012345678912345678";

struct Setup {
    propagator: Propagator,
    provider: SdkTracerProvider,
    exporter: InMemorySpanExporter,
}

impl Setup {
    /// Handles a request with these headers in a server span, and returns the headers that a client span inside it sends.
    fn serve(&self, headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let received: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let admission = self.propagator.extract(&Peer::caller(Transport::HTTP), &received);
        let server = self.propagator.start(Hop::admitted(SpanKind::Server, admission).named("server"));
        let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
        server.in_scope(|| {
            let client = self.propagator.start(Hop::local(SpanKind::Client, self.propagator.current()).named("client"));
            self.propagator.inject(&Peer::http("api"), client.context(), &mut sent);
            client.end(&Outcome::Unset);
        });
        server.end(&Outcome::Unset);
        sent.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
    }

    fn spans(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().unwrap()
    }

    fn span(&self, name: &str) -> SpanData {
        self.spans().into_iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"))
    }
}

/// Runs a check with each bridge over a provider with these parts.
fn with_each(
    generator: &(impl IdGenerator + Clone + 'static),
    sampler: &(impl ShouldSample + Clone + 'static),
    check: impl Fn(&Setup),
) {
    for tracing in [false, true] {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_id_generator(generator.clone())
            .with_sampler(sampler.clone())
            .with_simple_exporter(exporter.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));
        let builder = Propagator::builder()
            .policy(open_policy())
            .formats("tracecontext,xray,datadog,gcp".parse::<Formats>().unwrap());
        let builder = if tracing {
            builder.bridge(TracingBridge::new())
        } else {
            builder.bridge(OpenTelemetryBridge::new(provider.tracer("shop")))
        };
        let setup = Setup { propagator: builder.build(), provider, exporter };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || check(&setup));
    }
}

fn received(span: &SpanData) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == "propagation.received.trace_id")?;
    let Value::String(text) = &found.value else { panic!("{found:?}") };
    Some(text.to_string())
}

fn always() -> Sampler {
    Sampler::ParentBased(Box::new(Sampler::AlwaysOn))
}

#[test]
fn the_root_span_takes_the_received_trace_id() {
    let low = u64::from_str_radix(&TRACE[16..], 16).unwrap().to_string();
    let gcp = format!("{TRACE}/0;o=1");
    for headers in [
        vec![("x-amzn-trace-id", ROOT)],
        vec![("x-amzn-trace-id", "Parent=;Sampled=1;Root=1-67891233-abcdef012345678912345678")],
        vec![
            ("x-datadog-trace-id", low.as_str()),
            ("x-datadog-parent-id", "0"),
            ("x-datadog-origin", "synthetics"),
            ("x-datadog-tags", "_dd.p.tid=67891233abcdef01"),
        ],
        vec![("x-cloud-trace-context", &gcp)],
    ] {
        with_each(&ReceivedIdGenerator::default(), &always(), |setup| {
            let sent = setup.serve(&headers);
            let (server, client) = (setup.span("server"), setup.span("client"));
            assert_eq!(server.span_context.trace_id().to_string(), TRACE, "{headers:?}");
            assert_eq!(server.parent_span_id, SpanId::INVALID);
            assert!(!server.parent_span_is_remote && server.links.is_empty() && received(&server).is_none());
            assert_eq!(client.parent_span_id, server.span_context.span_id());
            let parent = format!("00-{TRACE}-{}-01", client.span_context.span_id());
            assert!(sent.contains(&("traceparent".to_owned(), parent)), "{sent:?}");
        });
    }
}

#[test]
fn another_generator_makes_the_id_an_attribute() {
    with_each(&RandomIdGenerator::default(), &always(), |setup| {
        setup.serve(&[("x-amzn-trace-id", ROOT)]);
        let server = setup.span("server");
        assert_ne!(server.span_context.trace_id().to_string(), TRACE);
        assert_eq!(received(&server).as_deref(), Some(TRACE));
        assert!(server.links.is_empty());
        assert_eq!(received(&setup.span("client")), None);
    });
}

#[test]
fn only_the_hop_takes_the_received_id() {
    with_each(&ReceivedIdGenerator::default(), &always(), |setup| {
        setup.serve(&[("x-amzn-trace-id", ROOT)]);
        setup.provider.tracer("user").start("unrelated");
        setup.serve(&[]);
        let others: Vec<_> = setup
            .spans()
            .into_iter()
            .filter(|span| span.span_context.trace_id().to_string() != TRACE)
            .map(|span| span.name)
            .collect();
        assert_eq!(others, ["unrelated", "client", "server"]);
    });
}

#[test]
fn the_decision_that_came_with_the_id_is_honoured() {
    let off = || Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
    for (fields, kept) in [(";Sampled=1", true), (";Sampled=0", false)] {
        let header = format!("{ROOT}{fields}");
        let check = |setup: &Setup| {
            let sent = setup.serve(&[("x-amzn-trace-id", &header)]);
            assert_eq!(setup.spans().len(), if kept { 2 } else { 0 }, "{fields}");
            let (_, parent) = sent.iter().find(|(name, _)| name == "traceparent").unwrap();
            assert!(parent.starts_with(&format!("00-{TRACE}-")), "{fields}: {parent}");
            assert!(parent.ends_with(if kept { "-01" } else { "-00" }), "{fields}: {parent}");
        };
        for sampler in [always(), off()] {
            with_each(&ReceivedIdGenerator::default(), &sampler, check);
        }
        for root in [true, false] {
            let make = || {
                if root { CompositeSampler::parent_based(AlwaysOn) } else { CompositeSampler::parent_based(AlwaysOff) }
            };
            with_each(&ReceivedIdGenerator::default(), &Shared(std::sync::Arc::new(make())), check);
        }
    }
}

/// The SDK's providers clone samplers.
#[derive(Clone, Debug)]
struct Shared(std::sync::Arc<CompositeSampler>);

impl ShouldSample for Shared {
    fn should_sample(
        &self,
        context: Option<&Context>,
        trace_id: opentelemetry::trace::TraceId,
        name: &str,
        kind: &opentelemetry::trace::SpanKind,
        attributes: &[opentelemetry::KeyValue],
        links: &[opentelemetry::trace::Link],
    ) -> opentelemetry_sdk::trace::SamplingResult {
        self.0.should_sample(context, trace_id, name, kind, attributes, links)
    }
}

#[test]
fn an_open_decision_is_the_samplers() {
    for (sampler, kept) in [(always(), true), (Sampler::ParentBased(Box::new(Sampler::AlwaysOff)), false)] {
        with_each(&ReceivedIdGenerator::default(), &sampler, |setup| {
            let sent = setup.serve(&[("x-amzn-trace-id", ROOT)]);
            assert_eq!(!setup.spans().is_empty(), kept);
            assert!(sent[0].1.starts_with(&format!("00-{TRACE}-")), "{sent:?}");
        });
    }
}

#[test]
fn origin_and_tags_pass_a_root_span() {
    with_each(&ReceivedIdGenerator::default(), &always(), |setup| {
        let sent = setup.serve(&[
            ("x-datadog-trace-id", "5"),
            ("x-datadog-parent-id", "0"),
            ("x-datadog-sampling-priority", "2"),
            ("x-datadog-origin", "synthetics"),
            ("x-datadog-tags", "_dd.p.dm=-4"),
        ]);
        let found = |name: &str| sent.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.as_str());
        assert_eq!(found("x-datadog-trace-id"), "5");
        assert_ne!(found("x-datadog-parent-id"), "0");
        assert_eq!((found("x-datadog-origin"), found("x-datadog-sampling-priority")), ("synthetics", "2"), "{sent:?}");
        assert_eq!(found("x-datadog-tags"), "_dd.p.dm=-4");
        assert_eq!(found("tracestate"), "dd=s:2;o:synthetics;t.dm:-4");
    });
}

#[test]
fn an_attached_extraction_hands_the_id_to_user_spans() {
    let provider = SdkTracerProvider::builder().with_id_generator(ReceivedIdGenerator::default()).build();
    let formats = "xray".parse::<Formats>().unwrap();
    let propagator = OpenTelemetryPropagator::new(Propagator::builder().policy(open_policy()).formats(formats).build());
    let context = propagator
        .extract_with_context(&Context::new(), &Headers::new(&[("x-amzn-trace-id", &format!("{ROOT};Sampled=1"))]));
    let mut unchanged = Headers::default();
    propagator.inject_context(&context, &mut unchanged);
    assert_eq!(unchanged, Headers::new(&[("x-amzn-trace-id", &format!("{ROOT};Sampled=1"))]));

    let attached = context.attach();
    let span = provider.tracer("app").start("user");
    let inside = Context::current_with_span(span);
    assert_eq!(inside.span().span_context().trace_id().to_string(), TRACE);
    drop(attached);
}

/// A message with a trace-id and no parent-id.
fn message() -> Vec<(String, Vec<u8>)> {
    vec![("x-amzn-trace-id".to_owned(), format!("{ROOT};Sampled=1").into_bytes())]
}

fn policy(trust: TraceTrust) -> Policy {
    Policy::builder().inbound(InboundRule::peers(["kafka:*", "http:*"]).trust(trust)).build().unwrap()
}

#[test]
fn process_span_outside_the_trace_records_the_received_id() {
    let old = Some(Duration::from_secs(100));
    let younger = ParentMode::MessageIfYounger(Duration::from_secs(10));
    for (mode, age, in_batch, in_span, recorded) in [
        (ParentMode::Message, None, false, false, false),
        (ParentMode::Message, None, true, false, true),
        (ParentMode::LinkOnly, None, false, false, true),
        (younger, old, false, false, true),
        (younger, None, false, false, false),
        (ParentMode::Current, None, false, true, true),
        (ParentMode::Current, None, false, false, false),
    ] {
        with_each(&ReceivedIdGenerator::default(), &always(), |setup| {
            let process = || {
                let admission = setup.propagator.extract(&Peer::kafka("orders"), &message());
                let processing = Processing::new(mode).with_age(age);
                messaging::process(&setup.propagator, admission, processing, |hop| hop.name = "process".into())
                    .end(&Outcome::Unset);
            };
            if in_batch {
                messaging::batch(&setup.propagator, SpanKind::Consumer, &[], |_, _| {}).in_scope(process);
            } else if in_span {
                let own = setup.propagator.start(Hop::remote(SpanKind::Internal, PropagationContext::EMPTY));
                own.in_scope(process);
            } else {
                process();
            }
            let span = setup.span("process");
            assert_eq!(span.span_context.trace_id().to_string() != TRACE, recorded, "{mode:?} {in_batch} {in_span}");
            assert_eq!(received(&span).is_some(), recorded, "{mode:?} {in_batch} {in_span}");
            assert!(span.links.is_empty());
        });
    }
}

#[test]
fn restarted_span_records_the_id_where_a_link_is_allowed() {
    for (trust, recorded) in [
        (TraceTrust::RestartWithLink, Some(TRACE)),
        (TraceTrust::Restart, None),
        (TraceTrust::Ignore, None),
        (TraceTrust::IdsOnly, None),
    ] {
        with_each(&ReceivedIdGenerator::default(), &always(), |setup| {
            setup.propagator.set_policy(policy(trust));
            setup.serve(&[("x-amzn-trace-id", ROOT)]);
            assert_eq!(received(&setup.span("server")).as_deref(), recorded, "{trust:?}");
            let taken = setup.span("server").span_context.trace_id().to_string() == TRACE;
            assert_eq!(taken, trust == TraceTrust::IdsOnly, "{trust:?}");
        });
    }
}

/// Sends a message that holds a trace-id alone, inside a hop that the rule of `trust` admitted, or outside of any.
fn send_in(setup: &Setup, trust: Option<TraceTrust>, existing: &ExistingContext) -> (Vec<(String, Vec<u8>)>, SpanData) {
    setup.propagator.set_policy(policy(trust.unwrap_or_default()));
    let send = || {
        let mut sent = message();
        let prepared = messaging::send(&setup.propagator, &Peer::kafka("next"), existing, &mut sent, |hop| {
            hop.name = "send".into();
        });
        prepared.hop.end(&Outcome::Unset);
        sent
    };
    let sent = match trust {
        Some(_) => {
            let admission = setup.propagator.extract(&Peer::kafka("orders"), &Vec::<(String, Vec<u8>)>::new());
            setup.propagator.start(Hop::admitted(SpanKind::Consumer, admission)).in_scope(send)
        }
        None => send(),
    };
    (sent, setup.span("send"))
}

fn xray(message: &[(String, Vec<u8>)]) -> &str {
    let (_, value) = message.iter().find(|(name, _)| name == "x-amzn-trace-id").unwrap();
    std::str::from_utf8(value).unwrap()
}

#[test]
fn sent_message_keeps_a_trace_id_without_a_parent() {
    for (trust, kept) in [
        (None, true),
        (Some(TraceTrust::Full), true),
        (Some(TraceTrust::IdsOnly), true),
        (Some(TraceTrust::RestartWithLink), false),
        (Some(TraceTrust::Restart), false),
    ] {
        with_each(&ReceivedIdGenerator::default(), &always(), |setup| {
            let (sent, span) = send_in(setup, trust, &ExistingContext::Keep);
            assert_eq!(xray(&sent).starts_with(ROOT), kept, "{trust:?}: {sent:?}");
            assert_eq!(received(&span).is_some(), kept, "{trust:?}");
            assert_eq!(span.span_kind == opentelemetry::trace::SpanKind::Client, kept, "{trust:?}");
            assert!(span.links.is_empty());
        });
    }
}

#[test]
fn ids_only_replaces_the_decision_that_came_with_the_id() {
    let off = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
    with_each(&ReceivedIdGenerator::default(), &off, |setup| {
        setup.propagator.set_policy(policy(TraceTrust::IdsOnly));
        let admission = setup.propagator.extract(&Peer::caller(Transport::HTTP), &Vec::<(String, Vec<u8>)>::new());
        setup.propagator.start(Hop::admitted(SpanKind::Server, admission)).in_scope(|| {
            let existing = setup.propagator.existing(&Peer::kafka("next"), &message());
            assert_eq!(existing.trace.root_trace_id().unwrap().to_string(), TRACE);
            assert_eq!(existing.trace.sampling.decided(), Some(false), "the outsider asked for a sample");
            let mut sent = message();
            let prepared =
                messaging::send(&setup.propagator, &Peer::kafka("next"), &ExistingContext::Keep, &mut sent, |_| {});
            prepared.hop.end(&Outcome::Unset);
            assert_eq!(xray(&sent), format!("{ROOT};Sampled=0"));
        });
    });
}

#[test]
fn stored_context_keeps_a_trace_id_without_a_parent() {
    with_each(&ReceivedIdGenerator::default(), &always(), |setup| {
        let stored: StoredContext = format!("x-amzn-trace-id:{ROOT};Sampled=0").parse().unwrap();
        let (sent, _) = send_in(setup, Some(TraceTrust::Ignore), &stored.into());
        assert_eq!(xray(&sent), format!("{ROOT};Sampled=0"));
    });
}
