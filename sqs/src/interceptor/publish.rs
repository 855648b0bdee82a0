//! Publishing to topics of SNS.

use aws_sdk_sns::{
    operation::{publish::PublishInput, publish_batch::PublishBatchInput},
    types::PublishBatchRequestEntry,
};
use propagation_core::{
    FieldNames, Hop, Peer,
    messaging::{self, ExistingContext, PreparedMessage},
};

use super::{
    SqsInterceptor,
    batch::Entry,
    operation::{Call, Covered},
};
use crate::{AttributeMode, NotificationCarrierMut, SizeLimit, destination::Destination};

impl SqsInterceptor {
    pub(super) fn publish(&self, input: &mut PublishInput, existing: &ExistingContext) -> Covered {
        let Some(topic) = input.topic_arn().or(input.target_arn()).map(Destination::topic) else {
            // A text message to a phone has no attributes that a receiver reads.
            return Covered::call(Call::Send, None);
        };
        let body = length(input.message()) + length(input.subject());
        let mut message =
            NotificationCarrierMut::new(&mut input.message_attributes, body, self.options.mode, self.options.limit);
        let peer = topic.peer();
        let PreparedMessage { hop, .. } =
            messaging::send(&self.propagator, &Peer::sqs(&peer), existing, &mut message, |hop| {
                topic.describe(&self.known, &self.propagator, hop, "send");
            });
        Covered::call(Call::Send, Some(hop))
    }

    pub(super) fn publish_batch(&self, input: &mut PublishBatchInput, existing: &ExistingContext) -> Covered {
        let topic = Destination::topic(input.topic_arn().unwrap_or_default());
        let entries = input.publish_batch_request_entries.as_deref_mut().unwrap_or_default();
        let describe = |hop: &mut Hop, operation| topic.describe(&self.known, &self.propagator, hop, operation);
        self.batch(&Peer::sqs(&topic.peer()), entries, existing, describe)
    }
}

fn length(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

impl Entry for PublishBatchRequestEntry {
    type Carrier<'a> = NotificationCarrierMut<'a>;

    fn own_size(&self, names: &FieldNames) -> usize {
        let attributes = self.message_attributes.iter().flatten();
        let kept = attributes.filter(|(name, _)| !crate::carrier::is_ours(name, names));
        self.message().len() + length(self.subject()) + kept.map(|(name, value)| size(name, value)).sum::<usize>()
    }

    fn size(&self) -> usize {
        let attributes = self.message_attributes.iter().flatten().map(|(name, value)| size(name, value));
        self.message().len() + length(self.subject()) + attributes.sum::<usize>()
    }

    fn id(&self) -> Option<&str> {
        Some(&self.id)
    }

    fn carrier(&mut self, mode: AttributeMode, limit: SizeLimit) -> NotificationCarrierMut<'_> {
        let body = self.message().len() + length(self.subject());
        NotificationCarrierMut::new(&mut self.message_attributes, body, mode, limit)
    }
}

fn size(name: &str, value: &aws_sdk_sns::types::MessageAttributeValue) -> usize {
    let binary = value.binary_value().map_or(0, |blob| blob.as_ref().len());
    name.len() + value.data_type().len() + length(value.string_value()) + binary
}
