use amq_protocol::frame::WriteContext;
use lapin::{
    BasicProperties,
    protocol::basic::gen_properties,
    types::{AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString, ShortString},
};
use propagation_amqp::{FrameLimit, ProducerPropagation, PropertiesCarrier, PropertiesCarrierMut, PropertiesExt};
use propagation_core::{
    Extract, InboundRule, Inject, OutboundRule, Peer, Policy, PropagationContext, Propagator, RejectReason, Transport,
    carrier::laws,
};

use crate::shop::{PARENT, headers, text};

struct Message;

impl laws::Subject for Message {
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
        with(&PropertiesCarrier::new(message));
    }

    fn inject(message: &mut BasicProperties, with: &mut dyn FnMut(&mut dyn Inject)) {
        with(&mut PropertiesCarrierMut::new(message, FrameLimit::DEFAULT));
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
fn every_textual_header_type_is_read() {
    for value in [
        AMQPValue::LongString(LongString::from(PARENT)),
        AMQPValue::ShortString(ShortString::try_new(PARENT).unwrap()),
        AMQPValue::ByteArray(ByteArray::from(PARENT.as_bytes())),
    ] {
        let message = received(vec![("traceparent", value.clone())]);
        let context = open().extract(&Peer::amqp("shipping"), &PropertiesCarrier::new(&message)).context;
        assert!(context.trace.has_ids(), "{value:?}");
    }
}

#[test]
fn malformed_headers_are_rejected_and_counted() {
    let nested = FieldTable::from(std::collections::BTreeMap::from([("traceparent".into(), text(PARENT))]));
    let commas = ",".repeat(1_000_000);
    for (value, reason) in [
        (AMQPValue::Void, Some(RejectReason::Malformed)),
        (AMQPValue::LongLongInt(7), Some(RejectReason::Malformed)),
        (AMQPValue::FieldTable(nested), Some(RejectReason::Malformed)),
        (AMQPValue::ByteArray(ByteArray::from(&[0xff_u8, 0xfe][..])), Some(RejectReason::Malformed)),
        (text(&commas), Some(RejectReason::Malformed)),
    ] {
        let message = received(vec![("traceparent", value.clone()), ("baggage", text(&commas))]);
        let admission = open().extract(&Peer::amqp("shipping"), &PropertiesCarrier::new(&message));
        assert!(admission.context.is_empty());
        assert_eq!(admission.rejections.first().map(|rejection| rejection.reason), reason);
    }
}

/// Injects into a frame of this size, and returns the names of the written fields.
fn names_that_fit(frame: u32) -> Vec<String> {
    let propagator = open();
    let from = vec![
        ("traceparent".to_owned(), PARENT.as_bytes().to_vec()),
        ("tracestate".to_owned(), format!("a={}", "1".repeat(100)).into_bytes()),
        ("baggage".to_owned(), format!("k={}", "v".repeat(1000)).into_bytes()),
    ];
    let context = propagator.extract(&Peer::caller(Transport::HTTP), &from).context;
    let mut message = received(vec![("own", text("stays"))]).with_message_id("m-1".into());
    let before = message.clone();
    let injection =
        propagator.inject(&Peer::amqp("shop"), &context, &mut PropertiesCarrierMut::new(&mut message, frame));
    let names: Vec<String> = headers(&message).into_keys().filter(|name| name != "own").collect();
    assert_eq!(names.len(), injection.written().len());
    assert_eq!(
        3 - names.len(),
        injection.rejected().iter().filter(|left| left.reason == RejectReason::TooLarge).count()
    );
    if names.is_empty() {
        assert_eq!(message, before, "a message without room stays as it was");
    }
    names
}

#[test]
fn frame_without_room_drops_baggage_first() {
    assert_eq!(names_that_fit(131_072), ["baggage", "traceparent", "tracestate"]);
    assert_eq!(names_that_fit(1_000), ["traceparent", "tracestate"]);
    assert_eq!(names_that_fit(200), ["traceparent"]);
    assert_eq!(names_that_fit(100), [""; 0]);
    assert_eq!(names_that_fit(0).len(), 3, "zero means no limit");
}

#[test]
fn headers_of_an_outgoing_message_are_readable() {
    let mut message = received(vec![("traceparent", text(PARENT)), ("own", text("1"))]);
    let carrier = PropertiesCarrierMut::new(&mut message, FrameLimit::DEFAULT);
    let mut all = Vec::new();
    carrier.visit_all(&mut |name, value| all.push((name.to_owned(), value.as_bytes().to_vec())));
    all.sort();
    assert_eq!(all, [("own".to_owned(), b"1".to_vec()), ("traceparent".to_owned(), PARENT.into())]);
    let mut values = Vec::new();
    let name = propagation_core::FieldName::from_static("traceparent");
    carrier.visit(&name, &mut |value| values.push(value.as_bytes().to_vec()));
    assert_eq!(values, [PARENT.as_bytes()]);
}

#[test]
fn exchange_rule_does_not_cover_a_queue_of_its_name() {
    let sent = |pattern: &str, exchange: &str, routing_key: &str| {
        let policy = Policy::builder().outbound(OutboundRule::peers([pattern]).allow("tenant.id")).build().unwrap();
        let propagator = Propagator::builder().policy(policy).build();
        let mut context = PropagationContext::EMPTY;
        context.baggage.set("tenant.id", "blue").unwrap();
        let mut properties = BasicProperties::default();
        let hop = propagator.continue_from(context);
        let producer = ProducerPropagation::new(propagator.clone(), FrameLimit::DEFAULT);
        hop.in_scope(|| drop(producer.prepare(exchange, routing_key, &mut properties)));
        headers(&properties).iter().any(|(name, _)| name == "baggage")
    };
    // A caller names the queue by `reply_to`.
    assert!(!sent("amqp:shop", "", "shop"));
    assert!(sent("amqp:queue/shop", "", "shop"));
    assert!(sent("amqp:shop", "shop", "paid"));
    assert!(!sent("amqp:queue/shop", "shop", "paid"));
    assert!(sent("amqp:*", "", "shop"));
}

#[test]
fn injection_by_hand_names_a_queue_by_its_prefix() {
    let policy = Policy::builder().outbound(OutboundRule::peers(["amqp:queue/replies"]).allow("tenant.id"));
    let propagator = Propagator::builder().policy(policy.build().unwrap()).build();
    let mut context = PropagationContext::EMPTY;
    context.baggage.set("tenant.id", "blue").unwrap();
    for (destination, crosses) in [("queue/replies", true), ("replies", false)] {
        let mut properties = BasicProperties::default();
        let injection = properties.inject(&propagator, destination, &context, FrameLimit::DEFAULT);
        assert_eq!(injection.is_written("baggage"), crosses, "{destination}");
    }
}

#[test]
fn empty_injection_adds_no_header_table() {
    let mut message = BasicProperties::default();
    let nothing = propagation_core::PropagationContext::EMPTY;
    let injection =
        open().inject(&Peer::amqp("shop"), &nothing, &mut PropertiesCarrierMut::new(&mut message, FrameLimit::DEFAULT));
    assert_eq!(injection.written().len(), 0);
    assert_eq!(message, BasicProperties::default(), "not even an empty table");
}

/// Every property but the headers, one by one.
fn properties() -> Vec<BasicProperties> {
    let none = BasicProperties::default;
    vec![
        none(),
        none().with_content_type("text".into()),
        none().with_content_encoding("gzip".into()),
        none().with_delivery_mode(2),
        none().with_priority(1),
        none().with_correlation_id("correlation".into()),
        none().with_reply_to("reply".into()),
        none().with_expiration("1000".into()),
        none().with_message_id("message".into()),
        none().with_timestamp(1_700_000_000),
        none().with_type("order".into()),
        none().with_user_id("guest".into()),
        none().with_app_id("shop".into()),
        none().with_cluster_id("one".into()),
    ]
}

/// A value of every type that a header can have.
pub(crate) fn every_type() -> [AMQPValue; 18] {
    let nested = FieldTable::from(std::collections::BTreeMap::from([("inner".into(), text("value"))]));
    let array = FieldArray::from(vec![text("one"), AMQPValue::Boolean(true), AMQPValue::Void]);
    [
        AMQPValue::Void,
        AMQPValue::Boolean(true),
        AMQPValue::ShortShortInt(-1),
        AMQPValue::ShortShortUInt(1),
        AMQPValue::ShortInt(-1),
        AMQPValue::ShortUInt(1),
        AMQPValue::LongInt(-1),
        AMQPValue::LongUInt(1),
        AMQPValue::LongLongInt(-1),
        AMQPValue::Float(0.5),
        AMQPValue::Double(0.5),
        AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 100 }),
        AMQPValue::ShortString("short".into()),
        AMQPValue::LongString(LongString::from("long")),
        AMQPValue::ByteArray(ByteArray::from(&b"bytes"[..])),
        AMQPValue::FieldArray(array),
        AMQPValue::Timestamp(1_700_000_000),
        AMQPValue::FieldTable(nested),
    ]
}

