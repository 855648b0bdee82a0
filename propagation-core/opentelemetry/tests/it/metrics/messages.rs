//! Counters of sent and consumed messages.

use propagation_core::{Hop, NoBridge, Outcome, Propagator, SpanKind};
use propagation_opentelemetry::metrics::HopMetrics;

use super::{Metered, SECONDS, caller, series};

const SEND: [(&str, &str); 4] = [
    ("messaging.destination.name", "orders"),
    ("messaging.destination.partition.id", "3"),
    ("messaging.operation.name", "send"),
    ("messaging.system.name", "kafka"),
];

fn message(kind: SpanKind, name: &'static str, operation: &'static str) -> Hop {
    Hop::remote(kind, caller())
        .with("messaging.system.name", "kafka")
        .with("messaging.operation.name", name)
        .with("messaging.operation.type", operation)
        .with("messaging.destination.name", "orders")
        .with("messaging.destination.partition.id", "3")
        .with("messaging.consumer.group.name", "billing")
        .with("messaging.client.id", "client-1")
        .with("messaging.message.id", "m-1")
        .with("kafka.offset", 42_i64)
}

#[test]
fn sent_messages_are_counted_once_each() {
    let metered = Metered::new();
    let propagator = metered.propagator(NoBridge);
    for _ in 0..3 {
        propagator.start(message(SpanKind::Producer, "create", "create")).end(&Outcome::Unset);
    }
    propagator
        .start(message(SpanKind::Client, "send", "send").with("messaging.batch.message_count", 3_usize))
        .end(&Outcome::Unset);
    propagator.start(message(SpanKind::Producer, "send", "send")).end(&Outcome::Unset);

    let exported = metered.exported();
    let sent = &exported["messaging.client.sent.messages"];
    assert_eq!((sent.unit.as_str(), &sent.series), ("{message}", &vec![series(SEND, 4)]));
    let operations = &exported["messaging.client.operation.duration"];
    assert_eq!((operations.unit.as_str(), operations.bounds.as_slice()), ("s", SECONDS.as_slice()));
    let of =
        |kind| operations.series.iter().find(|(attributes, _)| attributes["messaging.operation.type"] == kind).unwrap();
    assert_eq!((of("create").1, of("send").1), (3, 2));
    let keys: Vec<&str> = of("send").0.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "messaging.consumer.group.name",
            "messaging.destination.name",
            "messaging.destination.partition.id",
            "messaging.operation.name",
            "messaging.operation.type",
            "messaging.system.name",
        ]
    );
    assert_eq!(exported.len(), 2);
}

#[test]
fn delivered_message_is_counted_once() {
    let pushed = Metered::new();
    let propagator = pushed.propagator(NoBridge);
    for _ in 0..2 {
        propagator.start(message(SpanKind::Consumer, "process", "process")).end(&Outcome::Unset);
    }
    let exported = pushed.exported();
    let consumed = &exported["messaging.client.consumed.messages"];
    assert_eq!(consumed.unit, "{message}");
    assert_eq!(consumed.series.iter().map(|(_, count)| count).sum::<u64>(), 2);
    let process = &exported["messaging.process.duration"];
    assert_eq!((process.bounds.as_slice(), process.series[0].1), (SECONDS.as_slice(), 2));
    assert_eq!(exported.len(), 2, "processing is no operation of a client");

    let pulled = Metered::new();
    let propagator = pulled.propagator(NoBridge);
    let receive = propagator.start(message(SpanKind::Client, "receive", "receive"));
    receive.set_attribute("messaging.batch.message_count", 2_usize);
    receive.end(&Outcome::Unset);
    // One receive without messages, and one that links to its message.
    propagator.start(message(SpanKind::Client, "receive", "receive")).end(&Outcome::Unset);
    let linked = propagator.start(message(SpanKind::Client, "receive", "receive"));
    linked.add_link(&caller().trace);
    linked.end(&Outcome::Unset);
    for _ in 0..3 {
        propagator.start(message(SpanKind::Consumer, "process", "process")).end(&Outcome::error("app::Refused"));
    }
    let exported = pulled.exported();
    let consumed = &exported["messaging.client.consumed.messages"].series;
    assert_eq!(consumed.len(), 1);
    assert_eq!((consumed[0].0["messaging.operation.name"].as_str(), consumed[0].1), ("receive", 3));
    let process = &exported["messaging.process.duration"].series[0];
    assert_eq!((process.0["error.type"].as_str(), process.1), ("app::Refused", 3));
}

#[test]
fn queues_without_number_can_be_left_out() {
    let metered = Metered::new();
    let bridge = HopMetrics::new(&metered.meter(), NoBridge).without_destinations();
    let propagator = Propagator::builder().bridge(bridge).build();
    for n in 0..20 {
        let hop = message(SpanKind::Consumer, "process", "process");
        let hop = hop.with("messaging.destination.name", format!("reply-{n}"));
        propagator.start(hop).end(&Outcome::Unset);
    }
    let exported = metered.exported();
    assert_eq!(exported["messaging.process.duration"].series.len(), 1);
    assert_eq!(exported["messaging.client.consumed.messages"].series[0].1, 20);
}
