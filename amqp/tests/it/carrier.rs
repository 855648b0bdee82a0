use lapin::{
    BasicProperties,
    types::{AMQPValue, ByteArray, FieldTable, LongString, ShortString},
};
use propagation_amqp::{FrameLimit, HeadersCarrier, PropertiesCarrier};
use propagation_core::{Extract, InboundRule, Inject, OutboundRule, Peer, Policy, Propagator, Reason, carrier_laws};

use crate::shop::{PARENT, headers, text};

struct Message;

impl carrier_laws::Subject for Message {
    type Message = BasicProperties;
    const ORDERED: bool = false;
    const REPEATS: bool = false;

    fn empty() -> BasicProperties {
        BasicProperties::default()
    }

    fn put(message: &mut BasicProperties, name: &str, value: &[u8]) {
        let mut table = message.headers().clone().unwrap_or_default();
        table.insert(name.into(), AMQPValue::LongString(LongString::from(value)));
        *message = std::mem::take(message).with_headers(table);
    }

    fn entries(message: &BasicProperties) -> Vec<(String, Vec<u8>)> {
        headers(message).into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
    }

    fn extract(message: &BasicProperties, with: &mut dyn FnMut(&dyn Extract)) {
        with(&HeadersCarrier(message));
    }

    fn inject(message: &mut BasicProperties, with: &mut dyn FnMut(&mut dyn Inject)) {
        with(&mut PropertiesCarrier::new(message, FrameLimit::DEFAULT));
    }
}

propagation_core::carrier_laws!(Message);

fn open() -> Propagator {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["*"]).allow("*"))
        .outbound(OutboundRule::peers(["*"]).allow("*"))
        .build()
        .unwrap();
    Propagator::builder().policy(policy).build()
}

fn received(entries: Vec<(&str, AMQPValue)>) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
    BasicProperties::default().with_headers(table)
}

#[test]
fn every_type_that_holds_text_is_read() {
    for value in [
        AMQPValue::LongString(LongString::from(PARENT)),
        AMQPValue::ShortString(ShortString::try_new(PARENT).unwrap()),
        AMQPValue::ByteArray(ByteArray::from(PARENT.as_bytes())),
    ] {
        let message = received(vec![("traceparent", value.clone())]);
        let context = open().extract(&Peer::amqp("shipping"), &HeadersCarrier(&message)).context;
        assert!(context.trace.has_ids(), "{value:?}");
    }
}

#[test]
fn poison_headers_are_refused_and_counted_and_nothing_else() {
    let nested = FieldTable::from(std::collections::BTreeMap::from([("traceparent".into(), text(PARENT))]));
    let commas = ",".repeat(1_000_000);
    for (value, reason) in [
        (AMQPValue::Void, Some(Reason::Malformed)),
        (AMQPValue::LongLongInt(7), Some(Reason::Malformed)),
        (AMQPValue::FieldTable(nested), Some(Reason::Malformed)),
        (AMQPValue::ByteArray(ByteArray::from(&[0xff_u8, 0xfe][..])), Some(Reason::Malformed)),
        (text(&commas), Some(Reason::Malformed)),
    ] {
        let message = received(vec![("traceparent", value.clone()), ("baggage", text(&commas))]);
        let admission = open().extract(&Peer::amqp("shipping"), &HeadersCarrier(&message));
        assert!(admission.context.is_empty());
        assert_eq!(admission.rejections.first().map(|rejection| rejection.reason), reason);
    }
}

/// What a frame of this size leaves room for.
fn names_that_fit(frame: u32) -> Vec<String> {
    let propagator = open();
    let from = vec![
        ("traceparent".to_owned(), PARENT.as_bytes().to_vec()),
        ("tracestate".to_owned(), format!("a={}", "1".repeat(100)).into_bytes()),
        ("baggage".to_owned(), format!("k={}", "v".repeat(1000)).into_bytes()),
    ];
    let context = propagator.extract(&Peer::http(""), &from).context;
    let mut message = received(vec![("own", text("stays"))]).with_message_id("m-1".into());
    let before = message.clone();
    let injection = propagator.inject(&Peer::amqp("shop"), &context, &mut PropertiesCarrier::new(&mut message, frame));
    let names: Vec<String> = headers(&message).into_keys().filter(|name| name != "own").collect();
    assert_eq!(names.len(), injection.written.len());
    assert_eq!(3 - names.len(), injection.left_out.iter().filter(|left| left.reason == Reason::NoRoom).count());
    if names.is_empty() {
        assert_eq!(message, before, "a message without room stays as it was");
    }
    names
}

#[test]
fn what_does_not_fit_the_frame_is_left_out_baggage_first() {
    assert_eq!(names_that_fit(131_072), ["baggage", "traceparent", "tracestate"]);
    assert_eq!(names_that_fit(1_000), ["traceparent", "tracestate"]);
    assert_eq!(names_that_fit(200), ["traceparent"]);
    assert_eq!(names_that_fit(100), [""; 0]);
    assert_eq!(names_that_fit(0).len(), 3, "zero means no limit");
}
