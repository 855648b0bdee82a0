//! The place of a context on a message with little room.

use aws_sdk_sqs::{operation::send_message::SendMessageInput, types::Message};
use propagation_core::{Direction, RejectReason, TraceContext};
use propagation_sqs::{AttributeMode, ConsumerPropagation, OutgoingExt, PACKED_ATTRIBUTE, SizeLimit, SqsInterceptor};

use crate::setup::{
    BAGGAGE, Endpoint, PARENT, STATE, Seen, XRAY, caller, entry, inside, numbered, propagator, receive, string,
};

/// The most bytes of a message.
const MOST: usize = 1_048_576;

const ALL: &[&str] = &["baggage", "traceparent", "tracestate"];

/// Sends with this number of user attributes. Returns the message on the wire and the received context.
async fn crossing(mode: AttributeMode, attributes: usize) -> (Seen, propagation_core::PropagationContext) {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()).attribute_mode(mode));
    let send = client
        .send_message()
        .queue_url(&endpoint.queue)
        .message_body("{}")
        .set_message_attributes(Some(numbered(attributes)));
    inside(&propagator).scope(send.send()).await.unwrap();
    let mut seen = endpoint.one();
    for number in 0..attributes {
        assert_eq!(seen.attributes.remove(&format!("key-{number}")).as_deref(), Some("v"), "the user's own survive");
    }
    let message = receive(&client, &endpoint.queue).await.remove(0);
    let consumer = ConsumerPropagation::new(propagator, &endpoint.queue);
    (seen, consumer.extract(&message).context)
}

#[tokio::test]
async fn separate_attributes_use_free_slots_ids_first() {
    for (attributes, names, header) in [
        (0, ALL, None),
        (7, ALL, None),
        (8, &["traceparent", "tracestate"], None),
        (9, &["traceparent"], None),
        (10, &[], Some(XRAY)),
    ] {
        let (seen, received) = crossing(AttributeMode::Separate, attributes).await;
        assert_eq!((seen.names().as_slice(), seen.header.as_deref()), (names, header), "{attributes}");
        assert_eq!(received.trace.parent, caller().trace.parent, "{attributes}: the ids always arrive");
        assert_eq!(received.baggage.is_empty(), attributes > 7);
    }
}

#[tokio::test]
async fn absent_fields_take_no_slot() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let mut context = caller();
    context.trace = TraceContext::new(PARENT.parse().unwrap());
    let hop = propagator.continue_from(context);
    let send =
        client.send_message().queue_url(&endpoint.queue).message_body("{}").set_message_attributes(Some(numbered(8)));
    hop.scope(send.send()).await.unwrap();
    let seen = endpoint.one();
    assert_eq!((seen.get("traceparent"), seen.get("baggage")), (Some(PARENT), Some(BAGGAGE)));
    assert_eq!(propagator.counters().get(Direction::Outbound, RejectReason::TooLarge), 0);
}

#[tokio::test]
async fn packed_attribute_carries_all_in_one_slot() {
    for attributes in [0, 8, 9] {
        let (seen, received) = crossing(AttributeMode::Packed, attributes).await;
        assert_eq!((seen.names(), seen.header.as_deref()), (vec![PACKED_ATTRIBUTE], None));
        assert_eq!(received, caller());
    }
    let (seen, received) = crossing(AttributeMode::Packed, 10).await;
    assert_eq!((seen.names().len(), seen.header.as_deref()), (0, Some(XRAY)));
    assert_eq!(received.trace.parent, caller().trace.parent);
}

#[tokio::test]
async fn x_ray_mode_takes_no_slot() {
    let (seen, received) = crossing(AttributeMode::XRay, 3).await;
    assert_eq!((seen.names().len(), seen.header.as_deref()), (0, Some(XRAY)));
    assert_eq!((received.trace.parent, received.baggage.is_empty()), (caller().trace.parent, true));
}

