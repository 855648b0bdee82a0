//! Receive spans, and the attributes that a receive call requests.

use std::collections::HashSet;

use aws_sdk_sqs::{
    operation::receive_message::ReceiveMessageInput,
    types::{Message, MessageSystemAttributeName, QueueAttributeName},
};
use propagation_core::{FieldName, FieldNames, Hop, HopSpan, Peer, SpanKind, messaging, semconv};

use super::{
    SqsInterceptor,
    operation::{Call, Covered},
};
use crate::{
    MessageCarrier, PACKED_ATTRIBUTE,
    attributes::{self, Queue},
    carrier::TRACE_HEADER,
};

impl SqsInterceptor {
    pub(super) fn receive(&self, input: &mut ReceiveMessageInput) -> Covered {
        let queue = Queue::new(input.queue_url().unwrap_or_default());
        request_attributes(input, self.propagator.fields());
        request_system_attributes(input);
        let hop = (self.options.receive_spans && self.propagator.is_recording()).then(|| {
            let mut hop = Hop::local(SpanKind::Client, self.propagator.current());
            queue.describe(&self.known, &self.propagator, &mut hop, ("receive", "receive"));
            self.propagator.start(hop)
        });
        Covered::call(Call::Receive(queue), hop)
    }

    /// Links to the received messages. SQS returns at most ten messages, so one span has room for all links.
    pub(super) fn received(&self, queue: &Queue, hop: Option<&HopSpan>, messages: &[Message]) {
        if !self.propagator.is_recording() || (hop.is_none() && !self.options.settle_spans) {
            return;
        }
        let mut linked = HashSet::with_capacity(messages.len());
        let peer = Peer::sqs(queue.name());
        for message in messages {
            let creation = messaging::creation_context(&self.propagator, &peer, &self.carrier(message))
                .with_attributes(attributes::message_id(message).into_iter().collect());
            if self.options.settle_spans
                && let Some(handle) = message.receipt_handle()
            {
                messaging::remember(&self.propagator, attributes::delivery(handle), creation.clone());
            }
            let ids = (creation.trace.trace_id(), creation.trace.span_id());
            if let Some(hop) = hop
                && creation.trace.has_ids()
                && (linked.insert(ids) || !creation.attributes.is_empty())
            {
                hop.add_link(creation.link());
            }
        }
        if let Some(hop) = hop {
            hop.set_attribute(semconv::MESSAGING_BATCH_MESSAGE_COUNT, messages.len());
        }
    }

    #[cfg_attr(
        not(feature = "envelopes"),
        allow(clippy::unused_self, reason = "the signature is independent of the feature")
    )]
    fn carrier<'a>(&self, message: &'a Message) -> MessageCarrier<'a> {
        #[cfg(feature = "envelopes")]
        if self.options.envelopes {
            return MessageCarrier::with_envelope(message);
        }
        MessageCarrier::new(message)
    }
}

/// Requests the attributes of the context, unless the request includes them already.
fn request_attributes(input: &mut ReceiveMessageInput, fields: &FieldNames) {
    let requested = input.message_attribute_names.get_or_insert_default();
    let ours = fields.iter().map(FieldName::as_str).filter(|name| *name != TRACE_HEADER).chain([PACKED_ATTRIBUTE]);
    let families = fields.prefixes().map(|prefix| format!("{prefix}.*"));
    for name in ours.map(str::to_owned).chain(families) {
        // SQS accepts `All`, `.*`, and a prefix with `.*`.
        let covers = |requested: &String| {
            *requested == name
                || requested == "All"
                || requested.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
        };
        if !requested.iter().any(covers) {
            requested.push(name);
        }
    }
}

