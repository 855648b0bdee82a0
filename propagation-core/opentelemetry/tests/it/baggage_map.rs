//! Baggage in OpenTelemetry's map: read, set and replaced by user code inside hops.
#![cfg(feature = "tracing")]

use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{Link, SpanKind as OtelKind, TraceId, TraceState as OtelState, TracerProvider},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SamplingResult, SdkTracerProvider, ShouldSample};
use propagation_core::{
    Baggage, Hop, InboundRule, OutboundRule, Peer, Policy, PropagationContext, Propagator, Scrub, SpanKind,
    TraceContext, TraceState,
};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt};

use crate::wire::PARENT;

/// Calls a check with each bridge and the map switched off and on, under a subscriber whose spans the same provider exports.
fn with_each_bridge(check: impl Fn(&Propagator, bool)) {
    for activation in [true, false] {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter).build();
        with_bridges(&provider, activation, &check);
    }
}

fn with_bridges(provider: &SdkTracerProvider, activation: bool, check: &impl Fn(&Propagator, bool)) {
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("app")).with_context_activation(activation);
    let subscriber = tracing_subscriber::registry().with(LevelFilter::DEBUG).with(layer);
    let policy = Policy::builder()
        .scrub(Scrub::off())
        .inbound(InboundRule::peers(["*"]).allow("*"))
        .outbound(OutboundRule::peers(["*"]).allow("*"))
        .build()
        .unwrap();
    tracing::subscriber::with_default(subscriber, || {
        for map in [false, true] {
            let builder = || Propagator::builder().policy(policy.clone());
            let bridge = OpenTelemetryBridge::new(provider.tracer("shop")).with_baggage_map(map);
            check(&builder().bridge(bridge).build(), map);
            check(&builder().bridge(TracingBridge::new().with_baggage_map(map)).build(), map);
        }
    });
}

fn caller() -> PropagationContext {
    let state = TraceState::parse(b"congo=t61rcWkgMzE,rojo=1").unwrap();
    PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()).with_state(state))
        .with_baggage(Baggage::parse(b"tenant.id=blue,plan=free;p=1"))
}

fn server(propagator: &Propagator) -> propagation_core::HopSpan {
    propagator.start(Hop::remote(SpanKind::Server, caller()).named("GET /orders"))
}

/// Returns the baggage and tracestate of a client call in the current context.
fn sent(propagator: &Propagator) -> (String, String) {
    let client = propagator.start(Hop::local(SpanKind::Client, propagator.current()).named("GET"));
    let mut record: Vec<(String, Vec<u8>)> = Vec::new();
    propagator.inject(&Peer::http("api.internal"), client.context(), &mut record);
    let value = |field: &str| {
        let found = record.iter().find(|(name, _)| name == field);
        found.map(|(_, value)| String::from_utf8(value.clone()).unwrap()).unwrap_or_default()
    };
    (value("baggage"), value("tracestate"))
}

#[test]
fn unchanged_baggage_goes_out_as_received() {
    with_each_bridge(|propagator, map| {
        server(propagator).in_scope(|| {
            let readable = Context::current().baggage().get("tenant.id").is_some();
            assert_eq!(readable, map, "OpenTelemetry's map");
            assert_eq!(sent(propagator), ("tenant.id=blue,plan=free;p=1".into(), "congo=t61rcWkgMzE,rojo=1".into()));
        });
    });
}

#[test]
fn baggage_set_through_the_api_goes_out() {
    with_each_bridge(|propagator, map| {
        server(propagator).in_scope(|| {
            let current = Context::current();
            let members = current.baggage().iter().map(|(key, (value, _))| KeyValue::new(key.clone(), value.clone()));
            let _guard = Context::current_with_baggage(members.chain([KeyValue::new("locale", "de")])).attach();
            for _ in 0..2 {
                assert_eq!(sent(propagator).0, "tenant.id=blue,plan=free;p=1,locale=de", "map: {map}");
            }
        });
    });
}

