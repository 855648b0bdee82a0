use std::future::Future;

use async_nats::Message;
use propagation_core::{
    Admission, HopSpan, Peer, Propagator,
    messaging::{self, ParentMode, Processing},
};

use crate::{HeadersCarrier, NATS, attributes};

/// Processes messages of one subscription in the context that they carry.
#[derive(Clone, Debug)]
pub struct ConsumerPropagation {
    propagator: Propagator,
    subject: String,
    parent: ParentMode,
}

impl ConsumerPropagation {
    /// Creates an adapter for messages of a subscription, by its subject: `orders.*`.
    ///
    /// Rules match this subject, not the message's own: a publisher chooses that one.
    #[must_use]
    pub fn new(propagator: Propagator, subject: impl Into<String>) -> Self {
        Self { propagator, subject: subject.into(), parent: ParentMode::default() }
    }

    /// Sets the parent of process spans.
    #[must_use]
    pub fn parent_mode(mut self, parent: ParentMode) -> Self {
        self.parent = parent;
        self
    }

    /// Runs a handler in the context of its message, and ends the process span with the handler's result.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    pub async fn process<T, E: 'static>(
        &self,
        message: &Message,
        handler: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.start(message).run(handler).await
    }

    /// Like [`process`](Self::process), for a handler that is a closure.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    pub fn process_sync<T, E: 'static>(
        &self,
        message: &Message,
        handler: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.start(message).run_sync(handler)
    }

    /// Starts the process span only. Run the handler in the hop, and end the hop with its outcome.
    #[must_use]
    pub fn start(&self, message: &Message) -> HopSpan {
        messaging::process(&self.propagator, self.extract(message), Processing::new(self.parent), |hop| {
            attributes::describe(hop, "process", Some(&self.subject), &message.subject);
            hop.attributes.extend(attributes::message_id(message.headers.as_ref()));
        })
    }

    /// Extracts the context of a message and applies the policy. Makes no span.
    #[must_use]
    pub fn extract(&self, message: &Message) -> Admission {
        self.propagator.extract(&Peer::new(NATS, &self.subject), &HeadersCarrier::new(message.headers.as_ref()))
    }
}
