//! Batches of any service: a context for each message, and one send span.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use propagation_core::{
    Extract, FieldNames, Hop, HopSpan, Inject, Peer, SpanKind,
    messaging::{self, CreationContext, ExistingContext, PreparedMessage},
};

use super::{
    SqsInterceptor,
    operation::{Call, Covered},
};
use crate::{AttributeMode, MessageCarrierMut, SizeLimit, attributes, carrier};

/// One message of a batch.
pub(super) trait Entry {
    /// The carrier of the message.
    type Carrier<'a>: Extract + Inject
    where
        Self: 'a;

    /// Returns the size without the fields that an injection replaces, in bytes.
    fn own_size(&self, names: &FieldNames) -> usize;

    /// Returns the size in bytes.
    fn size(&self) -> usize;

    /// Returns the id by which the response names the message, or `None` if it names messages by their position.
    fn id(&self) -> Option<&str>;

    /// Returns the name for policy rules of the message's destination, if that is not the one of the whole batch.
    fn peer(&self) -> Option<String> {
        None
    }

    /// Returns the carrier of the message.
    fn carrier(&mut self, mode: AttributeMode, limit: SizeLimit) -> Self::Carrier<'_>;
}

impl Entry for SendMessageBatchRequestEntry {
    type Carrier<'a> = MessageCarrierMut<'a>;

    fn own_size(&self, names: &FieldNames) -> usize {
        self.message_body.len().saturating_add(carrier::kept_size(self.message_attributes.as_ref(), names))
    }

    fn size(&self) -> usize {
        self.message_body.len() + carrier::attributes_size(self.message_attributes.as_ref())
    }

    fn id(&self) -> Option<&str> {
        Some(&self.id)
    }

    fn carrier(&mut self, mode: AttributeMode, limit: SizeLimit) -> MessageCarrierMut<'_> {
        MessageCarrierMut::new(self, mode, limit)
    }
}

impl SqsInterceptor {
    /// Writes a context to each message of a batch, and starts its spans. `describe` gets the hop and its operation.
    pub(super) fn batch<E: Entry>(
        &self,
        peer: &Peer<'_>,
        entries: &mut [E],
        existing: &ExistingContext,
        describe: impl Fn(&mut Hop, &'static str),
    ) -> Covered {
        if !self.options.create_spans {
            return Covered::call(Call::SendBatch, Some(self.share_one(peer, entries, existing, describe)));
        }
        let (hop, created) = self.create_each(peer, entries, existing, describe);
        Covered::call(Call::SendBatch, Some(hop)).with_created(created)
    }

    /// Starts a create span for each message, and a send span that links to all of them.
    fn create_each<E: Entry>(
        &self,
        peer: &Peer<'_>,
        entries: &mut [E],
        existing: &ExistingContext,
        describe: impl Fn(&mut Hop, &'static str),
    ) -> (HopSpan, Vec<(String, HopSpan)>) {
        let mut creations = Vec::with_capacity(entries.len());
        let mut created = Vec::with_capacity(entries.len());
        self.each(peer, entries, |id, peer, message| {
            let PreparedMessage { hop, creation, .. } =
                messaging::send(&self.propagator, peer, existing, message, |hop| describe(hop, "create"));
            creations.push(CreationContext::from(creation));
            created.push((id, hop));
        });
        let send = messaging::batch(&self.propagator, SpanKind::Client, &creations, |hop, messages| {
            describe(hop, "send");
            attributes::count(hop, messages);
        });
        (send, created)
    }

    /// Writes the context of the send span to all messages.
    fn share_one<E: Entry>(
        &self,
        peer: &Peer<'_>,
        entries: &mut [E],
        existing: &ExistingContext,
        describe: impl Fn(&mut Hop, &'static str),
    ) -> HopSpan {
        let mut hop = Hop::local(SpanKind::Producer, self.propagator.current());
        if self.propagator.is_recording() {
            describe(&mut hop, "send");
            attributes::count(&mut hop, entries.len());
        }
        let hop = self.propagator.start(hop);
        self.each(peer, entries, |_, peer, message| {
            messaging::place(&self.propagator, peer, existing, message, &hop);
        });
        hop
    }

    /// Calls a function with the id, the destination and the carrier of each message.
    ///
    /// The size limit holds for the whole batch. The room that the user's own data leaves is divided evenly, so that no message's
    /// baggage takes the room of another message's ids.
    fn each<E: Entry>(
        &self,
        peer: &Peer<'_>,
        entries: &mut [E],
        mut each: impl FnMut(String, &Peer<'_>, &mut E::Carrier<'_>),
    ) {
        let names = self.propagator.fields();
        let taken = entries.iter().map(|entry| entry.own_size(names)).fold(0, usize::saturating_add);
        let mut room = self.options.limit.for_own_size(taken).saturating_sub(taken);
        let mut left = entries.len();
        for (at, entry) in entries.iter_mut().enumerate() {
            let (own, share) = (entry.own_size(names), room / left.max(1));
            left -= 1;
            // A queue may limit single messages to less than a batch.
            let limit = SizeLimit::bytes(own.saturating_add(share).min(self.options.limit.for_own_size(own)));
            let id = entry.id().map_or_else(|| at.to_string(), str::to_owned);
            let own_peer = entry.peer();
            let own_peer = own_peer.as_deref().map(Peer::sqs);
            each(id, own_peer.as_ref().unwrap_or(peer), &mut entry.carrier(self.options.mode, limit));
            room = room.saturating_sub(entry.size().saturating_sub(own));
        }
    }
}
