use std::collections::HashSet;

use opentelemetry::trace::{SpanId, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use propagation_core::{
    Outcome, Peer, Propagator, TraceContext,
    messaging::{self, CreationContext, LINKS_PER_SPAN},
};
use propagation_opentelemetry::OpenTelemetryBridge;

fn received(creations: &[TraceContext]) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let propagator = Propagator::builder().bridge(OpenTelemetryBridge::new(provider.tracer("shop"))).build();
    let creations: Vec<_> = creations.iter().cloned().map(CreationContext::from).collect();
    let hop = messaging::receive(&propagator, &creations, |hop, count| hop.name = format!("receive {count}").into());
    hop.end(&Outcome::Unset);
    exporter.get_finished_spans().unwrap()
}

fn creation(number: usize) -> TraceContext {
    TraceContext::new(format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-01", number + 1).parse().unwrap())
}

#[test]
fn batch_links_to_each_message_once_up_to_the_limit() {
    let mut creations: Vec<TraceContext> = (0..2 * LINKS_PER_SPAN + 10).map(creation).collect();
    creations[1] = creation(0);
    creations[2] = TraceContext::EMPTY;
    creations[LINKS_PER_SPAN] = creation(3);
    let spans = received(&creations);

    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
    names.sort_unstable();
    assert_eq!(names, ["receive 10", "receive 128", "receive 128"]);
    let links: Vec<SpanId> =
        spans.iter().flat_map(|span| span.links.iter().map(|link| link.span_context.span_id())).collect();
    let expected: HashSet<SpanId> =
        creations.iter().filter_map(TraceContext::span_id).map(|id| SpanId::from_bytes(id.to_bytes())).collect();
    assert_eq!(links.len(), expected.len(), "no link twice");
    assert_eq!(links.into_iter().collect::<HashSet<_>>(), expected);
    assert!(spans.iter().all(|span| span.links.iter().count() <= LINKS_PER_SPAN));
    let traces: HashSet<_> = spans.iter().map(|span| span.span_context.trace_id()).collect();
    assert_eq!(traces.len(), 1, "the spans of one batch are one trace");
    assert_eq!(spans.iter().filter(|span| span.parent_span_id == SpanId::INVALID).count(), 1);
}

#[test]
fn an_empty_batch_is_one_span_without_links() {
    let spans = received(&[]);
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].links.iter().count(), 0);
}

#[test]
fn looking_up_a_creation_context_counts_nothing() {
    let provider = SdkTracerProvider::builder().build();
    let propagator = Propagator::builder().bridge(OpenTelemetryBridge::new(provider.tracer("shop"))).build();
    let message = vec![("traceparent".to_owned(), b"garbage".to_vec())];
    assert!(!messaging::creation_context(&propagator, &Peer::kafka("orders"), &message).trace.has_ids());
    let counted = |propagator: &Propagator| propagator.counters().iter().map(|entry| entry.2).sum::<u64>();
    assert_eq!(counted(&propagator), 0);
    let _ = propagator.extract(&Peer::kafka("orders"), &message);
    assert_eq!(counted(&propagator), 1);
}
