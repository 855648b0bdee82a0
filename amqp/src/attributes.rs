//! What the semantic conventions want to know of a message on RabbitMQ (1.44, messaging/rabbitmq).

use propagation_core::Hop;

/// Exchange and routing key of a message, and the queue it was taken from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) routing_key: &'a str,
    pub(crate) queue: Option<&'a str>,
}

impl Destination<'_> {
    /// `{exchange}:{routing_key}`, with `:{queue}` on the consuming side; what is empty is left out, and a queue of the same
    /// name as the routing key is not said twice.
    pub(crate) fn name(&self) -> String {
        let queue = self.queue.filter(|queue| *queue != self.routing_key);
        let parts: Vec<&str> = [Some(self.exchange), Some(self.routing_key), queue]
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        if parts.is_empty() { "amq.default".to_owned() } else { parts.join(":") }
    }

    /// Names a hop and says where the message goes or comes from.
    pub(crate) fn describe(&self, hop: &mut Hop, operation: &'static str, kind: &'static str) {
        let name = self.name();
        let mut described = std::mem::replace(hop, Hop::resume(propagation_core::PropagationContext::EMPTY))
            .named(format!("{operation} {name}"))
            .with("messaging.system", "rabbitmq")
            .with("messaging.operation.name", operation)
            .with("messaging.operation.type", kind)
            .with("messaging.destination.name", name);
        if !self.routing_key.is_empty() {
            described = described.with("messaging.rabbitmq.destination.routing_key", self.routing_key.to_owned());
        }
        *hop = described;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_named_as_the_conventions_say() {
        for (exchange, routing_key, queue, name) in [
            ("shop", "paid", None, "shop:paid"),
            ("shop", "paid", Some("shipping"), "shop:paid:shipping"),
            ("", "shipping", None, "shipping"),
            ("", "shipping", Some("shipping"), "shipping"),
            ("shop", "", Some("shipping"), "shop:shipping"),
            ("", "", None, "amq.default"),
        ] {
            assert_eq!(Destination { exchange, routing_key, queue }.name(), name);
        }
    }
}