#[tokio::test]
async fn auto_mode_is_separate_then_packed_then_x_ray() {
    for (attributes, names, header) in
        [(7, ALL, None), (8, &[PACKED_ATTRIBUTE], None), (9, &[PACKED_ATTRIBUTE], None), (10, &[], Some(XRAY))]
    {
        let (seen, received) = crossing(AttributeMode::Auto, attributes).await;
        assert_eq!((seen.names().as_slice(), seen.header.as_deref()), (names, header), "{attributes}");
        assert_eq!(received.trace.parent, caller().trace.parent);
        assert_eq!(received.baggage.is_empty(), attributes == 10);
    }
}

/// The sizes of the added attributes: name, `String`, value.
fn size(name: &str, value: &str) -> usize {
    name.len() + 6 + value.len()
}

fn message(body: usize) -> SendMessageInput {
    SendMessageInput::builder().queue_url("orders").message_body("b".repeat(body)).build().unwrap()
}

#[tokio::test]
async fn size_limit_includes_body_and_attributes() {
    let (parent, state, baggage) = (size("traceparent", PARENT), size("tracestate", STATE), size("baggage", BAGGAGE));
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    for (spare, names, in_header) in [
        (parent + state + baggage, ALL, false),
        (parent + state + baggage - 1, &["traceparent", "tracestate"][..], false),
        (parent + state, &["traceparent", "tracestate"], false),
        (
            parent + baggage,
            if state > baggage { &["baggage", "traceparent"] } else { &["traceparent", "tracestate"] },
            false,
        ),
        (parent, &["traceparent"], false),
        (parent - 1, &["baggage"], true),
        (0, &[], true),
    ] {
        let body = MOST - spare;
        let send = client.send_message().queue_url(&endpoint.queue).message_body("b".repeat(body));
        inside(&propagator).scope(send.send()).await.expect("what is added never makes a message too large");
        let seen = endpoint.one();
        assert_eq!((seen.names().as_slice(), seen.header.is_some()), (names, in_header), "{spare} bytes to spare");
    }
}

#[tokio::test]
async fn messages_for_older_queues_stay_within_their_limit() {
    const OLDER: usize = 262_144;
    let (parent, all) = (size("traceparent", PARENT), size("traceparent", PARENT) + size("tracestate", STATE));
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let older = endpoint.older_queue(OLDER).await;
    let newer = &endpoint.queue;
    for (queue, body, names, in_header) in [
        (&older, OLDER, &[][..], true),
        (&older, OLDER - parent + 1, &["baggage"], true),
        (&older, OLDER - parent, &["traceparent"], false),
        (&older, OLDER - all, &["traceparent", "tracestate"], false),
        // A message that is larger by itself goes to a queue of the newer limit.
        (newer, OLDER + 1, ALL, false),
        (newer, MOST - parent, &["traceparent"], false),
    ] {
        let send = client.send_message().queue_url(queue).message_body("b".repeat(body));
        inside(&propagator).scope(send.send()).await.expect("no send fails because of the context");
        let seen = endpoint.one();
        assert_eq!((seen.names().as_slice(), seen.header.is_some()), (names, in_header), "{body}");
    }
    let careless = endpoint.client(SqsInterceptor::new(propagator.clone()).size_limit(SizeLimit::MIB_1));
    let send = careless.send_message().queue_url(&older).message_body("b".repeat(OLDER));
    assert!(inside(&propagator).scope(send.send()).await.is_err(), "the endpoint keeps to the queue's limit");
    // The sum of a batch, and each message of a larger one.
    for (queue, bodies, names) in [
        (&older, vec![OLDER / 2; 2], &[][..]),
        (&older, vec![OLDER - 2 * parent - 1, 1], &["traceparent"]),
        (newer, vec![OLDER; 3], &[]),
        (newer, vec![OLDER + 1; 3], ALL),
    ] {
        let batch = client.send_message_batch().queue_url(queue);
        let batch = bodies
            .iter()
            .enumerate()
            .fold(batch, |batch, (number, bytes)| batch.entries(entry(&number.to_string(), &"b".repeat(*bytes))));
        let sent = inside(&propagator).scope(batch.send()).await.unwrap();
        assert!(sent.failed().is_empty(), "{bodies:?}: {:?}", sent.failed());
        for seen in endpoint.seen().iter().filter(|seen| seen.body.len() > 1) {
            assert_eq!(seen.names(), names, "{bodies:?}");
        }
    }
}

