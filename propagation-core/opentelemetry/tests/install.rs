//! A program of its own, because a process has one subscriber.
#![cfg(all(feature = "sdk", feature = "tracing", feature = "tracing-subscriber"))]

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::InMemorySpanExporterBuilder;
use propagation_core::{Hop, Outcome, Peer, PropagationContext, SpanKind, TraceContext, Transport};
use propagation_opentelemetry::setup::{LogFormat, Setup, SetupError};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn setup(rust_log: Option<&'static str>) -> Setup {
    Setup::new("orders").variables(move |name| match name {
        "OTEL_TRACES_EXPORTER" => Some("none".to_owned()),
        "RUST_LOG" => rust_log.map(str::to_owned),
        _ => None,
    })
}

#[test]
fn install_sets_spans_and_logs_once_and_rejects_a_second() {
    let broken = setup(Some("orders=[")).strict().log_format(LogFormat::json()).install();
    assert!(matches!(broken, Err(SetupError::Variable { name: "RUST_LOG", .. })), "{broken:?}");

    let (exporter, written) = (InMemorySpanExporterBuilder::new().build(), Written::default());
    let to = written.clone();
    let lines = LogFormat::json().writer(move || to.clone());
    let setup_of_all = setup(None).exporter(exporter.clone()).log_format(lines);
    #[cfg(feature = "logs")]
    let records = opentelemetry_sdk::logs::InMemoryLogExporter::default();
    #[cfg(feature = "logs")]
    let setup_of_all = setup_of_all.log_exporter(records.clone());
    let telemetry = setup_of_all.install().unwrap();

    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let caller = PropagationContext::new(TraceContext::new(parent));
    let hop = telemetry.propagator().start(Hop::remote(SpanKind::Server, caller).named("server"));
    hop.in_scope(|| tracing::info_span!("handler").in_scope(|| tracing::info!("at work")));
    // An event of ours inside of the hop.
    let malformed = vec![("traceparent".to_owned(), b"00-nonsense".to_vec())];
    hop.in_scope(|| telemetry.propagator().extract(&Peer::caller(Transport::HTTP), &malformed));
    tracing::debug!("not asked for");
    hop.end(&Outcome::Unset);

    let spans = exporter.get_finished_spans().unwrap();
    let span = |name: &str| spans.iter().find(|span| span.name == name).unwrap().clone();
    assert_eq!(span("handler").parent_span_id, span("server").span_context.span_id());
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).expect(&text);
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["span_id"], span("handler").span_context.span_id().to_string());

    assert_eq!(line["spans"][0]["name"], "server");
    let has = |name: &str, prefix: &str| span(name).attributes.iter().any(|each| each.key.as_str().starts_with(prefix));
    assert!(!has("server", "code.") && has("handler", "code."), "only the user's spans have a place in a source");
    assert!(!has("server", "thread.") && !has("handler", "thread."));

    let places = |name: &str, target: &'static str| {
        let of_target = KeyValue::new("target", target);
        let events = span(name).events.events;
        let found: Vec<_> = events.iter().filter(|event| event.attributes.contains(&of_target)).collect();
        assert_eq!(found.len(), 1, "{events:?}");
        found[0].attributes.iter().filter(|each| each.key.as_str().starts_with("code.")).count()
    };
    assert_eq!(places("server", "propagation"), 0);
    assert!(places("handler", "install") > 0, "only the user's events have a place in a source");

    #[cfg(feature = "logs")]
    {
        let found = records.get_emitted_logs().unwrap();
        let found = found.iter().find(|log| log.record.target().is_some_and(|target| target == "install")).unwrap();
        let trace = found.record.trace_context().unwrap();
        assert_eq!(trace.span_id, span("handler").span_context.span_id());
    }

    let second = setup(None).install();
    assert!(matches!(second, Err(SetupError::SubscriberInstalled)), "{second:?}");
}
