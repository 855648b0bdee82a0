//! Extension traits to extract and inject without spans.

use aws_sdk_sqs::types::Message;
use propagation_core::{Admission, InjectionReport, Peer, PropagationContext, Propagator};

use crate::{AttributeMode, MessageCarrier, MessageCarrierMut, OutgoingMessage, SizeLimit};

/// Reads the context of a received message.
pub trait MessageExt: sealed::Sealed {
    /// Extracts the context of the message and applies the policy for a queue, given by its name. Makes no span.
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

/// Writes a context to a message, in separate attributes and within the size limit of SQS. [`MessageCarrierMut`] has other modes and
/// limits.
pub trait OutgoingExt: OutgoingMessage {
    /// Writes the part of a context that the policy releases to a queue, given by its name. Makes no span.
    fn inject(&mut self, propagator: &Propagator, queue: &str, context: &PropagationContext) -> InjectionReport;
}

impl<M: OutgoingMessage> OutgoingExt for M {
    fn inject(&mut self, propagator: &Propagator, queue: &str, context: &PropagationContext) -> InjectionReport {
        let mut carrier = MessageCarrierMut::new(self, AttributeMode::default(), SizeLimit::default());
        propagator.inject(&Peer::sqs(queue), context, &mut carrier)
    }
}
