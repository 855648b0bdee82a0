//! A story of four services, whole and broken in each way that hops break traces.

mod forgotten;
mod shown;

use std::sync::Arc;

use super::conventions::Version;
use super::*;

const TRACE: TraceId = TraceId::from_bytes([0xab; 16]);
const OTHER: TraceId = TraceId::from_bytes([0xcd; 16]);

fn id(number: u8) -> SpanId {
    SpanId::from_bytes([0, 0, 0, 0, 0, 0, 0, number])
}

fn span(number: u8, parent: u8, service: &str, kind: SpanKind, name: &str, start_ms: u64, took_ms: u64) -> Span {
    let mut span = Span::new(TRACE, id(number), name);
    span.parent = (parent > 0).then(|| id(parent));
    span.kind = kind;
    span.start = 1_700_000_000_000_000_000 + start_ms * 1_000_000;
    span.end = span.start + took_ms * 1_000_000;
    span.resource = Arc::new([("service.name", service)].into());
    let remote = parent > 0 && matches!(kind, SpanKind::Server | SpanKind::Consumer);
    span.flags = Some(if remote { 0x303 } else { 0x103 });
    span
}

/// gateway → orders over gRPC, orders → payments over Kafka (two messages, with links), payments → shipping over AMQP.
fn story() -> Vec<Span> {
    use SpanKind::{Client, Consumer, Producer, Server};
    let mut spans = vec![
        span(1, 0, "gateway", Server, "POST /orders", 0, 50),
        span(2, 1, "gateway", Client, "shop.Orders/Place", 1, 40),
        span(3, 2, "orders", Server, "shop.Orders/Place", 5, 30),
        span(4, 3, "orders", Producer, "send orders", 10, 2),
        span(5, 3, "orders", Producer, "send orders", 13, 2),
        span(6, 4, "payments", Consumer, "process orders", 60, 20),
        span(7, 5, "payments", Consumer, "process orders", 90, 20),
        span(8, 6, "payments", Producer, "send shipping", 65, 2),
        span(9, 8, "shipping", Consumer, "process shipping", 70, 5),
    ];
    for (consumer, producer, system) in [(6, 4, "kafka"), (7, 5, "kafka"), (9, 8, "rabbitmq")] {
        for span in &mut spans {
            if span.span_id == id(consumer) {
                span.links.push(Link::to(TRACE, id(producer)));
            }
            if span.span_id == id(consumer) || span.span_id == id(producer) {
                span.attributes.push("messaging.system.name", system);
                span.attributes.push("messaging.message.id", format!("message {producer}"));
            }
        }
    }
    for span in spans.iter_mut().take(3) {
        span.attributes.push("rpc.system.name", "grpc");
    }
    spans
}

/// The story with one of its spans changed.
fn with(number: u8, change: impl Fn(&mut Span)) -> TraceGraph {
    let mut spans = story();
    spans.iter_mut().filter(|span| span.span_id == id(number)).for_each(change);
    TraceGraph::new(spans)
}

fn explanation(claim: Result<(), AssertionFailure>) -> String {
    claim.expect_err("the claim should be broken").to_string()
}

#[track_caller]
fn assert_names(explanation: &str, parts: &[&str]) {
    for part in parts {
        assert!(explanation.contains(part), "`{part}` is missing in:\n{explanation}");
    }
}

#[test]
fn a_whole_trace_passes_every_claim() {
    let consumers = || of_kind(SpanKind::Consumer).attribute("messaging.system.name", "kafka");
    let producers = || of_kind(SpanKind::Producer).attribute("messaging.system.name", "kafka");
    TraceGraph::new(story())
        .assert_continuous()
        .assert_only_traces(&[TRACE])
        .assert_services(&["gateway", "orders", "payments", "shipping"])
        .assert_edge(service("gateway").kind(SpanKind::Client), service("orders").kind(SpanKind::Server))
        .assert_each_edge(named("send orders"), named("process orders"))
        .assert_link("process shipping", "send shipping")
        .assert_each_link(consumers(), producers())
        .assert_links_exactly(service("payments").kind(SpanKind::Consumer), &[(TRACE, id(4)), (TRACE, id(5))])
        .assert_reachable("gateway", "shipping")
        .assert_sampled_consistently()
        .assert_flags_preserved()
        .assert_trace_state_preserved()
        .assert_nothing_dropped()
        .assert_count(of_kind(SpanKind::Consumer), 3)
        .assert_ordered(&["gateway".into(), "orders".into(), "process orders".into(), "process shipping".into()])
        .assert_causal_times();
}

