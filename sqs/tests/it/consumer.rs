//! Consuming without a client of ours, and by the extension traits.

use propagation_core::{InboundRule, Policy, Propagator, Trust};
use propagation_sqs::{ConsumerPropagation, MessageExt, OutgoingExt};

use crate::setup::{PARENT, caller, entry, propagator, string};

#[test]
fn a_message_that_one_sends_and_receives_by_oneself_carries_the_context_too() {
    let propagator = propagator();
    let mut entry = entry("1", "{}");
    let injection = entry.inject(&propagator, "orders", &caller());
    assert!(injection.wrote_name("traceparent") && injection.left_out.is_empty());
    let message = aws_sdk_sqs::types::Message::builder().set_message_attributes(entry.message_attributes).build();
    assert_eq!(message.extract(&propagator, "orders").context, caller());
}

#[test]
fn rules_match_the_queues_name_however_the_queue_is_given() {
    let policy = Policy::builder().inbound(InboundRule::peers(["sqs:orders"]).trust(Trust::Ignore)).build().unwrap();
    let propagator = Propagator::builder().policy(policy).build();
    let message = aws_sdk_sqs::types::Message::builder().message_attributes("traceparent", string(PARENT)).build();
    for (queue, trusted) in [
        ("https://sqs.us-east-1.amazonaws.com/123456789012/orders", false),
        ("arn:aws:sqs:us-east-1:123456789012:orders", false),
        ("orders", false),
        ("https://sqs.us-east-1.amazonaws.com/123456789012/other", true),
    ] {
        let consumer = ConsumerPropagation::new(propagator.clone(), queue);
        assert_eq!(consumer.extract(&message).context.trace.has_ids(), trusted, "{queue}");
    }
}
