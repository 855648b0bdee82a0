#![cfg(all(feature = "tracing-subscriber", feature = "tracing"))]

use std::{
    io,
    sync::{Arc, Mutex},
};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use propagation_core::{Hop, Outcome, PropagationContext, Propagator, SpanKind, TraceContext};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge, logs::TraceFields};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::SubscriberExt, registry::Registry};

use crate::wire::PARENT;

/// The written bytes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The only line, as JSON.
    fn json(&self) -> serde_json::Value {
        let text = self.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn caller() -> PropagationContext {
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    context.baggage.set("tenant.id", "blue \"1\"\n{}").unwrap();
    context.baggage.set("user.mail", "anna@example.com").unwrap();
    context.baggage.set("plan", "pro").unwrap();
    context
}

fn trace_fields(propagator: &Propagator) -> TraceFields {
    TraceFields::new(propagator).with_baggage(["tenant.id", "user.mail", "absent"])
}

/// Runs `log` under a layer that writes lines, inside of a request where there is one.
fn written(layer: impl Layer<Registry> + Send + Sync, log: impl FnOnce()) {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
}

#[test]
fn lines_without_bridge_carry_caller_ids_and_baggage() {
    let propagator = Propagator::default();
    let lines = Lines::default();
    written(trace_fields(&propagator).json_layer().with_writer(lines.clone()), || {
        let hop = propagator.start(Hop::remote(SpanKind::Server, caller()));
        hop.in_scope(|| tracing::info!(order = 4711, "accepted"));
    });
    let line = lines.json();
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["span_id"], "00f067aa0ba902b7");
    assert_eq!(line["trace_sampled"], true);
    assert_eq!(line["baggage.tenant.id"], "blue \"1\"\n{}");
    assert_eq!(line["fields"]["order"], 4711);
    assert_eq!(line["fields"]["message"], "accepted");
    let text = lines.text();
    assert!(!text.contains("anna") && !text.contains("plan"), "only chosen members that may be shown: {text}");
}

#[test]
fn a_value_cannot_forge_a_line_of_text() {
    let propagator = Propagator::default();
    let lines = Lines::default();
    written(trace_fields(&propagator).text_layer().with_writer(lines.clone()), || {
        let hop = propagator.start(Hop::remote(SpanKind::Server, caller()));
        hop.in_scope(|| tracing::info!("accepted"));
    });
    let text = lines.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    let ids = "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7 trace_sampled=true ";
    assert!(text.starts_with(&format!(r#"{ids}baggage.tenant.id="blue \"1\"\n{{}}" "#)), "{text}");
    assert!(text.contains("accepted") && !text.contains("anna"));
}

#[test]
fn a_line_outside_of_any_trace_is_left_as_it_is() {
    let propagator = Propagator::default();
    let (json, text) = (Lines::default(), Lines::default());
    written(trace_fields(&propagator).json_layer().with_writer(json.clone()), || tracing::info!("idle"));
    written(trace_fields(&propagator).text_layer().with_writer(text.clone()), || tracing::info!("idle"));
    assert!(json.json().get("trace_id").is_none());
    assert!(!text.text().contains("trace_id"));
}

/// One request with a handler's span inside, and a line in each.
fn request(with_tracing: bool, activation: bool) -> (Vec<serde_json::Value>, Vec<SpanData>) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let propagator = if with_tracing {
        Propagator::builder().bridge(TracingBridge::new()).build()
    } else {
        Propagator::builder().bridge(OpenTelemetryBridge::new(provider.tracer("shop"))).build()
    };
    let lines = Lines::default();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("app")).with_context_activation(activation);
    let subscriber = tracing_subscriber::registry()
        .with(spans)
        .with(trace_fields(&propagator).json_layer().with_writer(lines.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let server = propagator.start(Hop::remote(SpanKind::Server, caller()).named("server"));
        server.in_scope(|| {
            tracing::info!("in the hop");
            tracing::info_span!("handler").in_scope(|| tracing::info!("in the handler"));
            tracing::info!("in the hop again");
        });
        server.end(&Outcome::Unset);
    });
    (
        lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        exporter.get_finished_spans().unwrap(),
    )
}

#[test]
fn lines_carry_the_id_of_their_span_with_each_bridge() {
    for with_tracing in [true, false] {
        let (lines, spans) = request(with_tracing, true);
        let id = |name: &str| spans.iter().find(|span| span.name == name).unwrap().span_context.span_id().to_string();
        let expected = [id("server"), id("handler"), id("server")];
        assert_ne!(expected[0], expected[1]);
        let found: Vec<_> = lines.iter().map(|line| line["span_id"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "tracing bridge: {with_tracing}");
        for line in &lines {
            assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!(line["baggage.tenant.id"], "blue \"1\"\n{}");
        }
    }
}

#[test]
fn without_context_activation_lines_still_carry_the_trace() {
    for with_tracing in [true, false] {
        let (lines, spans) = request(with_tracing, false);
        let server = spans.iter().find(|span| span.name == "server").unwrap().span_context.span_id().to_string();
        assert_eq!(lines.len(), 3);
        for line in &lines {
            assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!(line["span_id"], *server);
        }
    }
}

/// Writes three lines of a shape, with a bridge or none: in a hop, in a user's span inside of it, and outside of any trace.
fn shaped(bridge: Option<bool>, json: bool, caller: &PropagationContext) -> (Vec<String>, Vec<SpanData>) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let propagator = match bridge {
        None => Propagator::default(),
        Some(true) => Propagator::builder().bridge(TracingBridge::new()).build(),
        Some(false) => Propagator::builder().bridge(OpenTelemetryBridge::new(provider.tracer("shop"))).build(),
    };
    let lines = Lines::default();
    let layer: Box<dyn Layer<_> + Send + Sync> = if json {
        trace_fields(&propagator).json_layer().with_writer(lines.clone()).boxed()
    } else {
        trace_fields(&propagator).text_layer().with_ansi(false).with_writer(lines.clone()).boxed()
    };
    let spans = bridge.map(|_| tracing_opentelemetry::layer().with_tracer(provider.tracer("app")));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(spans).with(layer), || {
        let server = propagator.start(Hop::remote(SpanKind::Server, caller.clone()).named("server"));
        server.in_scope(|| {
            tracing::info!("in the hop");
            tracing::info_span!("handler").in_scope(|| tracing::info!("in the handler"));
        });
        server.end(&Outcome::Unset);
        tracing::info!("outside");
    });
    (lines.text().lines().map(str::to_owned).collect(), exporter.get_finished_spans().unwrap())
}

