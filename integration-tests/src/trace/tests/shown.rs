//! Tests of the tree for arbitrary input.

use super::{OTHER, TRACE, assert_names, story, with};
use crate::trace::{Link, Span, SpanId, SpanKind, TraceGraph, TraceId};

#[test]
fn the_tree_shows_services_times_and_links() {
    let tree = TraceGraph::new(story()).to_string();
    let expected = "\
trace abababababababababababababababab · 9 spans · 4 services · 110.000 ms
    0.000 ms    50.000 ms  gateway   POST /orders [server]
    1.000 ms    40.000 ms  gateway   └─ shop.Orders/Place [client]
    5.000 ms    30.000 ms  orders       └─ shop.Orders/Place [server]
   10.000 ms     2.000 ms  orders          ├─ send orders [producer]
   60.000 ms    20.000 ms  payments        │  └─ process orders [consumer]
                                           │        ↪ links to orders · send orders [producer] 0000000000000004
   65.000 ms     2.000 ms  payments        │     └─ send shipping [producer]
   70.000 ms     5.000 ms  shipping        │        └─ process shipping [consumer]
                                           │              ↪ links to payments · send shipping [producer] 0000000000000008
   13.000 ms     2.000 ms  orders          └─ send orders [producer]
   90.000 ms    20.000 ms  payments           └─ process orders [consumer]
                                                    ↪ links to orders · send orders [producer] 0000000000000005
";
    assert_eq!(tree, expected, "\n{tree}");
}

#[test]
fn normalized_tree_ignores_ids_times_and_order() {
    let mut again = story();
    again.reverse();
    for (index, span) in again.iter_mut().enumerate() {
        span.trace_id = OTHER;
        span.span_id = SpanId::from_bytes([9, 9, 9, 9, 9, 9, 9, 100 - span.span_id.to_bytes()[7]]);
        span.parent = span.parent.map(|parent| SpanId::from_bytes([9, 9, 9, 9, 9, 9, 9, 100 - parent.to_bytes()[7]]));
        for link in &mut span.links {
            *link = Link::to(OTHER, SpanId::from_bytes([9, 9, 9, 9, 9, 9, 9, 100 - link.span_id.to_bytes()[7]]));
        }
        span.start += index as u64 * 12_345;
    }
    let one = TraceGraph::new(story()).normalized().with_attributes(["messaging.system.name"]).to_string();
    assert_eq!(one, TraceGraph::new(again).normalized().with_attributes(["messaging.system.name"]).to_string());
    assert_names(
        &one,
        &["#1 gateway · POST /orders [server]", "send shipping [producer] {messaging.system.name=rabbitmq}", "↪ #4"],
    );
    let changed = with(9, |span| span.name = "process other".to_owned());
    assert_ne!(one, changed.normalized().with_attributes(["messaging.system.name"]).to_string());
}

#[test]
fn hostile_text_cannot_repaint_the_terminal() {
    let graph = with(9, |span| span.name = "\u{1b}[2J\u{202e}evil\n\r".repeat(100));
    let tree = graph.to_string();
    assert!(!tree.contains('\u{1b}') && !tree.contains('\u{202e}') && !tree.contains('\r'), "{tree}");
    assert_eq!(tree.lines().count(), TraceGraph::new(story()).to_string().lines().count());
}

#[test]
fn a_chain_of_ten_thousand_spans_is_drawn_and_judged() {
    let chain = (1..=10_000_u64).map(|number| {
        let mut span = Span::new(TRACE, SpanId::from_bytes(number.to_be_bytes()), "step");
        span.parent = (number > 1).then(|| SpanId::from_bytes((number - 1).to_be_bytes()));
        span
    });
    let graph = TraceGraph::new(chain);
    graph.assert_continuous();
    assert!(graph.to_string().len() < 3_000_000, "{}", graph.to_string().len());
    assert!(graph.normalized().to_string().len() < 3_000_000);
}

#[test]
fn thousands_of_traces_are_judged_and_explained_in_little_time() {
    let many = (1..=20_000_u64).map(|number| {
        let trace = TraceId::from_bytes(u128::from(number).to_be_bytes());
        let mut span = Span::new(trace, SpanId::from_bytes(number.to_be_bytes()), "GET /");
        span.kind = SpanKind::Server;
        span.parent = (number % 2 == 0).then(|| SpanId::from_bytes((number + 1_000_000).to_be_bytes()));
        span
    });
    // Quadratic work would take minutes here, and any time limit would make this test one of the machine.
    let graph = TraceGraph::new(many);
    assert_eq!(graph.continuity().broken.len(), 4);
    assert_eq!(graph.to_string().lines().filter(|line| line.starts_with("trace ")).count(), 20_000);
}