/// Requests the trace header and the time of sending. The age of a message matters for
/// [`ParentMode::MessageIfYounger`](propagation_core::messaging::ParentMode::MessageIfYounger).
fn request_system_attributes(input: &mut ReceiveMessageInput) {
    const OURS: [MessageSystemAttributeName; 2] =
        [MessageSystemAttributeName::AwsTraceHeader, MessageSystemAttributeName::SentTimestamp];
    // Requests with the deprecated field keep using it.
    #[allow(deprecated, reason = "users may fill it")]
    let deprecated = input.attribute_names.as_mut().filter(|names| !names.is_empty());
    match deprecated {
        Some(requested) if input.message_system_attribute_names.is_none() => {
            for name in OURS {
                let is_requested = |requested: &QueueAttributeName| {
                    matches!(requested, QueueAttributeName::All) || requested.as_str() == name.as_str()
                };
                if !requested.iter().any(is_requested) {
                    requested.push(QueueAttributeName::from(name.as_str()));
                }
            }
        }
        _ => {
            let requested = input.message_system_attribute_names.get_or_insert_default();
            for name in OURS {
                if !requested
                    .iter()
                    .any(|requested| *requested == MessageSystemAttributeName::All || *requested == name)
                {
                    requested.push(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(input: &ReceiveMessageInput) -> Vec<&str> {
        input.message_attribute_names().iter().map(String::as_str).collect()
    }

    fn requested(mut input: ReceiveMessageInput) -> ReceiveMessageInput {
        request_attributes(&mut input, propagation_core::Propagator::default().fields());
        request_system_attributes(&mut input);
        input
    }

    #[test]
    fn missing_attribute_names_are_requested() {
        let build = |names: &[&str]| {
            let names = Some(names.iter().map(|name| (*name).to_owned()).collect());
            requested(ReceiveMessageInput::builder().set_message_attribute_names(names).build().unwrap())
        };
        assert_eq!(names(&build(&[])), ["traceparent", "tracestate", "baggage", PACKED_ATTRIBUTE]);
        assert_eq!(
            names(&build(&["mine", "baggage"])),
            ["mine", "baggage", "traceparent", "tracestate", PACKED_ATTRIBUTE]
        );
        assert_eq!(names(&build(&["All"])), ["All"]);
        assert_eq!(names(&build(&[".*"])), [".*"]);
        assert_eq!(names(&build(&["trace.*"])), ["trace.*", "baggage", PACKED_ATTRIBUTE]);
    }

    #[test]
    #[allow(deprecated)]
    fn system_attributes_are_requested_in_the_users_field() {
        use MessageSystemAttributeName::{All, AwsTraceHeader, SenderId, SentTimestamp};
        let input = requested(ReceiveMessageInput::builder().build().unwrap());
        assert_eq!(input.message_system_attribute_names(), [AwsTraceHeader, SentTimestamp]);
        let input = requested(ReceiveMessageInput::builder().message_system_attribute_names(SenderId).build().unwrap());
        assert_eq!(input.message_system_attribute_names(), [SenderId, AwsTraceHeader, SentTimestamp]);
        let input = requested(ReceiveMessageInput::builder().message_system_attribute_names(All).build().unwrap());
        assert_eq!(input.message_system_attribute_names(), [All]);
        let input = requested(ReceiveMessageInput::builder().attribute_names(QueueAttributeName::All).build().unwrap());
        assert_eq!(
            (input.attribute_names(), input.message_system_attribute_names()),
            (&[QueueAttributeName::All][..], &[][..])
        );
        let input = requested(ReceiveMessageInput::builder().attribute_names("SenderId".into()).build().unwrap());
        let requested: Vec<&str> = input.attribute_names().iter().map(QueueAttributeName::as_str).collect();
        assert_eq!(requested, ["SenderId", "AWSTraceHeader", "SentTimestamp"]);
        let both = ReceiveMessageInput::builder().attribute_names("SenderId".into());
        let input = self::requested(both.message_system_attribute_names(SenderId).build().unwrap());
        assert_eq!(input.attribute_names().len(), 1, "the newer field is used if both are set");
        assert_eq!(input.message_system_attribute_names(), [SenderId, AwsTraceHeader, SentTimestamp]);
    }
}