/// Headers of every type, one by one, and of none.
fn tables() -> Vec<FieldTable> {
    let table = |value| FieldTable::from(std::collections::BTreeMap::from([("own".into(), value)]));
    every_type().map(table).into_iter().chain([FieldTable::default()]).collect()
}

#[test]
fn room_in_a_frame_is_exact_for_every_header_type() {
    let propagator = open();
    let context =
        propagation_core::PropagationContext::new(propagation_core::TraceContext::new(PARENT.parse().unwrap()));
    let with_tables = tables().into_iter().map(|table| BasicProperties::default().with_headers(table));
    for message in properties().into_iter().chain(with_tables) {
        let fits = |limit: u32| {
            let mut message = message.clone();
            let injection = propagator.inject(
                &Peer::caller(Transport::AMQP),
                &context,
                &mut PropertiesCarrierMut::new(&mut message, limit),
            );
            injection.is_written("traceparent").then_some(message)
        };
        let whole = fits(0).expect("without a limit it fits");
        let encoded = gen_properties(&whole)(WriteContext::from(Vec::new())).unwrap().into_inner().0.len();
        // The frame's own bytes and the rest of its header come on top (AMQP 0-9-1, 2.3.5.2).
        let limit = u32::try_from(encoded).unwrap() + 8 + 12;
        assert!(fits(limit).is_some(), "{message:?} fits into {limit}");
        assert!(fits(limit - 1).is_none(), "{message:?} does not fit into {}", limit - 1);
    }
}