#[test]
fn map_that_user_code_replaces_replaces_mirrored_baggage() {
    with_each_bridge(|propagator, map| {
        server(propagator).in_scope(|| {
            let _guard = Context::current_with_baggage([KeyValue::new("tenant.id", "green")]).attach();
            let expected = if map { "tenant.id=green" } else { "tenant.id=green,plan=free;p=1" };
            assert_eq!(sent(propagator).0, expected, "map: {map}");
        });
    });
}

#[test]
fn cleared_map_removes_mirrored_baggage() {
    with_each_bridge(|propagator, map| {
        server(propagator).in_scope(|| {
            let _guard = Context::current().with_cleared_baggage().attach();
            assert_eq!(sent(propagator).0, if map { "" } else { "tenant.id=blue,plan=free;p=1" }, "map: {map}");
        });
    });
}

#[test]
fn call_inside_a_user_span_keeps_baggage_and_tracestate() {
    with_each_bridge(|propagator, _| {
        server(propagator).in_scope(|| {
            tracing::info_span!("user").in_scope(|| {
                assert_eq!(
                    sent(propagator),
                    ("tenant.id=blue,plan=free;p=1".into(), "congo=t61rcWkgMzE,rojo=1".into())
                );
            });
        });
    });
}

#[test]
fn map_of_an_outer_context_is_not_seen_in_a_hop() {
    with_each_bridge(|propagator, _| {
        let _outer = Context::current_with_baggage([KeyValue::new("tenant.id", "other")]).attach();
        server(propagator).in_scope(|| {
            assert_ne!(Context::current().baggage().get("tenant.id").map(ToString::to_string), Some("other".into()));
            assert_eq!(sent(propagator).0, "tenant.id=blue,plan=free;p=1");
        });
    });
}

#[test]
fn context_attached_outside_of_hops_carries_the_baggage() {
    with_each_bridge(|propagator, _| {
        let context = server(propagator).in_scope(Context::current);
        let _guard = context.attach();
        assert_eq!(propagator.current().baggage, caller().baggage);
        assert_eq!(propagator.current().trace.state, caller().trace.state);
    });
}

/// Writes the threshold of a consistent-probability sampler.
#[derive(Clone, Debug)]
struct Thresholds;

impl ShouldSample for Thresholds {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &OtelKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = Sampler::AlwaysOn.should_sample(parent, trace_id, name, kind, attributes, links);
        let state: OtelState = result.trace_state;
        result.trace_state = state.insert("ot", "th:8").unwrap();
        result
    }
}

#[test]
fn tracestate_that_a_sampler_writes_goes_out() {
    let provider = SdkTracerProvider::builder().with_sampler(Thresholds).build();
    for activation in [true, false] {
        with_bridges(&provider, activation, &|propagator: &Propagator, _| {
            server(propagator).in_scope(|| {
                assert_eq!(sent(propagator).1, "ot=th:8,congo=t61rcWkgMzE,rojo=1");
                tracing::info_span!("user").in_scope(|| {
                    assert_eq!(sent(propagator).1, "ot=th:8,congo=t61rcWkgMzE,rojo=1");
                });
            });
        });
    }
}

#[test]
fn rules_of_samplers_read_the_baggage_of_a_hop() {
    use propagation_opentelemetry::sampling::{AlwaysOff, AlwaysOn, CompositeSampler, Rule, RuleBased};

    let kept = |tenant: &str| RuleBased::new().rule(Rule::new().baggage("tenant.id", tenant), AlwaysOn);
    for (tenant, is_kept) in [("blue", true), ("green", false)] {
        let sampler = CompositeSampler::new(kept(tenant).otherwise(AlwaysOff));
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        with_bridges(&provider, true, &|propagator: &Propagator, map| {
            let sampled = server(propagator).context().trace.flags().is_sampled();
            assert_eq!(sampled, is_kept, "{tenant}, map: {map}");
        });
    }
}
