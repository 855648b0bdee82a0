use super::*;
use crate::trace::{AssertionFailure, Span, SpanId, TraceGraph, TraceId};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-00f067aa0ba902b7-01";

fn good() -> WireRecord {
    WireRecord::new("orders", "payments", "kafka")
        .field("traceparent", PARENT)
        .field("tracestate", "a=1,b@c=2")
        .field("baggage", "tenant.id=acme,flag=a%20b;p=1")
        .of_message("m1")
}

fn wire(record: WireRecord) -> Wire {
    [record].into_iter().collect()
}

#[track_caller]
fn assert_names(claim: Result<(), AssertionFailure>, parts: &[&str]) {
    let failure = claim.expect_err("the claim should be broken").to_string();
    for part in parts {
        assert!(failure.contains(part), "`{part}` is missing in:\n{failure}");
    }
}

#[test]
fn a_message_by_the_book_passes_every_claim() {
    let wire = wire(good());
    wire.assert_exactly_one(&["traceparent", "tracestate", "baggage"])
        .assert_at_most_one(&["traceparent"])
        .assert_absent(&["b3"])
        .assert_valid_context()
        .assert_within(3, 200)
        .assert_baggage_within(2, 40)
        .assert_baggage_only(&["tenant.id", "flag"])
        .assert_no_cross_talk("tenant.id");
    let record = &wire.records()[0];
    assert_eq!(record.baggage()[1].value, "a b");
    assert_eq!(record.baggage()[1].properties, "p=1");
}

#[test]
fn each_break_names_the_hop() {
    const HOP: &str = "orders → payments over kafka";
    let twice = || good().field("Traceparent", PARENT);
    assert_names(
        wire(twice()).exactly_one(&["traceparent"]),
        &[HOP, "2 values of `traceparent`", "named `Traceparent`", "appended"],
    );
    assert_names(wire(twice()).at_most_one(&["traceparent"]), &[HOP, "2 values"]);
    assert_names(
        wire(WireRecord::new("orders", "payments", "kafka")).exactly_one(&["traceparent"]),
        &[HOP, "no `traceparent`"],
    );
    assert_names(wire(good()).absent(&["baggage"]), &[HOP, "`baggage` is there"]);
    assert_names(wire(good()).within(2, 1000), &[HOP, "3 fields"]);
    assert_names(wire(good()).within(3, 100), &[HOP, "bytes"]);
    assert_names(wire(good()).baggage_within(1, 1000), &[HOP, "2 members"]);
    assert_names(wire(good()).baggage_only(&["flag"]), &[HOP, "the key `tenant.id`"]);
    assert_names(wire(good()).typed(&["traceparent"], "LongString"), &[HOP, "`traceparent` is of type"]);
    assert!(
        wire(WireRecord::default().typed_field("baggage", "LongString", "a=1"))
            .typed(&["baggage"], "LongString")
            .is_ok()
    );
}

#[test]
fn invalid_values_are_distinguished() {
    for (value, why) in [
        ("", "begin"),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "begin"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", "55 bytes"),
        ("00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "lower-case"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1", "lower-case"),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", "zeros"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "zeros"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-04", "flags"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01", "no `-`"),
    ] {
        assert_names(wire(WireRecord::default().field("traceparent", value)).valid_context(), &[why]);
    }
    let too_many = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    for (value, why) in
        [("", "empty"), ("a", "without `=`"), ("A=1", "key"), ("a=", "value"), ("a=1,a=2", "twice"), (&too_many, "32")]
    {
        assert_names(wire(WireRecord::default().field("tracestate", value)).valid_context(), &[why]);
    }
    for value in ["a", "a b=1", "a=é", "a=\"x\"", "=1", ""] {
        assert!(wire(WireRecord::default().field("baggage", value)).valid_context().is_err(), "{value}");
    }
}

#[test]
fn changed_context_is_reported() {
    let forwarded = WireRecord::new("payments", "audit", "kafka").field("traceparent", OTHER).of_message("m1");
    let both: Wire = [good(), forwarded].into_iter().collect();
    assert_names(both.creation_context_unchanged(), &["message m1", "payments → audit over kafka", OTHER]);
    let same: Wire = [good(), good()].into_iter().collect();
    same.assert_creation_context_unchanged();
    assert_names(wire(good()).creation_context_unchanged(), &["more than once"]);
}

#[test]
fn stale_valid_context_is_reported() {
    let ids: (TraceId, SpanId) =
        ("4bf92f3577b34da6a3ce929d0e0e4736".parse().expect("id"), "00f067aa0ba902b7".parse().expect("id"));
    let mut span = Span::new(ids.0, ids.1, "send orders");
    span.resource = std::sync::Arc::new([("service.name", "orders")].into());
    wire(good()).assert_carries_spans_of(&TraceGraph::new([span.clone()]));
    span.resource = std::sync::Arc::new([("service.name", "gateway")].into());
    assert_names(wire(good()).carries_spans_of(&TraceGraph::new([span])), &["the parent is gateway", "sent on"]);
    assert_names(wire(good()).carries_spans_of(&TraceGraph::default()), &["never received"]);
}

#[test]
fn flipped_flag_is_reported_with_its_hop() {
    let flipped = "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-00";
    let onward = |traceparent| WireRecord::new("payments", "audit", "kafka").field("traceparent", traceparent);
    let random = "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-03";
    let same: Wire = [good(), onward(random), onward(OTHER)].into_iter().collect();
    same.assert_sampled_consistently();
    let both: Wire = [good(), onward(flipped)].into_iter().collect();
    assert_names(
        both.sampled_consistently(),
        &["payments → audit over kafka", "was 1 at orders → payments", "flipped"],
    );
    assert_names(wire(WireRecord::default()).sampled_consistently(), &["no message has a valid traceparent"]);

    let id = |text: &str| text.parse().expect("id");
    let mut span = Span::new("4bf92f3577b34da6a3ce929d0e0e4736".parse().expect("id"), id("00f067aa0ba902b7"), "send");
    span.resource = std::sync::Arc::new([("service.name", "orders")].into());
    span.flags = Some(0x100);
    assert_names(wire(good()).carries_spans_of(&TraceGraph::new([span])), &["orders → payments over kafka", "flipped"]);
}

#[test]
fn value_of_another_request_is_reported() {
    let leaked =
        WireRecord::new("orders", "payments", "kafka").field("traceparent", OTHER).field("baggage", "tenant.id=acme");
    let both: Wire = [good(), leaked].into_iter().collect();
    assert_names(both.no_cross_talk("tenant.id"), &["`acme`", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]);
    assert_names(wire(good()).no_cross_talk("user.id"), &["no message has it"]);
}

#[test]
fn nothing_recorded_proves_nothing() {
    let nothing = Wire::new();
    for claim in
        [nothing.absent(&["baggage"]), nothing.valid_context(), nothing.baggage_only(&[]), nothing.within(9, 9)]
    {
        assert_names(claim, &["no message was recorded"]);
    }
}

#[test]
fn clones_share_one_log_and_views_do_not() {
    let wire = Wire::new();
    wire.clone().record(good());
    wire.record(WireRecord::new("a", "b", "http"));
    assert_eq!(
        (wire.records().len(), wire.over("kafka").records().len(), wire.between("a", "b").records().len()),
        (2, 1, 1)
    );
    assert!(wire.to_string().contains("orders → payments over kafka (message m1)"));
}
