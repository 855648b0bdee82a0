//! For those who publish and consume in their own way: what a message brings, and what goes onto one.

use lapin::{BasicProperties, message::Delivery};
use propagation_core::{Admission, Injection, Peer, PropagationContext, Propagator};

use crate::{FrameLimit, HeadersCarrier, PropertiesCarrier};

/// Reads the context of a received message.
pub trait DeliveryExt {
    /// What the message brings from a queue, judged by the policy. Makes no span.
    fn extract(&self, propagator: &Propagator, queue: &str) -> Admission;
}

impl DeliveryExt for Delivery {
    fn extract(&self, propagator: &Propagator, queue: &str) -> Admission {
        propagator.extract(&Peer::amqp(queue), &HeadersCarrier(&self.properties))
    }
}

/// Writes a context onto a message.
pub trait PropertiesExt {
    /// Writes what the destination may learn of a context. Makes no span.
    fn inject(
        &mut self,
        propagator: &Propagator,
        destination: &str,
        context: &PropagationContext,
        limit: FrameLimit,
    ) -> Injection;
}

impl PropertiesExt for BasicProperties {
    fn inject(
        &mut self,
        propagator: &Propagator,
        destination: &str,
        context: &PropagationContext,
        limit: FrameLimit,
    ) -> Injection {
        propagator.inject(&Peer::amqp(destination), context, &mut PropertiesCarrier::new(self, limit))
    }
}
