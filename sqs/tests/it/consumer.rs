//! Consuming without the interceptor, and the extension traits.

use propagation_core::{InboundRule, Policy, Propagator, SamplingDecision, TraceState, TraceTrust};
use propagation_sqs::{ConsumerPropagation, MessageExt, OutgoingExt};

use crate::setup::{PARENT, caller, entry, propagator, string};

#[test]
fn extension_traits_carry_the_context() {
    let propagator = propagator();
    let mut entry = entry("1", "{}");
    let injection = entry.inject(&propagator, "orders", &caller());
    assert!(injection.is_written("traceparent") && injection.rejected().is_empty());
    let message = aws_sdk_sqs::types::Message::builder().set_message_attributes(entry.message_attributes).build();
    assert_eq!(message.extract(&propagator, "orders").context, caller());
}

#[test]
fn rules_match_the_queue_name_in_url_and_arn() {
    let policy =
        Policy::builder().inbound(InboundRule::peers(["sqs:orders"]).trust(TraceTrust::Ignore)).build().unwrap();
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

#[test]
fn trace_header_without_parent_keeps_its_trace_id() {
    let header = |text: &str| {
        aws_sdk_sqs::types::Message::builder()
            .attributes(aws_sdk_sqs::types::MessageSystemAttributeName::AwsTraceHeader, text)
            .build()
    };
    let root = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736";
    for (text, sampling) in [
        (root.to_owned(), SamplingDecision::Defer),
        (format!("{root};Sampled=1"), SamplingDecision::Sample),
        (format!("Sampled=0;Parent=;{root};Lineage=a:1"), SamplingDecision::Drop),
    ] {
        let admission = header(&text).extract(&propagator(), "orders");
        let trace = &admission.context.trace;
        assert_eq!((trace.has_ids(), trace.sampling, admission.rejections.len()), (false, sampling, 0), "{text}");
        assert_eq!(trace.trace_id().unwrap().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736", "{text}");

        let mut entry = entry("1", "{}");
        entry.inject(&propagator(), "next", &admission.context);
        let sent = entry.message_attributes.unwrap()["traceparent"].string_value.clone().unwrap();
        assert!(sent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{sent}");
    }
    let mut both = header(root);
    both.message_attributes = Some([("traceparent".to_owned(), string(PARENT))].into());
    assert_eq!(both.extract(&propagator(), "orders").context.trace, caller().trace.with_state(TraceState::EMPTY));
}