/// Returns the expected beginning of a line.
fn beginning(json: bool, span: &str, sampled: bool) -> String {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    if json {
        let ids = format!(r#"{{"trace_id":"{trace}","span_id":"{span}","trace_sampled":{sampled},"#);
        format!(r#"{ids}"baggage.tenant.id":"blue \"1\"\u000a{{}}","timestamp":"#)
    } else {
        format!(r#"trace_id={trace} span_id={span} trace_sampled={sampled} baggage.tenant.id="blue \"1\"\n{{}}" "#)
    }
}

#[test]
fn json_and_text_lines_carry_ids_and_baggage() {
    for (bridge, json) in
        [None, Some(true), Some(false)].into_iter().flat_map(|bridge| [(bridge, true), (bridge, false)])
    {
        let (lines, spans) = shaped(bridge, json, &caller());
        let id = |name: &str| {
            let span = spans.iter().find(|span| span.name == name);
            span.map_or("00f067aa0ba902b7".to_owned(), |span| span.span_context.span_id().to_string())
        };
        assert_eq!((lines.len(), spans.len()), (3, if bridge.is_some() { 2 } else { 0 }));
        for (line, name, message) in [(&lines[0], "server", "in the hop"), (&lines[1], "handler", "in the handler")] {
            assert!(
                line.starts_with(&beginning(json, &id(name), true)) && line.contains(message),
                "{bridge:?}: {line}"
            );
            assert!(!line.contains("anna") && !line.contains("plan"), "{line}");
        }
        assert!(!lines[2].contains("trace_id") && lines[2].contains("outside"), "{bridge:?}: {}", lines[2]);
    }
}

#[test]
fn lines_of_unsampled_traces_carry_ids_and_the_flag() {
    let denied = format!("{}00", &PARENT[..53]).parse().unwrap();
    let denied = PropagationContext::new(TraceContext::new(denied)).with_baggage(caller().baggage);
    for (bridge, json) in
        [None, Some(true), Some(false)].into_iter().flat_map(|bridge| [(bridge, true), (bridge, false)])
    {
        let (lines, spans) = shaped(bridge, json, &denied);
        assert!(spans.is_empty());
        let expected = if json { r#""trace_sampled":false"# } else { "trace_sampled=false" };
        for line in &lines[..2] {
            assert!(line.contains("4bf92f3577b34da6a3ce929d0e0e4736") && line.contains(expected), "{bridge:?}: {line}");
        }
    }
}