#[test]
fn tracestate_short_of_room_loses_whole_members() {
    let state = format!("a=1,long={},b=2,c=3", "x".repeat(200));
    // The size of the properties without a value of tracestate.
    let frame =
        |value: usize| u32::try_from(8 + 12 + 2 + 4 + (1 + 11 + 1 + 4 + 55) + (1 + 10 + 1 + 4) + value).unwrap();
    for (room, kept) in [
        (state.len(), Some(state.as_str())),
        (state.len() - 1, Some("a=1,b=2,c=3")),
        (11, Some("a=1,b=2,c=3")),
        (10, Some("a=1,b=2")),
        (3, Some("a=1")),
        (2, None),
    ] {
        let from = vec![
            ("traceparent".to_owned(), PARENT.as_bytes().to_vec()),
            ("tracestate".to_owned(), state.clone().into_bytes()),
        ];
        let propagator = open();
        let context = propagator.extract(&Peer::caller(Transport::HTTP), &from).context;
        let mut message = BasicProperties::default();
        let mut carrier = PropertiesCarrierMut::new(&mut message, frame(room));
        let injection = propagator.inject(&Peer::amqp("shop"), &context, &mut carrier);
        let written = headers(&message);
        assert_eq!(written.get("tracestate").map(String::as_str), kept, "{room}");
        assert_eq!(written["traceparent"], PARENT);
        assert_eq!(injection.rejected().len(), usize::from(kept != Some(&state)), "{room}");
    }
}

#[test]
fn tracestate_is_never_written_without_ids() {
    let from = vec![("traceparent".to_owned(), PARENT.as_bytes().to_vec()), ("tracestate".to_owned(), b"a=1".to_vec())];
    let propagator = open();
    let context = propagator.extract(&Peer::caller(Transport::HTTP), &from).context;
    let mut message = BasicProperties::default();
    propagator.inject(&Peer::amqp("shop"), &context, &mut PropertiesCarrierMut::new(&mut message, 60));
    assert_eq!(message, BasicProperties::default());
}

#[test]
fn debug_of_carriers_masks_values() {
    let mut table = FieldTable::default();
    table.insert("baggage".into(), AMQPValue::LongString("tenant.id=zebra".into()));
    let mut properties = BasicProperties::default().with_headers(table).with_correlation_id("zebra".into());
    let read = format!("{:#?}", PropertiesCarrier::new(&properties));
    let written = format!("{:?}", PropertiesCarrierMut::new(&mut properties, 131_072));
    assert!(!read.contains("zebra") && !written.contains("zebra"), "{read} {written}");
}
