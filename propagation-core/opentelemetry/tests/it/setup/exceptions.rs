//! Exceptions as events of spans, as log records, or both; and their stack traces.

use opentelemetry::{Key, logs::AnyValue};
use opentelemetry_sdk::{
    logs::{InMemoryLogExporter, in_memory_exporter::LogDataWithResource},
    trace::{InMemorySpanExporter, InMemorySpanExporterBuilder, SpanData},
};
use propagation_core::{Exception, Hop, Outcome, PropagationContext, SpanKind};
use propagation_opentelemetry::setup::Setup;
use tracing_subscriber::layer::SubscriberExt;

use super::setup;

/// Fails one hop, made with OpenTelemetry's API or through `tracing`.
fn failed(setup: Setup, with_tracing: bool) -> (SpanData, Vec<LogDataWithResource>) {
    let spans: InMemorySpanExporter = InMemorySpanExporterBuilder::new().build();
    let logs = InMemoryLogExporter::default();
    let setup = setup.exporter(spans.clone()).log_exporter(logs.clone());
    let telemetry = if with_tracing { setup.with_tracing() } else { setup }.build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.span_layer());
    tracing::subscriber::with_default(subscriber, || {
        let hop = telemetry.propagator().start(Hop::local(SpanKind::Server, PropagationContext::EMPTY).named("GET"));
        hop.in_scope(|| Exception::new("shop::OutOfStock").with_message("no bolts left").record_exception());
        hop.end(&Outcome::error("500"));
    });
    (spans.get_finished_spans().unwrap().remove(0), logs.get_emitted_logs().unwrap())
}

fn opted(list: &'static str) -> Setup {
    setup(&[]).variables(move |name| (name == "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN").then(|| list.to_owned()))
}

fn attribute(log: &LogDataWithResource, key: &'static str) -> Option<AnyValue> {
    let key = Key::from_static_str(key);
    log.record.attributes_iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone())
}

#[test]
fn variable_selects_the_signal_of_exceptions() {
    for (list, events, records) in
        [("", 1, 0), ("logs", 0, 1), ("logs/dup", 1, 1), ("logs,logs/dup", 1, 1), ("LOGS", 0, 1), ("spans", 1, 0)]
    {
        for with_tracing in [false, true] {
            let (span, logs) = failed(opted(list), with_tracing);
            assert_eq!((span.events.len(), logs.len()), (events, records), "{list:?}, tracing: {with_tracing}");
        }
    }
}

#[test]
fn exception_record_has_the_span_and_the_exception() {
    let (span, logs) = failed(opted("logs"), false);
    let record = &logs[0].record;
    assert_eq!(record.event_name(), Some("exception"));
    assert_eq!(record.severity_text(), Some("ERROR"));
    let trace = record.trace_context().unwrap();
    assert_eq!((trace.trace_id, trace.span_id), (span.span_context.trace_id(), span.span_context.span_id()));
    let text = |text: &'static str| Some(AnyValue::String(text.into()));
    assert_eq!(attribute(&logs[0], "exception.type"), text("shop::OutOfStock"));
    assert_eq!(attribute(&logs[0], "exception.message"), text("no bolts left"));
    assert_eq!(logs[0].instrumentation.name(), "propagation");
}

#[test]
fn status_is_described_by_the_message_with_each_signal() {
    for list in ["", "logs", "logs/dup"] {
        let (span, _) = failed(opted(list), false);
        assert_eq!(span.status, opentelemetry::trace::Status::error("no bolts left"), "{list:?}");
    }
}

#[test]
fn stack_traces_are_recorded_only_if_enabled() {
    for enabled in [false, true] {
        let (_, logs) = failed(opted("logs").with_stack_traces(enabled), false);
        assert_eq!(attribute(&logs[0], "exception.stacktrace").is_some(), enabled);
    }
}
