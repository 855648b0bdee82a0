//! Two bridges in one build, and in one request: a library that came with one of them, in an application that uses the other.
#![cfg(feature = "tracing")]

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use propagation_core::{Hop, Outcome, Peer, PropagationContext, Propagator, SpanKind, TraceContext};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing_subscriber::layer::SubscriberExt;

use crate::wire::PARENT;

/// Each span with the name of its parent, or the parent's id where it is the caller's; and whether the last one was sent on.
#[derive(Debug, PartialEq)]
struct Outcomes {
    spans: Vec<(String, String, String)>,
    sent: String,
}

/// A request that one propagator serves and that calls out with another, chosen by name.
fn request(serving: &str, calling: &str) -> Outcomes {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));
    let propagator = |bridge: &str| match bridge {
        "tracing" => Propagator::builder().bridge(TracingBridge::new()).build(),
        _ => Propagator::builder().bridge(OpenTelemetryBridge::new(provider.tracer("hops"))).build(),
    };
    let (serving, calling) = (propagator(serving), propagator(calling));
    let mut written: Vec<(String, Vec<u8>)> = Vec::new();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let caller = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
        let server = serving.start(Hop::remote(SpanKind::Server, caller).named("server"));
        server.in_scope(|| {
            tracing::info_span!("handler").in_scope(|| {
                let client = calling.start(Hop::local(SpanKind::Client, calling.current()).named("client"));
                calling.inject(&Peer::http("api"), client.context(), &mut written);
                client.end(&Outcome::Unset);
            });
        });
        server.end(&Outcome::Unset);
        assert!(!serving.current().trace.has_ids() && !calling.current().trace.has_ids(), "nothing is left behind");
    });

    let spans = exporter.get_finished_spans().unwrap();
    let name = |id: String| {
        let found = spans.iter().find(|span| span.span_context.span_id().to_string() == id);
        found.map_or(id, |span| span.name.to_string())
    };
    let mut shown: Vec<_> = spans
        .iter()
        .map(|span| {
            (span.name.to_string(), name(span.parent_span_id.to_string()), span.span_context.trace_id().to_string())
        })
        .collect();
    shown.sort();
    let sent = String::from_utf8(written.remove(0).1).unwrap();
    Outcomes { spans: shown, sent: name(sent.split('-').nth(2).unwrap().to_owned()) }
}

#[test]
fn each_bridge_makes_an_equal_tree_and_context() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let span = |name: &str, parent: &str| (name.to_owned(), parent.to_owned(), trace.to_owned());
    let expected = Outcomes {
        spans: vec![span("client", "handler"), span("handler", "server"), span("server", "00f067aa0ba902b7")],
        sent: "client".to_owned(),
    };
    for serving in ["opentelemetry", "tracing"] {
        for calling in ["opentelemetry", "tracing"] {
            assert_eq!(request(serving, calling), expected, "{serving} serves, {calling} calls");
        }
    }
}