#[tokio::test]
async fn explicit_size_limit_overrides_the_default() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    for (limit, body, names) in [
        (SizeLimit::MIB_1, 262_144, ALL),
        (SizeLimit::KIB_256, 262_144, &[][..]),
        (SizeLimit::bytes(1_000), 1_000, &[]),
        (SizeLimit::DEFAULT, 1_000, ALL),
    ] {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()).size_limit(limit));
        let send = client.send_message().queue_url(&endpoint.queue).message_body("b".repeat(body));
        inside(&propagator).scope(send.send()).await.unwrap();
        assert_eq!(endpoint.one().names(), names, "{limit:?} {body}");
    }
}

#[test]
fn limit_of_256_kib_is_obeyed() {
    let propagator = propagator();
    let peer = propagation_core::Peer::sqs("orders");
    for (body, fits) in
        [(262_144 - size("traceparent", PARENT), true), (262_144 - size("traceparent", PARENT) + 1, false)]
    {
        let mut message = message(body);
        let mut carrier =
            propagation_sqs::MessageCarrierMut::new(&mut message, AttributeMode::Separate, SizeLimit::KIB_256);
        let mut context = caller();
        context.trace = TraceContext::new(PARENT.parse().unwrap());
        context.baggage = propagation_core::Baggage::EMPTY;
        let injection = propagator.inject(&peer, &context, &mut carrier);
        assert_eq!(injection.is_written("traceparent"), fits);
        assert_eq!(injection.is_written("AWSTraceHeader"), !fits);
        assert!(injection.rejected().is_empty(), "the ids are carried in any case: {injection:?}");
    }
}

#[test]
fn fields_absent_from_the_trace_header_are_reported() {
    let propagator = propagator();
    let mut message = message(MOST);
    let mut carrier =
        propagation_sqs::MessageCarrierMut::new(&mut message, AttributeMode::Separate, SizeLimit::DEFAULT);
    let injection = propagator.inject(&propagation_core::Peer::sqs("orders"), &caller(), &mut carrier);
    assert!(injection.written().eq(["AWSTraceHeader"]), "{injection:?}");
    let rejected: Vec<_> = injection.rejected().iter().map(|rejection| (rejection.field, rejection.reason)).collect();
    assert_eq!(rejected, [("tracestate", RejectReason::TooLarge), ("baggage", RejectReason::TooLarge)]);
}

#[test]
fn attributes_are_read_beside_a_packed_attribute() {
    use propagation_core::Extract;
    for (packed, expected) in [
        ("traceparent:1\nbaggage:a=1", &["baggage", "mine", "traceparent"][..]),
        ("no context", &["mine", PACKED_ATTRIBUTE, "traceparent"]),
    ] {
        let message = Message::builder()
            .message_attributes(PACKED_ATTRIBUTE, string(packed))
            .message_attributes("mine", string("1"));
        let message = message.build();
        let carrier = propagation_sqs::MessageCarrier::new(&message);
        let mut names = Vec::new();
        carrier.visit_all(&mut |name, _| names.push(name.to_owned()));
        names.sort_unstable();
        assert_eq!(names, expected, "{packed}");
    }
}

