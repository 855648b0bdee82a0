use async_nats::{Client, HeaderMap, PublishError};
use bytes::Bytes;
use propagation_core::{
    Outcome, Peer, Propagator, StoredContext,
    messaging::{self, ExistingContext, PreparedMessage},
    policy::PeerNaming,
};

use crate::{HeadersCarrierMut, NATS, attributes};

/// Publishes messages that carry the current context.
#[derive(Clone, Debug)]
pub struct ProducerPropagation {
    propagator: Propagator,
    existing: ExistingContext,
}

impl ProducerPropagation {
    /// Creates an adapter.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { propagator, existing: ExistingContext::default() }
    }

    /// Sets the treatment of a context that a message already carries.
    #[must_use]
    pub fn existing(mut self, existing: impl Into<ExistingContext>) -> Self {
        self.existing = existing.into();
        self
    }

    /// Returns a copy whose messages get a context that the application stored itself.
    #[must_use]
    pub fn with_stored(&self, stored: StoredContext) -> Self {
        self.clone().existing(stored)
    }

    /// Calls [`Client::publish_with_headers`] with the current context. The span ends when the message is handed to the client.
    ///
    /// # Errors
    ///
    /// Returns only the errors of [`Client::publish_with_headers`].
    pub async fn publish(
        &self,
        client: &Client,
        subject: &str,
        mut headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        let PreparedMessage { hop, .. } = self.prepare(subject, &mut headers);
        let published = hop.scope(client.publish_with_headers(subject.to_owned(), headers, payload)).await;
        hop.end(&Outcome::of(&published));
        published
    }

    /// Starts the send span of a message that you publish yourself, and writes its context to the headers.
    ///
    /// Publish the message in the hop, and end the hop with the outcome.
    pub fn prepare(&self, subject: &str, headers: &mut HeaderMap) -> PreparedMessage {
        // The subject may be one that a caller chose: `reply` of a request.
        let peer = Peer::new(NATS, subject);
        let id = attributes::message_id(Some(headers)).filter(|_| self.propagator.is_recording());
        messaging::send(&self.propagator, &peer, &self.existing, &mut HeadersCarrierMut::new(headers), |hop| {
            let known = self.propagator.policy().peer_naming(&peer) == Some(PeerNaming::Exact);
            attributes::describe(hop, "send", known.then_some(subject), subject);
            hop.attributes.extend(id);
        })
    }
}
