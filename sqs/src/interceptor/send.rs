use aws_sdk_sqs::operation::{send_message::SendMessageInput, send_message_batch::SendMessageBatchInput};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use propagation_core::{
    Hop, HopSpan, Peer, SpanKind,
    messaging::{self, CreationContext, ExistingContext, PreparedMessage},
};

use super::{
    SqsInterceptor,
    operation::{Call, Covered},
};
use crate::{
    MessageCarrierMut, SizeLimit,
    attributes::{self, Queue},
    carrier,
};

impl SqsInterceptor {
    pub(super) fn send(&self, input: &mut SendMessageInput, existing: &ExistingContext) -> Covered {
        let queue = Queue::new(input.queue_url().unwrap_or_default());
        let mut message = MessageCarrierMut::new(input, self.options.mode, self.options.limit);
        let peer = Peer::sqs(queue.name());
        let PreparedMessage { hop, .. } = messaging::send(&self.propagator, &peer, existing, &mut message, |hop| {
            queue.describe(hop, "send", "send");
        });
        Covered::call(Call::Send, Some(hop))
    }

    pub(super) fn send_batch(&self, input: &mut SendMessageBatchInput, existing: &ExistingContext) -> Covered {
        let queue = Queue::new(input.queue_url().unwrap_or_default());
        let entries = input.entries.as_deref_mut().unwrap_or_default();
        if !self.options.create_spans {
            return Covered::call(Call::SendBatch, Some(self.share_one(&queue, entries, existing)));
        }
        let (hop, created) = self.create_each(&queue, entries, existing);
        Covered::call(Call::SendBatch, Some(hop)).with_created(created)
    }

    /// Starts a create span for each message, and a send span that links to all of them.
    fn create_each(
        &self,
        queue: &Queue,
        entries: &mut [SendMessageBatchRequestEntry],
        existing: &ExistingContext,
    ) -> (HopSpan, Vec<(String, HopSpan)>) {
        let peer = Peer::sqs(queue.name());
        let mut creations = Vec::with_capacity(entries.len());
        let mut created = Vec::with_capacity(entries.len());
        self.each(entries, |id, message| {
            let PreparedMessage { hop, creation, .. } =
                messaging::send(&self.propagator, &peer, existing, message, |hop| {
                    queue.describe(hop, "create", "create");
                });
            creations.push(CreationContext::from(creation));
            created.push((id.to_owned(), hop));
        });
        let send = messaging::batch(&self.propagator, SpanKind::Client, &creations, |hop, messages| {
            queue.describe(hop, "send", "send");
            attributes::count(hop, messages);
        });
        (send, created)
    }

    /// Writes the context of the send span to all messages.
    fn share_one(
        &self,
        queue: &Queue,
        entries: &mut [SendMessageBatchRequestEntry],
        existing: &ExistingContext,
    ) -> HopSpan {
        let peer = Peer::sqs(queue.name());
        let mut hop = Hop::local(SpanKind::Producer, self.propagator.current());
        if self.propagator.is_recording() {
            queue.describe(&mut hop, "send", "send");
            attributes::count(&mut hop, entries.len());
        }
        let hop = self.propagator.start(hop);
        self.each(entries, |_, message| {
            messaging::place(&self.propagator, &peer, existing, message, &hop);
        });
        hop
    }

    /// Calls a function with the entry id and the carrier of each message.
    ///
    /// The size limit holds for the whole batch. The room that the user's own data leaves is divided evenly, so that no message's
    /// baggage takes the room of another message's ids.
    fn each(
        &self,
        entries: &mut [SendMessageBatchRequestEntry],
        mut each: impl FnMut(&str, &mut MessageCarrierMut<'_>),
    ) {
        let fields = self.propagator.fields();
        let own_size = |entry: &SendMessageBatchRequestEntry| {
            entry.message_body.len().saturating_add(carrier::kept_size(entry.message_attributes.as_ref(), fields))
        };
        let taken = entries.iter().map(&own_size).fold(0, usize::saturating_add);
        let mut room = self.options.limit.for_own_size(taken).saturating_sub(taken);
        let mut left = entries.len();
        for entry in entries {
            let (own, share) = (own_size(entry), room / left.max(1));
            left -= 1;
            // A queue may limit single messages to less than a batch.
            let limit = SizeLimit::bytes(own.saturating_add(share).min(self.options.limit.for_own_size(own)));
            let id = entry.id.clone();
            each(&id, &mut MessageCarrierMut::new(entry, self.options.mode, limit));
            let after = entry.message_body.len() + carrier::attributes_size(entry.message_attributes.as_ref());
            room = room.saturating_sub(after.saturating_sub(own));
        }
    }
}
