//! Extension traits to extract and inject without spans.

use lapin::{BasicProperties, message::Delivery};
use propagation_core::{Admission, InjectionReport, Peer, PropagationContext, Propagator};

use crate::{FrameLimit, PropertiesCarrier, PropertiesCarrierMut, sealed::Sealed};

/// Reads the context of a received message, without spans. [`ConsumerPropagation`](crate::ConsumerPropagation) makes spans.
///
/// ```
/// # async fn example(delivery: lapin::message::Delivery, propagator: propagation_core::Propagator) {
/// use propagation_amqp::DeliveryExt;
///
/// let admission = delivery.extract(&propagator, "shipping");
/// let hop = propagator.continue_from(admission.context);
/// hop.scope(async { /* handle it */ }).await;
/// # }
/// ```
pub trait DeliveryExt: Sealed {
    /// Extracts the context of the message and applies the policy for a queue. Makes no span.
    fn extract(&self, propagator: &Propagator, queue: &str) -> Admission;
}

impl Sealed for Delivery {}
impl Sealed for BasicProperties {}

impl DeliveryExt for Delivery {
    fn extract(&self, propagator: &Propagator, queue: &str) -> Admission {
        propagator.extract(&Peer::amqp(queue), &PropertiesCarrier::new(&self.properties))
    }
}

/// Writes a context to a message, without spans. [`ProducerPropagation`](crate::ProducerPropagation) makes spans.
///
/// ```
/// use lapin::BasicProperties;
/// use propagation_amqp::{FrameLimit, PropertiesExt};
/// use propagation_core::{PropagationContext, Propagator, TraceContext};
///
/// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// let context = PropagationContext::new(TraceContext::new(parent));
/// let mut properties = BasicProperties::default();
/// let injection = properties.inject(&Propagator::default(), "shop", &context, FrameLimit::DEFAULT);
/// assert!(injection.written().eq(["traceparent"]));
/// # Ok::<(), propagation_core::model::TraceParentError>(())
/// ```
pub trait PropertiesExt: Sealed {
    /// Writes the part of a context that the policy releases to a destination: an exchange (`shop`), or a queue that is reached through
    /// the default exchange (`queue/replies`). Makes no span.
    fn inject(
        &mut self,
        propagator: &Propagator,
        destination: &str,
        context: &PropagationContext,
        limit: FrameLimit,
    ) -> InjectionReport;
}

impl PropertiesExt for BasicProperties {
    fn inject(
        &mut self,
        propagator: &Propagator,
        destination: &str,
        context: &PropagationContext,
        limit: FrameLimit,
    ) -> InjectionReport {
        let peer = destination.strip_prefix("queue/").map_or_else(|| Peer::amqp(destination), Peer::amqp_queue);
        propagator.inject(&peer, context, &mut PropertiesCarrierMut::new(self, limit))
    }
}
