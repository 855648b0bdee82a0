//! The carrier laws for both types of outgoing message, checked on the received message.

use aws_sdk_sqs::{
    operation::send_message::SendMessageInput,
    types::{Message, MessageAttributeValue, SendMessageBatchRequestEntry},
};
use propagation_core::{Extract, Inject, carrier::laws};
use propagation_sqs::{AttributeMode, MessageCarrier, MessageCarrierMut, SizeLimit};

type Attributes = std::collections::HashMap<String, MessageAttributeValue>;

fn put(attributes: &mut Option<Attributes>, name: &str, value: &[u8]) {
    let value = crate::setup::string(std::str::from_utf8(value).unwrap());
    attributes.get_or_insert_default().insert(name.to_owned(), value);
}

fn entries(attributes: Option<&Attributes>) -> Vec<(String, Vec<u8>)> {
    let text = |value: &MessageAttributeValue| value.string_value().unwrap().as_bytes().to_vec();
    attributes.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn delivered(attributes: Option<&Attributes>) -> Message {
    Message::builder().set_message_attributes(attributes.cloned()).build()
}

mod alone {
    use super::*;

    struct Alone;

    impl laws::Subject for Alone {
        type Message = SendMessageInput;
        const ORDERED: bool = false;
        const REPEATS: bool = false;

        fn empty() -> SendMessageInput {
            SendMessageInput::builder().queue_url("orders").message_body("{}").build().unwrap()
        }

        fn put(message: &mut SendMessageInput, name: &str, value: &[u8]) {
            put(&mut message.message_attributes, name, value);
        }

        fn entries(message: &SendMessageInput) -> Vec<(String, Vec<u8>)> {
            entries(message.message_attributes())
        }

        fn extract(message: &SendMessageInput, with: &mut dyn FnMut(&dyn Extract)) {
            with(&MessageCarrier::new(&delivered(message.message_attributes())));
        }

        fn inject(message: &mut SendMessageInput, with: &mut dyn FnMut(&mut dyn Inject)) {
            with(&mut MessageCarrierMut::new(message, AttributeMode::Separate, SizeLimit::DEFAULT));
        }
    }

    propagation_core::carrier_laws!(Alone);
}

mod in_a_batch {
    use super::*;

    struct InABatch;

    impl laws::Subject for InABatch {
        type Message = SendMessageBatchRequestEntry;
        const ORDERED: bool = false;
        const REPEATS: bool = false;

        fn empty() -> SendMessageBatchRequestEntry {
            crate::setup::entry("1", "{}")
        }

        fn put(message: &mut SendMessageBatchRequestEntry, name: &str, value: &[u8]) {
            put(&mut message.message_attributes, name, value);
        }

        fn entries(message: &SendMessageBatchRequestEntry) -> Vec<(String, Vec<u8>)> {
            entries(message.message_attributes())
        }

        fn extract(message: &SendMessageBatchRequestEntry, with: &mut dyn FnMut(&dyn Extract)) {
            let mut message = message.clone();
            with(&MessageCarrierMut::new(&mut message, AttributeMode::Separate, SizeLimit::DEFAULT));
        }

        fn inject(message: &mut SendMessageBatchRequestEntry, with: &mut dyn FnMut(&mut dyn Inject)) {
            with(&mut MessageCarrierMut::new(message, AttributeMode::Separate, SizeLimit::DEFAULT));
        }
    }

    propagation_core::carrier_laws!(InABatch);
}

#[test]
fn debug_of_carriers_masks_values() {
    let mut attributes = None;
    put(&mut attributes, "baggage", b"tenant.id=zebra");
    let message = delivered(attributes.as_ref());
    let read = format!("{:#?}", MessageCarrier::new(&message));
    let input = aws_sdk_sqs::operation::send_message::builders::SendMessageInputBuilder::default();
    let mut input: SendMessageInput = input.set_message_attributes(attributes).message_body("zebra").build().unwrap();
    let carrier = MessageCarrierMut::new(&mut input, AttributeMode::default(), SizeLimit::MIB_1);
    let written = format!("{carrier:?}");
    assert!(!read.contains("zebra") && !written.contains("zebra"), "{read} {written}");
}
