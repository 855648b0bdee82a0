//! Properties of every message, mode and limit.

use std::collections::HashMap;

use aws_sdk_sqs::{
    operation::send_message::SendMessageInput,
    primitives::Blob,
    types::{Message, MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends},
};
use propagation_core::{Baggage, Extract, Peer, PropagationContext, TraceContext, TraceState};
use propagation_sqs::{
    AttributeMode, ConsumerPropagation, MessageCarrier, MessageCarrierMut, PACKED_ATTRIBUTE, SizeLimit,
};
use proptest::{collection::hash_map, prelude::*, sample::select};

use crate::setup::{PARENT, propagator, string};

type Attributes = HashMap<String, MessageAttributeValue>;

const OURS: [&str; 4] = ["traceparent", "tracestate", "baggage", PACKED_ATTRIBUTE];

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

fn size(attributes: &Attributes) -> usize {
    let value = |value: &MessageAttributeValue| {
        value.string_value().map_or(0, str::len) + value.binary_value().map_or(0, |blob| blob.as_ref().len())
    };
    attributes.iter().map(|(name, attribute)| name.len() + attribute.data_type().len() + value(attribute)).sum()
}

fn value() -> impl Strategy<Value = MessageAttributeValue> {
    let binary = |bytes: Vec<u8>| {
        MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new(bytes)).build().unwrap()
    };
    let context = select(vec![PARENT, "garbage", "a=1,b=2", "traceparent:x\nbaggage:tenant.id=1", ""]);
    prop_oneof![
        "[ -~]{0,40}".prop_map(|text| string(&text)),
        "\\PC{0,20}".prop_map(|text| string(&text)),
        context.prop_map(string),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(binary),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let ours =
        select(vec!["traceparent", "TraceParent", "tracestate", "baggage", PACKED_ATTRIBUTE]).prop_map(str::to_owned);
    hash_map(prop_oneof![3 => "[a-z]{1,12}", 1 => ours], value(), 0..11)
}

fn context() -> impl Strategy<Value = PropagationContext> {
    let state = prop::option::of("[a-z]{1,8}=[!-+]{1,60}");
    let baggage = prop::option::of("[ -~]{1,80}");
    (any::<bool>(), state, baggage).prop_map(|(trace, state, baggage)| {
        let mut context = PropagationContext::EMPTY;
        if trace {
            let state = state.and_then(|state| TraceState::parse(state.as_bytes()).ok()).unwrap_or_default();
            context.trace = TraceContext::new(PARENT.parse().unwrap()).with_state(state);
        }
        context.baggage = Baggage::EMPTY;
        if let Some(value) = baggage {
            context.baggage.set("tenant.id", &value).unwrap();
        }
        context
    })
}

proptest! {
    #[test]
    fn injection_obeys_limits_and_keeps_user_attributes(
        before in attributes(),
        context in context(),
        mode in select(vec![AttributeMode::Separate, AttributeMode::Packed, AttributeMode::XRay, AttributeMode::Auto]),
        spare in 0_usize..400,
    ) {
        let propagator = propagator();
        let own: Attributes = before.iter().filter(|(name, _)| !is_ours(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
        let limit = 2 + size(&own) + spare;
        let mut message = SendMessageInput::builder().message_body("{}").set_message_attributes(Some(before)).build().unwrap();
        let mut carrier = MessageCarrierMut::new(&mut message, mode, SizeLimit::bytes(limit));
        propagator.inject(&Peer::sqs("orders"), &context, &mut carrier);

        let after = message.message_attributes().cloned().unwrap_or_default();
        let kept: Attributes = after.iter().filter(|(name, _)| !is_ours(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
        prop_assert_eq!(&kept, &own, "the user's own stay as they were");
        prop_assert!(after.len() <= 10, "{:?}", after.keys());
        prop_assert!(2 + size(&after) <= limit, "{} of {limit}", 2 + size(&after));
        prop_assert!(after.iter().filter(|(name, _)| is_ours(name)).all(|(_, value)| !value.string_value().unwrap().is_empty()));

        // Received, the ids are always there, and nothing that was not sent.
        let header = message
            .message_system_attributes()
            .and_then(|system| system.get(&MessageSystemAttributeNameForSends::AwsTraceHeader))
            .and_then(|value| value.string_value().map(str::to_owned));
        let received = Message::builder()
            .set_message_attributes(Some(after))
            .set_attributes(header.map(|header| [(MessageSystemAttributeName::AwsTraceHeader, header)].into()))
            .build();
        let read = ConsumerPropagation::new(propagator, "orders").extract(&received).context;
        prop_assert_eq!(read.trace.parent, context.trace.parent);
        prop_assert!(read.baggage.is_empty() || read.baggage == context.baggage, "{:?}", read.baggage);
        prop_assert!(read.trace.state.is_empty() || read.trace.state == context.trace.state);
    }

    #[test]
    fn any_message_reads_alike_by_name_and_in_one_pass(
        attributes in attributes(),
        header in prop::option::of("[ -~]{0,80}|Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=[01?]"),
    ) {
        let system = header.map(|header| [(MessageSystemAttributeName::AwsTraceHeader, header)].into());
        let message = Message::builder().set_message_attributes(Some(attributes)).set_attributes(system).build();
        drop(ConsumerPropagation::new(propagator(), "orders").start(&message));
        let carrier = MessageCarrier::new(&message);
        let mut shown = Vec::new();
        carrier.visit_all(&mut |name, value| shown.push((name.to_owned(), value.as_bytes().to_vec())));
        for (name, value) in &shown {
            let Some(field) = propagation_core::FieldName::new(name).filter(|field| field.as_str() == name) else { continue };
            let mut found = Vec::new();
            carrier.visit(&field, &mut |value| found.push(value.as_bytes().to_vec()));
            prop_assert!(found.contains(value), "{}", name);
        }
    }
}
