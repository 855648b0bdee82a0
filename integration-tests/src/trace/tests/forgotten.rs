//! Each way to forget a layer: the failure names the service and the layer.

use super::*;
use SpanKind::{Client, Consumer, Internal, Producer, Server};

/// How one service of the chain is instrumented.
#[derive(Clone, Copy)]
struct Service {
    name: &'static str,
    /// Whether received messages have a span.
    receives: bool,
    /// Whether sent messages have a span.
    sends: bool,
    /// Whether its handlers have a span of their own.
    own: bool,
}

const FIRST: &str = "gateway";
const MIDDLE: &str = "orders";
const LAST: &str = "billing";
const NAMES: [&str; 3] = [FIRST, MIDDLE, LAST];

/// The spans of one request through three services, made as the layers would make them: a context that was not injected is not there to
/// be extracted, and one that was not extracted is not current.
fn request(services: [Service; 3], over: &str) -> TraceGraph {
    let (receive, send, at, value) = match over {
        "http" => (Server, Client, "http.request.method", "POST"),
        _ => (Consumer, Producer, "messaging.system.name", over),
    };
    let mut spans: Vec<Span> = Vec::new();
    // The trace and the span that the wire carries to the next service.
    let mut wire: Option<(TraceId, SpanId)> = None;
    let mut next = 1;
    for (depth, service) in services.into_iter().enumerate() {
        let start = 10 * depth as u64;
        let end = if over == "http" { 100 - start } else { 8 };
        let mut current = None;
        let extracted = wire.take().filter(|_| service.receives);
        let mut make = |kind, name: &str, parent: Option<(TraceId, SpanId)>, after: u64| {
            let mut made = span(next, 0, service.name, kind, name, start + after, end - after);
            made.trace_id = parent.map_or(TraceId::from_bytes([next; 16]), |(trace, _)| trace);
            made.parent = parent.map(|(_, span)| span);
            if kind != Internal {
                made.attributes.push(at, value);
            }
            next += 1;
            let ids = Some((made.trace_id, made.span_id));
            spans.push(made);
            ids
        };
        // The first service always has a consumer or server of its own requests.
        if service.receives {
            current = make(receive, "receive", extracted, 0);
        }
        if service.own {
            current = make(Internal, "handle", current, 1);
        }
        if service.sends && depth < 2 {
            wire = make(send, "send", current, 2);
        }
    }
    TraceGraph::new(spans)
}

fn all(own: bool) -> [Service; 3] {
    NAMES.map(|name| Service { name, receives: true, sends: true, own })
}

fn verdict(graph: &TraceGraph) -> Result<(), AssertionFailure> {
    graph.services_seen(&NAMES).and_then(|()| graph.continuous()).and_then(|()| graph.entered())
}

#[test]
fn a_chain_with_every_layer_is_whole() {
    for over in ["http", "kafka"] {
        for own in [true, false] {
            verdict(&request(all(own), over)).unwrap_or_else(|broken| panic!("{over}, own spans {own}: {broken}"));
        }
    }
}

#[test]
fn a_forgotten_receiving_layer_names_its_service() {
    for (over, layer) in [("http", "ServerPropagationLayer"), ("kafka", "ConsumerPropagation")] {
        for own in [true, false] {
            for (at, name) in NAMES.into_iter().enumerate() {
                let mut services = all(own);
                services[at].receives = false;
                let case = format!("{over}, {name}, own spans {own}");
                let failure = verdict(&request(services, over)).expect_err(&case);
                // Without own spans, the last service has none at all.
                let cause = if !own && at == 2 {
                    format!("`{name}` has neither a layer nor a span of its own")
                } else {
                    format!("`{name}` has no server or consumer span")
                };
                assert!(failure.causes().iter().any(|found| found.starts_with(&cause)), "{case}:\n{failure}");
                assert!(failure.causes()[0].contains(layer), "{case}:\n{failure}");
                assert!(!failure.to_string().contains("task, thread or callback"), "{case}:\n{failure}");
            }
        }
    }
}

#[test]
fn a_forgotten_sending_layer_names_its_service() {
    for (over, layer) in [("http", "ClientPropagationLayer"), ("kafka", "ProducerPropagation")] {
        for own in [true, false] {
            for (at, name) in [(0, FIRST), (1, MIDDLE)] {
                let mut services = all(own);
                services[at].sends = false;
                let case = format!("{over}, {name}, own spans {own}");
                let failure = verdict(&request(services, over)).expect_err(&case);
                let cause = format!("`{name}` has no client or producer span for its message to `{}`", NAMES[at + 1]);
                assert!(failure.causes()[0].starts_with(&cause), "{case}:\n{failure}");
                assert!(failure.causes()[0].contains(layer), "{case}:\n{failure}");
            }
        }
    }
}

#[test]
fn a_service_without_layers_and_spans_has_its_own_cause() {
    for over in ["http", "kafka"] {
        for (at, name) in NAMES.into_iter().enumerate() {
            let mut services = all(true);
            services[at] = Service { name, receives: false, sends: false, own: false };
            let failure = verdict(&request(services, over)).expect_err(name);
            let cause = format!("`{name}` has neither a layer nor a span of its own");
            assert!(failure.causes()[0].starts_with(&cause), "{over}, {name}:\n{failure}");
        }
    }
}

#[test]
fn a_spawned_task_is_blamed_only_where_the_layer_works() {
    let mut spans: Vec<Span> = request(all(false), "http").spans().cloned().collect();
    let mut task = span(200, 0, LAST, Internal, "charge card", 25, 5);
    task.trace_id = TraceId::from_bytes([200; 16]);
    spans.push(task);
    let failure = verdict(&TraceGraph::new(spans)).expect_err("two traces");
    assert!(failure.causes()[0].contains("its task, thread or callback was started outside"), "{failure}");
}
