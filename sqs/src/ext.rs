//! For those who send and receive in their own way: what a message brings, and what goes onto one.

use aws_sdk_sqs::types::Message;
use propagation_core::{Admission, Injection, Peer, PropagationContext, Propagator};

use crate::{AttributeMode, MessageCarrier, MessageCarrierMut, OutgoingMessage, SizeLimit};

/// Reads the context of a received message.
pub trait MessageExt: sealed::Sealed {
    /// What the message brings from a queue, by its name, judged by the policy. Makes no span.
    fn extract(&self, propagator: &Propagator, queue: &str) -> Admission;
}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for Message {}

impl MessageExt for Message {
    fn extract(&self, propagator: &Propagator, queue: &str) -> Admission {
        propagator.extract(&Peer::sqs(queue), &MessageCarrier::new(self))
    }
}

/// Writes a context onto a message, in separate attributes and within the size limit of SQS. For other modes and limits there is
/// [`MessageCarrierMut`].
pub trait OutgoingExt: OutgoingMessage {
    /// Writes what a queue, by its name, may learn of a context. Makes no span.
    fn inject(&mut self, propagator: &Propagator, queue: &str, context: &PropagationContext) -> Injection;
}

impl<M: OutgoingMessage> OutgoingExt for M {
    fn inject(&mut self, propagator: &Propagator, queue: &str, context: &PropagationContext) -> Injection {
        let mut carrier = MessageCarrierMut::new(self, AttributeMode::default(), SizeLimit::default());
        propagator.inject(&Peer::sqs(queue), context, &mut carrier)
    }
}