#[tokio::test]
async fn batch_within_the_limit_keeps_ids_of_every_message() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let parent = size("traceparent", PARENT);
    let body = MOST / 4 - parent;
    let batch = (0..4).fold(client.send_message_batch().queue_url(&endpoint.queue), |batch, number| {
        batch.entries(entry(&number.to_string(), &"b".repeat(body)))
    });
    let sent = inside(&propagator).scope(batch.send()).await.unwrap();
    assert_eq!(sent.successful().len(), 4);
    for seen in endpoint.seen() {
        assert_eq!(seen.names(), ["traceparent"], "baggage takes no room of another message's ids");
    }
}

#[test]
fn second_injection_replaces_the_first_and_is_counted() {
    let propagator = propagator();
    let mut message = message(10);
    message.message_attributes = Some(numbered(9));
    message.inject(&propagator, "orders", &caller());
    assert_eq!(propagator.counters().get(Direction::Outbound, RejectReason::TooLarge), 2);
    message.inject(&propagator, "orders", &propagation_core::PropagationContext::EMPTY);
    assert_eq!(message.message_attributes(), Some(&numbered(9)));
    let mut packed = message.clone();
    packed.message_attributes = Some([(PACKED_ATTRIBUTE.to_owned(), string("stale:1"))].into());
    packed.inject(&propagator, "orders", &caller());
    assert!(!packed.message_attributes().unwrap().contains_key(PACKED_ATTRIBUTE));
}

#[test]
fn attribute_precedes_packed_precedes_trace_header() {
    use aws_sdk_sqs::types::MessageSystemAttributeName::AwsTraceHeader;
    let header = "Root=1-11111111-111111111111111111111111;Parent=1111111111111111;Sampled=0";
    let packed = "traceparent:00-22222222222222222222222222222222-2222222222222222-00\nbaggage:tenant.id=packed";
    let message = Message::builder().attributes(AwsTraceHeader, header);
    let consumer = ConsumerPropagation::new(propagator(), "orders");
    let first = |message: Message| {
        let context = consumer.extract(&message).context;
        let digit = context.trace.trace_id().unwrap().to_string().chars().next().unwrap();
        (digit, context.baggage.get("tenant.id").map(std::borrow::Cow::into_owned))
    };
    assert_eq!(first(message.clone().build()), ('1', None));
    let message = message.message_attributes(PACKED_ATTRIBUTE, string(packed));
    assert_eq!(first(message.clone().build()), ('2', Some("packed".to_owned())));
    let message = message.message_attributes("traceparent", string(PARENT));
    assert_eq!(first(message.build()), ('4', Some("packed".to_owned())));
}

/// A propagator of other formats, by the names of `OTEL_PROPAGATORS`; it reads W3C's, too.
fn speaking(formats: &str) -> propagation_core::Propagator {
    use propagation_core::{Formats, Propagator};
    let of = |names: String| Formats::from_lookup(|_| Some(names)).unwrap().into_vec();
    Propagator::builder()
        .policy(crate::setup::policy())
        .extract_formats(of(format!("{formats},tracecontext")))
        .inject_formats(of(formats.to_owned()))
        .build()
}

#[tokio::test]
async fn every_format_crosses_with_and_without_room() {
    let endpoint = Endpoint::start().await;
    for (formats, names) in [
        ("b3,baggage", &["b3", "baggage"][..]),
        ("b3multi", &["x-b3-sampled", "x-b3-spanid", "x-b3-traceid"]),
        ("jaeger", &["uber-trace-id", "uberctx-tenant.id"]),
        ("xray", &[]),
        ("xray,tracecontext", &["traceparent", "tracestate"]),
        ("tracecontext,b3", &["b3", "traceparent", "tracestate"]),
    ] {
        let propagator = speaking(formats);
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
        for full in [false, true] {
            let own = if full { 10 } else { 0 };
            let send = client.send_message().queue_url(&endpoint.queue).message_body("{}");
            let send = send.set_message_attributes(Some(numbered(own)));
            inside(&propagator).scope(send.send()).await.unwrap();
            let mut seen = endpoint.one();
            seen.attributes.retain(|name, _| !name.starts_with("key-"));
            let header = Some(XRAY).filter(|_| full || formats.starts_with("xray"));
            assert_eq!(seen.names(), if full { &[] } else { names }, "{formats}");
            assert_eq!(seen.header.as_deref(), header, "{formats}");

            let message = receive(&client, &endpoint.queue).await.remove(0);
            let context = ConsumerPropagation::new(propagator.clone(), "orders").extract(&message).context;
            let ids = (context.trace.trace_id(), context.trace.span_id());
            assert_eq!(ids, (caller().trace.trace_id(), caller().trace.span_id()), "{formats}");
            assert!(context.trace.flags().is_sampled(), "{formats}");
        }
    }
}