#[test]
fn a_hop_that_did_not_inject_is_named() {
    let graph = with(6, |span| {
        span.parent = None;
        span.links.clear();
    });
    let explained = explanation(graph.one_root());
    assert_names(
        &explained,
        &[
            "2 spans without a parent",
            "orders → payments over kafka",
            "send orders",
            "began a trace of its own",
            "did not inject",
        ],
    );
    assert_names(&explanation(graph.connected()), &["2 pieces", "orders → payments over kafka"]);
    assert_names(&explanation(graph.reachable("gateway", "shipping")), &["orders → payments over kafka"]);
    assert!(!graph.continuity().is_continuous());
    assert!(
        graph.continuity().causes().iter().any(|cause| cause.contains("orders → payments")),
        "{}",
        graph.continuity()
    );
}

#[test]
fn a_hop_that_began_another_trace_is_named() {
    let mut spans = story();
    for span in spans.iter_mut().filter(|span| [6, 8, 9].map(id).contains(&span.span_id)) {
        span.trace_id = OTHER;
        span.links.clear();
        if span.span_id == id(6) {
            span.parent = None;
        }
    }
    let graph = TraceGraph::new(spans);
    assert_names(&explanation(graph.one_trace()), &[&OTHER.to_string(), "orders → payments over kafka"]);
    assert_names(&explanation(graph.only_traces(&[TRACE])), &[&OTHER.to_string(), "begins with payments"]);
    assert_eq!(graph.traces().len(), 2);
    graph.trace(TRACE).assert_continuous();
}

#[test]
fn orphan_is_reported_with_its_likely_hop() {
    let graph = with(9, |span| span.parent = Some(id(99)));
    let explained = explanation(graph.no_orphans());
    assert_names(
        &explained,
        &[
            "process shipping",
            "never received",
            "payments → shipping over rabbitmq",
            "it links to payments · send shipping",
        ],
    );
    graph.with_outside([id(99)]).assert_no_orphans();
    let changed = with(9, |span| span.trace_id = OTHER);
    assert_names(
        &explanation(changed.no_orphans()),
        &["the trace id changed and the parent id did not", "payments → shipping"],
    );
    let unflushed = TraceGraph::new(story().into_iter().filter(|span| span.span_id != id(3)));
    assert_names(
        &explanation(unflushed.no_orphans()),
        &["without flushing", "send orders", "`orders` exported this span"],
    );
}

#[test]
fn wrong_parent_is_reported_with_the_right_one() {
    let graph = with(3, |span| span.parent = Some(id(1)));
    graph.assert_continuous();
    let explained =
        explanation(graph.edge(service("gateway").kind(SpanKind::Client), service("orders").kind(SpanKind::Server)));
    assert_names(
        &explained,
        &["is a child of gateway · POST /orders", "gateway → orders over grpc", "the context that came in was sent on"],
    );
    assert_names(
        &explanation(graph.edge("gatway", "orders")),
        &["there is no such span", "the services seen are gateway"],
    );
    assert_names(&explanation(graph.edge("gateway", named("place"))), &["nearest", "shop.Orders/Place"]);
}

#[test]
fn the_context_of_the_message_before_is_caught() {
    let graph = with(7, |span| {
        span.parent = Some(id(4));
        span.links = vec![Link::to(TRACE, id(4))];
    });
    graph.assert_continuous().assert_edge("send orders", "process orders").assert_link("process orders", "send orders");
    let explained = explanation(graph.each_edge("send orders", "process orders"));
    assert_names(
        &explained,
        &[
            "(message 4) has 2 such children",
            "(message 5) has no such child",
            "orders → payments over kafka",
            "the context of one message was used for another",
        ],
    );
    assert!(!explained.contains("two spans for it"), "{explained}");
    let explained = explanation(graph.each_link("process orders", "send orders"));
    assert_names(
        &explained,
        &[
            "(message 4) is linked to by 2",
            "(message 5) is linked to by 0",
            "link was lost at the hop orders → payments",
        ],
    );
}

