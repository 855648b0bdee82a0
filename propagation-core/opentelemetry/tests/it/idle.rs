//! Tracers that make no spans, and threads without a subscriber: hops are not described, and contexts pass through.
#![cfg(feature = "tracing")]

use std::sync::{Arc, OnceLock};

use opentelemetry::{
    Context,
    baggage::BaggageExt,
    global::BoxedTracer,
    trace::{SpanBuilder, Tracer, TracerProvider, noop::NoopTracer},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider};
use propagation_core::{
    Baggage, Bridge, Hop, HopSpan, Peer, Policy, PropagationContext, Propagator, SpanKind, TraceContext, TraceState,
};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt};

use crate::wire::PARENT;

const STATE: &str = "congo=1,ot=th:8;rv:6e6d1a75832a2f";

fn propagator(bridge: impl Bridge + 'static) -> Propagator {
    Propagator::builder().policy(Policy::internal(["tenant.id"])).bridge(bridge).build()
}

fn caller() -> PropagationContext {
    let trace = TraceContext::new(PARENT.parse().unwrap()).with_state(TraceState::parse(STATE.as_bytes()).unwrap());
    PropagationContext::new(trace).with_baggage(Baggage::parse(b"tenant.id=blue"))
}

fn server(propagator: &Propagator) -> HopSpan {
    propagator.start(Hop::remote(SpanKind::Server, caller()).named("GET /orders").with("url.path", "/orders"))
}

/// Checks that a hop and the calls inside it carry the context that was received.
fn check_passes_through(propagator: &Propagator) {
    let hop = server(propagator);
    assert_eq!(hop.context(), &caller());
    let client = hop.in_scope(|| propagator.start(Hop::local(SpanKind::Client, propagator.current()).named("GET")));
    let mut record: Vec<(String, Vec<u8>)> = Vec::new();
    propagator.inject(&Peer::http("api.internal"), client.context(), &mut record);
    let expected = [("traceparent", PARENT), ("tracestate", STATE), ("baggage", "tenant.id=blue")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    assert_eq!(record, expected);
}

#[test]
fn noop_tracer_passes_contexts_through() {
    let propagator = propagator(OpenTelemetryBridge::new(NoopTracer::new()));
    assert!(!propagator.is_recording());
    check_passes_through(&propagator);
}

#[test]
fn noop_tracer_fills_the_baggage_map() {
    let propagator = propagator(OpenTelemetryBridge::new(NoopTracer::new()).with_baggage_map(true));
    assert!(propagator.is_recording());
    check_passes_through(&propagator);
    let tenant = server(&propagator).in_scope(|| Context::current().baggage().get("tenant.id").cloned());
    assert_eq!(tenant.unwrap().as_str(), "blue");
}

#[test]
fn boxed_noop_tracer_is_detected_by_its_first_span() {
    for parent in [caller(), PropagationContext::EMPTY] {
        let propagator = propagator(OpenTelemetryBridge::new(BoxedTracer::new(Box::new(NoopTracer::new()))));
        assert!(propagator.is_recording());
        drop(propagator.start(Hop::remote(SpanKind::Server, parent)));
        assert!(!propagator.is_recording());
        check_passes_through(&propagator);
    }
}

/// Delegates to the tracer of a provider that is installed later.
#[derive(Clone, Default)]
struct Delegate(Arc<OnceLock<BoxedTracer>>);

impl Tracer for Delegate {
    type Span = opentelemetry::global::BoxedSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Self::Span {
        match self.0.get() {
            Some(tracer) => tracer.build_with_context(builder, parent),
            None => BoxedTracer::new(Box::new(NoopTracer::new())).build_with_context(builder, parent),
        }
    }
}

#[test]
fn provider_that_comes_later_makes_spans() {
    for sampler in [Sampler::AlwaysOn, Sampler::AlwaysOff] {
        let kept = matches!(sampler, Sampler::AlwaysOn);
        let delegate = Delegate::default();
        let propagator = propagator(OpenTelemetryBridge::new(delegate.clone()));
        for _ in 0..2 {
            check_passes_through(&propagator);
        }
        assert!(!propagator.is_recording());

        let exporter = InMemorySpanExporter::default();
        let provider =
            SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).with_sampler(sampler).build();
        assert!(delegate.0.set(BoxedTracer::new(Box::new(provider.tracer("shop")))).is_ok());
        assert!(propagator.is_recording());
        drop(server(&propagator));
        let spans = exporter.get_finished_spans().unwrap();
        let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
        assert_eq!(names, if kept { vec!["GET /orders"] } else { vec![] }, "no probe is exported");
        assert!(spans.iter().all(|span| span.attributes.iter().any(|found| found.key.as_str() == "url.path")));
    }
}

#[test]
fn sdk_is_not_taken_for_a_noop() {
    let provider = SdkTracerProvider::builder().build();
    let propagator = propagator(OpenTelemetryBridge::new(provider.tracer("shop")));
    let quiet = Context::new().with_telemetry_suppressed().attach();
    drop(server(&propagator));
    drop(quiet);
    assert!(propagator.is_recording());
    provider.shutdown().unwrap();
    drop(server(&propagator));
    assert!(propagator.is_recording());
}

#[test]
fn threads_without_a_subscriber_pass_contexts_through() {
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    let propagator = propagator(TracingBridge::new());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        assert!(propagator.is_recording());
        tracing::subscriber::with_default(NoSubscriber::default(), || {
            assert!(!propagator.is_recording());
            check_passes_through(&propagator);
        });
        assert_ne!(server(&propagator).context().trace.span_id(), caller().trace.span_id());
    });
    let off = tracing_subscriber::registry().with(EnvFilter::new("off"));
    tracing::subscriber::with_default(off, || check_passes_through(&propagator));
}

/// The decision of a span that is not sampled erases the threshold, also for calls inside it.
#[test]
fn calls_of_an_unsampled_hop_carry_no_threshold() {
    let provider = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build();
    let propagator = propagator(OpenTelemetryBridge::new(provider.tracer("shop")));
    let hop = server(&propagator);
    let client = hop.in_scope(|| propagator.start(Hop::local(SpanKind::Client, propagator.current()).named("GET")));
    for context in [hop.context(), client.context()] {
        assert_eq!(context.trace.state.as_bytes(), b"congo=1,ot=rv:6e6d1a75832a2f");
    }
}