#[tokio::test]
async fn ids_get_room_first_in_any_order_of_formats() {
    let endpoint = Endpoint::start().await;
    let propagator = speaking("baggage,tracecontext");
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let send = client.send_message().queue_url(&endpoint.queue).message_body("{}");
    inside(&propagator).scope(send.set_message_attributes(Some(numbered(9))).send()).await.unwrap();
    let seen = endpoint.one();
    assert_eq!((seen.get("traceparent"), seen.header.as_deref()), (Some(PARENT), None));
}

#[tokio::test]
async fn illegal_name_is_dropped_and_the_send_succeeds() {
    use propagation_core::{InboundRule, OutboundRule, Policy};
    let endpoint = Endpoint::start().await;
    let propagator = speaking("jaeger");
    let everything = Policy::builder()
        .outbound(OutboundRule::peers(["sqs:*"]).allow("*"))
        .inbound(InboundRule::peers(["sqs:*"]).allow("*"));
    propagator.set_policy(everything.build().unwrap());
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let mut context = caller();
    context.baggage.set("plan!", "pro").unwrap();
    let send = client.send_message().queue_url(&endpoint.queue).message_body("{}").send();
    propagator.continue_from(context).scope(send).await.unwrap();
    assert_eq!(endpoint.one().names(), ["uber-trace-id", "uberctx-tenant.id"]);
    assert_eq!(propagator.counters().get(Direction::Outbound, RejectReason::Unrepresentable), 1);
}

#[test]
fn illegal_value_is_dropped_in_every_mode() {
    use propagation_core::{
        FieldName, FieldNames, Inject, OutgoingFields, Value,
        carrier::{FieldPriority, FieldValue},
    };
    use propagation_sqs::MessageCarrierMut;
    static GOOD: FieldName = FieldName::from_static("good");
    static BAD: FieldName = FieldName::from_static("bad");
    let text = |bytes| FieldValue::from_value(&Value::Borrowed(bytes));
    for bad in [b"a\x01b".as_slice(), b"\xff\xfe", b"\x00"] {
        for (mode, name) in [
            (AttributeMode::Separate, "good"),
            (AttributeMode::Packed, PACKED_ATTRIBUTE),
            (AttributeMode::Auto, "good"),
        ] {
            let names = FieldNames::new();
            let mut fields = OutgoingFields::new(&names);
            fields.push(&BAD, text(bad), FieldPriority::Ids);
            fields.push(&GOOD, text(b"value"), FieldPriority::Baggage);
            let mut message = message(10);
            let injection =
                MessageCarrierMut::new(&mut message, mode, SizeLimit::DEFAULT).commit(&fields, &TraceContext::EMPTY);
            assert_eq!(injection.rejected().len(), 1, "{injection:?}");
            assert_eq!(injection.rejected()[0].reason, RejectReason::Unrepresentable);
            assert!(injection.is_written("good"));
            assert_eq!(message.message_attributes().unwrap().keys().collect::<Vec<_>>(), [name]);
        }
    }
}