#[test]
fn double_injection_is_reported_with_its_hop() {
    let mut spans = story();
    spans.retain(|span| span.span_id != id(7));
    let explained = explanation(TraceGraph::new(spans).each_edge("send orders", "process orders"));
    assert_names(
        &explained,
        &["(message 5) has no such child", "at the hop orders → payments over kafka", "two spans for it"],
    );
}

#[test]
fn missing_doubled_and_foreign_links_differ() {
    let none = with(9, |span| span.links.clear());
    assert_names(
        &explanation(none.link("process shipping", "send shipping")),
        &["has no links", "`shipping` did not link", "the link was lost at the hop payments → shipping"],
    );
    let doubled = with(9, |span| span.links.push(Link::to(TRACE, id(8))));
    assert_names(
        &explanation(doubled.links_exactly("process shipping", &[(TRACE, id(8))])),
        &["2 links to payments · send shipping"],
    );
    // One consumer that links to both messages: each message is linked to once, and the consumer is not one to one.
    let batch = with(6, |span| span.links.push(Link::to(TRACE, id(5))));
    assert_names(
        &explanation(batch.each_link(SpanSelector::from(id(6)), named("send orders"))),
        &["has 2 of these links"],
    );
    let foreign = with(9, |span| span.links = vec![Link::to(OTHER, id(8))]);
    let explained = explanation(foreign.links_exactly("process shipping", &[(TRACE, id(8))]));
    assert_names(
        &explained,
        &[
            "no link to payments · send shipping",
            "that was not expected",
            "the link was lost at the hop payments → shipping",
        ],
    );
    assert_names(
        &explanation(foreign.each_link("process shipping", "send shipping")),
        &["has 0 of these links", "never received"],
    );
}

#[test]
fn flags_that_an_exporter_leaves_out_are_no_flags() {
    let python = |span: &mut Span| {
        span.flags = Some(0x300);
        span.resource = Arc::new([("service.name", "payments"), ("telemetry.sdk.language", "python")].into());
    };
    let graph = with(6, python);
    assert_eq!(graph.find(id(6)).next().and_then(Span::sampled), None);
    graph.assert_sampled_consistently().assert_flags_preserved();
    assert!(with(6, |span| span.flags = Some(0x300)).sampled_consistently().is_err(), "others say them");
}

#[test]
fn a_flipped_flag_and_a_cut_tracestate_name_the_hop() {
    let flipped = with(6, |span| span.flags = Some(0x302));
    assert_names(
        &explanation(flipped.sampled_consistently()),
        &["flags 00", "orders → payments over kafka", "flipped"],
    );
    assert!(with(6, |span| span.flags = Some(0x301)).sampled_consistently().is_ok());
    assert_names(&explanation(with(6, |span| span.flags = Some(0x301)).flags_preserved()), &["flags 01", "has 03"]);
    let state = |number: u8, below: &'static str| {
        let mut spans = story();
        spans
            .iter_mut()
            .for_each(|span| span.trace_state = if span.span_id == id(number) { below } else { "a=1,b=2" }.to_owned());
        TraceGraph::new(spans).trace_state_preserved()
    };
    for legal in ["a=1,b=2", "own=9,a=1,b=2", "b=9,a=1"] {
        assert!(state(9, legal).is_ok(), "{legal}: {:?}", state(9, legal));
    }
    for lost in ["", "b=2", "b=2,a=1", "a=1,b=9", "own=1,a=9,b=2"] {
        assert_names(&explanation(state(9, lost)), &["payments → shipping over rabbitmq"]);
    }
}

