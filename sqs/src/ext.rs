//! For those who send and receive in their own way: what a message brings, and what goes onto one.

use aws_sdk_sqs::{
    operation::send_message::SendMessageInput,
    types::{Message, SendMessageBatchRequestEntry},
};
use propagation_core::{Admission, Injection, Peer, PropagationContext, Propagator};

use crate::{MessageCarrier, Mode, OutgoingCarrier, SizeLimit};

/// Reads the context of a received message.
pub trait MessageExt {
    /// What the message brings from a queue, by its name, judged by the policy. Makes no span.
    fn extract(&self, propagator: &Propagator, queue: &str) -> Admission;
}

impl MessageExt for Message {
    fn extract(&self, propagator: &Propagator, queue: &str) -> Admission {
        propagator.extract(&Peer::sqs(queue), &MessageCarrier::new(self))
    }
}

/// Writes a context onto a message, in separate attributes and within the size limit of SQS. For other modes and limits there is
/// [`OutgoingCarrier`].
pub trait OutgoingExt {
    /// Writes what a queue, by its name, may learn of a context. Makes no span.
    fn inject(&mut self, propagator: &Propagator, queue: &str, context: &PropagationContext) -> Injection;
}

impl OutgoingExt for SendMessageInput {
    fn inject(&mut self, propagator: &Propagator, queue: &str, context: &PropagationContext) -> Injection {
        let mut carrier = OutgoingCarrier::of_message(self, Mode::default(), SizeLimit::default());
        propagator.inject(&Peer::sqs(queue), context, &mut carrier)
    }
}

impl OutgoingExt for SendMessageBatchRequestEntry {
    fn inject(&mut self, propagator: &Propagator, queue: &str, context: &PropagationContext) -> Injection {
        let mut carrier = OutgoingCarrier::of_entry(self, Mode::default(), SizeLimit::default());
        propagator.inject(&Peer::sqs(queue), context, &mut carrier)
    }
}