#[tokio::test]
async fn packed_attribute_obeys_the_limit() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let lines: usize = [("traceparent", PARENT), ("tracestate", STATE), ("baggage", BAGGAGE)]
        .map(|(name, value)| name.len() + 1 + value.len() + 1)
        .iter()
        .sum();
    let packed = size(PACKED_ATTRIBUTE, "") + lines;
    for (mode, spare, names, baggage) in [
        (AttributeMode::Packed, packed, &[PACKED_ATTRIBUTE][..], true),
        (AttributeMode::Packed, packed - 1, &[PACKED_ATTRIBUTE], false),
        // If neither mode has room for baggage, separate attributes win: other libraries read them.
        (
            AttributeMode::Auto,
            size("traceparent", PARENT) + size("tracestate", STATE),
            &["traceparent", "tracestate"],
            false,
        ),
    ] {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()).attribute_mode(mode));
        let body = MOST - spare;
        let send = client.send_message().queue_url(&endpoint.queue).message_body("b".repeat(body));
        inside(&propagator).scope(send.send()).await.expect("what is added never makes a message too large");
        let seen = endpoint.one();
        assert_eq!(seen.names(), names, "{mode:?}");
        assert_eq!(seen.attributes.values().any(|value| value.contains(BAGGAGE)), baggage, "{mode:?}");
    }
}

#[test]
fn duplicate_name_is_read_once_in_one_pass() {
    use propagation_core::Extract;
    let packed = format!("traceparent:{PARENT}\nbaggage:{BAGGAGE}");
    let message = Message::builder()
        .message_attributes("traceparent", string(PARENT))
        .message_attributes(PACKED_ATTRIBUTE, string(&packed))
        .attributes(aws_sdk_sqs::types::MessageSystemAttributeName::AwsTraceHeader, XRAY)
        .build();
    let carrier = propagation_sqs::MessageCarrier::new(&message);
    let mut names = Vec::new();
    carrier.visit_all(&mut |name, _| names.push(name.to_owned()));
    names.sort_unstable();
    assert_eq!(names, ["baggage", "traceparent", "x-amzn-trace-id"]);
}

#[test]
fn tracestate_short_of_room_loses_whole_members() {
    let propagator = propagator();
    let state = format!("a=1,long={},b=2,c=3", "x".repeat(200));
    let mut context = caller();
    context.trace = TraceContext::new(PARENT.parse().unwrap())
        .with_state(propagation_core::TraceState::parse(state.as_bytes()).unwrap());
    context.baggage = propagation_core::Baggage::EMPTY;
    for (spare, kept) in [(11, "a=1,b=2,c=3"), (10, "a=1,b=2"), (3, "a=1"), (2, ""), (state.len(), &state)] {
        let overheads = [
            (AttributeMode::Separate, size("traceparent", PARENT) + size("tracestate", "")),
            (
                AttributeMode::Packed,
                size(PACKED_ATTRIBUTE, "") + "traceparent:\n".len() + PARENT.len() + "tracestate:\n".len(),
            ),
        ];
        for (mode, overhead) in overheads {
            let mut message = message(262_144 - overhead - spare);
            let mut carrier = propagation_sqs::MessageCarrierMut::new(&mut message, mode, SizeLimit::KIB_256);
            let injection = propagator.inject(&propagation_core::Peer::sqs("orders"), &context, &mut carrier);
            let attributes = format!("{:?}", message.message_attributes);
            assert_eq!(injection.is_written("tracestate"), !kept.is_empty(), "{mode:?} {spare}");
            assert!(attributes.contains(PARENT), "{mode:?} {spare}: {attributes}");
            for member in ["a=1", "b=2", "c=3", "long="] {
                assert_eq!(attributes.contains(member), kept.contains(member), "{mode:?} {spare} {member}");
            }
            assert_eq!(injection.rejected().len(), usize::from(kept != state), "{mode:?} {spare}");
        }
    }
}