#[test]
fn a_value_in_two_traces_is_cross_talk() {
    let mut spans = story();
    spans.iter_mut().for_each(|span| span.attributes.push("tenant.id", "acme"));
    let mut other = Span::new(OTHER, id(1), "GET");
    other.attributes.push("tenant.id", "globex");
    spans.push(other.clone());
    assert!(TraceGraph::new(spans.clone()).one_value_per_trace("tenant.id").is_ok());
    other.span_id = id(2);
    other.attributes = [("tenant.id", "acme")].into();
    spans.push(other);
    assert_names(
        &explanation(TraceGraph::new(spans).one_value_per_trace("tenant.id")),
        &["has 2 values", "`acme` is in 2 traces"],
    );
    assert_names(&explanation(TraceGraph::new(story()).one_value_per_trace("tenant.id")), &["no span has it"]);
}

#[test]
fn a_slow_clock_breaks_no_order_and_a_real_anachronism_does() {
    let mut spans = story();
    // The clock of `orders` is ten seconds slow, that of `payments` ten minutes fast.
    for span in &mut spans {
        let shift = match span.service() {
            "orders" => -10_000_000_000_i64,
            "payments" => 600_000_000_000,
            _ => 0,
        };
        span.start = span.start.saturating_add_signed(shift);
        span.end = span.end.saturating_add_signed(shift);
    }
    let graph = TraceGraph::new(spans.clone());
    let steps: Vec<SpanSelector> =
        ["gateway", "orders", "process orders", "process shipping"].map(SpanSelector::from).into();
    graph.assert_causal_times().assert_ordered(&steps);
    let shift = Clocks::of(&graph).shift(graph.get(TRACE, id(3)).expect("there"));
    assert!((9_990_000_000..=10_010_000_000).contains(&shift), "{shift}");
    // A server that outlives a client that gave up is no matter of clocks.
    let outlived = with(3, |span| span.end += 100_000_000);
    assert!(outlived.spans().all(|span| Clocks::of(&outlived).shift(span) == 0));
    // Within one process no clock explains a child that begins before its parent.
    spans.iter_mut().filter(|span| span.span_id == id(8)).for_each(|span| span.start -= 20_000_000);
    assert_names(&explanation(TraceGraph::new(spans).causal_times()), &["send shipping", "before", "which caused it"]);
    let mut steps = steps;
    steps.reverse();
    assert_names(&explanation(graph.ordered(&steps)), &["begins before", "process orders"]);
}

#[test]
fn repeated_reused_zero_and_looping_ids_are_survived_and_told() {
    let mut spans = story();
    spans.push(spans[3].clone());
    let graph = TraceGraph::new(spans.clone());
    assert_eq!((graph.repeated(), graph.len()), (1, 9));
    graph.assert_ids_valid();
    let mut twin = spans[3].clone();
    twin.name = "another".to_owned();
    spans.push(twin);
    assert_names(&explanation(TraceGraph::new(spans).ids_valid()), &["another span of its trace has too"]);
    let looping = with(1, |span| span.parent = Some(id(9)));
    assert_names(&explanation(looping.ids_valid()), &["is its own ancestor"]);
    assert_eq!(looping.to_string().lines().filter(|line| line.contains(" ms  ")).count(), 9);
    assert_names(&explanation(with(1, |span| span.parent = Some(id(1))).one_root()), &["each span has a parent"]);
    assert_names(&explanation(TraceGraph::new([Span::new(TraceId::default(), id(1), "x")]).ids_valid()), &["zeros"]);
}

#[test]
fn empty_graph_is_reported() {
    let nothing = TraceGraph::default();
    for explained in [nothing.continuous(), nothing.one_root(), nothing.connected(), nothing.one_trace()] {
        assert_names(&explanation(explained), &["no spans at all", "nothing was exported"]);
    }
}

#[test]
fn links_join_traces_that_parents_do_not() {
    let mut late = Span::new(OTHER, id(1), "settle");
    late.links.push(Link::to(TRACE, id(9)));
    let graph = TraceGraph::new(story().into_iter().chain([late]));
    graph.assert_connected().assert_reachable("gateway", "settle");
    assert_eq!(graph.linked(OTHER).len(), 10);
    assert_eq!(graph.trace(OTHER).len(), 1);
}

#[test]
fn findings_of_conventions_come_with_the_span() {
    let explained = explanation(TraceGraph::new(story()).conventions(Version::V1_45));
    assert_names(&explained, &["send orders", "`messaging.operation.name` is missing"]);
}
