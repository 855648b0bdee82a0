//! The attributes of a message on RabbitMQ (semantic conventions 1.45, messaging/rabbitmq).

use lapin::{BasicProperties, types::AMQPValue, uri::AMQPUri};
use propagation_core::{
    Attribute, AttributeValue, ExternalText, Hop, Propagator, hop::MessageSource, messaging::Destinations, semconv,
};

use crate::names::{Names, is_generated};

/// The name of the exchange whose name is empty.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// The exchange and routing key of a message, and the queue it was consumed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) routing_key: &'a str,
    pub(crate) queue: Option<&'a str>,
    pub(crate) declared: &'a Declared,
}

/// The settings of an adapter that its destinations are described by, and the descriptions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    settings: Settings,
    known: Destinations,
}

/// The settings of an adapter that its destinations are described by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) names: Names,
    pub(crate) server: Option<ServerAddress>,
    /// Whether the consumer's queue is temporary.
    pub(crate) temporary: bool,
}

impl Declared {
    /// Changes a setting, on which the descriptions depend.
    pub(crate) fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.known = Destinations::default();
    }
}

/// The address of a broker, for `server.address` and `server.port`.
///
/// lapin does not expose the address of a connection, so the adapters take it from the URI that the connection was opened with.
///
/// ```
/// use lapin::uri::AMQPUri;
/// use propagation_amqp::ServerAddress;
///
/// let uri: AMQPUri = "amqp://user:secret@rabbitmq.example.com:5672/%2f".parse()?;
/// let server = ServerAddress::from(&uri);
/// assert_eq!((server.host(), server.port()), ("rabbitmq.example.com", 5672));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    host: String,
    port: u16,
}

impl ServerAddress {
    /// Creates an address. Brackets around an IPv6 address are removed.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        let inner = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).map(str::to_owned);
        Self { host: inner.unwrap_or(host), port }
    }

    /// Returns the host name or IP address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl From<&AMQPUri> for ServerAddress {
    fn from(uri: &AMQPUri) -> Self {
        Self::new(uri.authority.host.as_str(), uri.authority.port)
    }
}

/// The name of a destination, made of its declared parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The parts that are not patterns.
    name: String,
    /// All parts, if one of them is a pattern.
    template: Option<String>,
}

impl Name {
    fn new(parts: &[(&str, bool)]) -> Self {
        let join = |patterns: bool| {
            let shown = parts.iter().filter(|(part, is_pattern)| !part.is_empty() && (patterns || !is_pattern));
            shown.map(|(part, _)| *part).collect::<Vec<_>>().join(":")
        };
        let name = join(false);
        let has_pattern = parts.iter().any(|(_, is_pattern)| *is_pattern);
        Self {
            name: if name.is_empty() { DEFAULT_EXCHANGE.to_owned() } else { name },
            template: has_pattern.then(|| join(true)),
        }
    }

    pub(crate) fn for_span(&self) -> &str {
        self.template.as_deref().unwrap_or(&self.name)
    }
}

impl Destination<'_> {
    /// Returns `{exchange}:{routing_key}` if both are declared, otherwise `{exchange}`, with `:{queue}` on the consuming side.
    ///
    /// Omits empty parts, a queue with the name of the routing key, and queues with generated names. Undeclared routing keys are
    /// chosen by publishers, and would have unlimited cardinality in span names and metrics.
    pub(crate) fn name(&self) -> Name {
        let Settings { names, temporary, .. } = &self.declared.settings;
        let queue = self.queue.filter(|queue| !temporary && !is_generated(queue));
        if self.exchange.is_empty() {
            // Here the routing key names the queue.
            let sent_to = Some(self.routing_key).filter(|key| !is_generated(key) && names.has_queue(key));
            return Name::new(&[(queue.or(sent_to).unwrap_or_default(), false)]);
        }
        match names.find(self.exchange, self.routing_key) {
            Some((exchange, key)) => Name::new(&[
                (exchange.as_str(), exchange.is_pattern()),
                (key.as_str(), key.is_pattern()),
                (queue.filter(|queue| *queue != key.as_str()).unwrap_or_default(), false),
            ]),
            None => Name::new(&[(self.exchange, false), (queue.unwrap_or_default(), false)]),
        }
    }

    /// Returns `true` for a receive span, which starts before exchange and routing key are known.
    fn is_receive(&self) -> bool {
        self.queue.is_some() && self.exchange.is_empty() && self.routing_key.is_empty()
    }

    fn is_anonymous(&self) -> bool {
        let sent_to = Some(self.routing_key).filter(|_| self.exchange.is_empty());
        self.queue.or(sent_to).is_some_and(is_generated)
    }

    /// Sets a hop's name, and the attributes of the operation and destination.
    pub(crate) fn describe(&self, propagator: &Propagator, hop: &mut Hop, operation: &'static str, kind: &'static str) {
        // A reply queue has a name of its own for each caller: it would take the room of a destination.
        if is_generated(self.routing_key) {
            return self.describe_new(hop, operation, kind);
        }
        // Each adapter has one queue, or none.
        let key = [operation, kind, self.exchange, self.routing_key];
        self.declared.known.describe(propagator, hop, &key, |hop| self.describe_new(hop, operation, kind));
    }

    fn describe_new(&self, hop: &mut Hop, operation: &'static str, kind: &'static str) {
        let name = self.name();
        hop.name = operation.into();
        hop.add_attribute(semconv::MESSAGING_SYSTEM_NAME, semconv::SYSTEM_RABBITMQ);
        hop.add_attribute(semconv::MESSAGING_OPERATION_NAME, operation);
        hop.add_attribute(semconv::MESSAGING_OPERATION_TYPE, kind);
        hop.source = self.queue.map(|queue| MessageSource::new(semconv::SYSTEM_RABBITMQ, queue));
        // A receive span of a queue with a generated name has no destination name.
        if !self.is_receive() || name.name != DEFAULT_EXCHANGE {
            hop.name = format!("{operation} {}", name.for_span()).into();
            hop.add_attribute(semconv::MESSAGING_DESTINATION_NAME, name.name);
        }
        if let Some(template) = name.template {
            hop.add_attribute(semconv::MESSAGING_DESTINATION_TEMPLATE, template);
        }
        if self.declared.settings.temporary || self.is_anonymous() {
            hop.add_attribute(semconv::MESSAGING_DESTINATION_TEMPORARY, true);
        }
        if self.is_anonymous() {
            hop.add_attribute(semconv::MESSAGING_DESTINATION_ANONYMOUS, true);
        }
        if !self.routing_key.is_empty() {
            hop.add_attribute(semconv::RABBITMQ_DESTINATION_ROUTING_KEY, ExternalText::from(self.routing_key));
        }
        if let Some(server) = &self.declared.settings.server {
            hop.add_attribute(semconv::SERVER_ADDRESS, AttributeValue::trusted(server.host.clone()));
            hop.add_attribute(semconv::SERVER_PORT, server.port);
        }
    }
}

/// Returns the number of this delivery, if the broker counts: quorum queues count the deliveries before this one in `x-delivery-count`.
pub(crate) fn delivery_count(properties: &BasicProperties) -> Option<Attribute> {
    let before = match properties.headers().as_ref()?.inner().get("x-delivery-count")? {
        AMQPValue::ShortShortInt(count) => i64::from(*count),
        AMQPValue::ShortShortUInt(count) => i64::from(*count),
        AMQPValue::ShortInt(count) => i64::from(*count),
        AMQPValue::ShortUInt(count) => i64::from(*count),
        AMQPValue::LongInt(count) => i64::from(*count),
        AMQPValue::LongUInt(count) => i64::from(*count),
        AMQPValue::LongLongInt(count) => *count,
        _ => return None,
    };
    Some(Attribute::new("propagation.message.delivery_count", before.checked_add(1).filter(|count| *count > 0)?))
}

/// Returns the message id and the conversation id (`correlation_id`) of a message.
pub(crate) fn ids(properties: &BasicProperties) -> impl Iterator<Item = Attribute> {
    let ids = [
        (semconv::MESSAGING_MESSAGE_ID, properties.message_id()),
        (semconv::MESSAGING_MESSAGE_CONVERSATION_ID, properties.correlation_id()),
    ];
    ids.into_iter().filter_map(|(key, id)| Some(Attribute::external(key, id.as_ref()?.as_str())))
}

#[cfg(test)]
mod tests {
    use propagation_core::{PropagationContext, SpanKind};

    use super::*;

    #[test]
    fn changed_setting_discards_descriptions() {
        let (propagator, mut declared) = (Propagator::default(), Declared::default());
        let described = |declared: &Declared| {
            let mut hop = Hop::local(SpanKind::Producer, PropagationContext::EMPTY);
            let destination = Destination { exchange: "shop", routing_key: "paid", queue: None, declared };
            destination.describe(&propagator, &mut hop, "send", "send");
            hop.attributes.into_iter().map(|attribute| attribute.key).collect::<Vec<_>>()
        };
        let before = described(&declared);
        assert_eq!(described(&declared), before);
        declared.set(|settings| settings.server = Some(ServerAddress::new("rabbitmq.example.com", 5672)));
        assert!(described(&declared).contains(&semconv::SERVER_ADDRESS.into()));
    }

    #[test]
    fn reply_queue_takes_no_room() {
        let declared = Declared::default();
        for (routing_key, kept) in [("amq.rabbitmq.reply-to.g1h2", 0), ("amq.gen-4711", 0), ("shipping", 1)] {
            let mut hop = Hop::local(SpanKind::Producer, PropagationContext::EMPTY);
            let destination = Destination { exchange: "", routing_key, queue: None, declared: &declared };
            destination.describe(&Propagator::default(), &mut hop, "send", "send");
            assert!(hop.attributes.iter().any(|found| found.key == semconv::RABBITMQ_DESTINATION_ROUTING_KEY));
            assert_eq!(format!("{:?}", declared.known), format!("Destinations {{ kept: {kept} }}"));
        }
    }

    #[test]
    fn destination_is_named_by_its_declared_parts() {
        let names = Names::default()
            .with_exchange("shop", ["paid", "orders.*", ""])
            .with_exchange("tenant-*", ["#"])
            .with_queues(["shipping"]);
        let mut declared = Declared::default();
        declared.set(|settings| settings.names = names);
        for (exchange, routing_key, queue, span, name) in [
            ("shop", "paid", None, "shop:paid", "shop:paid"),
            ("shop", "paid", Some("shipping"), "shop:paid:shipping", "shop:paid:shipping"),
            ("shop", "paid", Some("paid"), "shop:paid", "shop:paid"),
            ("shop", "orders.4711", None, "shop:orders.*", "shop"),
            ("shop", "orders.4711", Some("shipping"), "shop:orders.*:shipping", "shop:shipping"),
            ("shop", "anna@example.com", None, "shop", "shop"),
            ("shop", "anna@example.com", Some("shipping"), "shop:shipping", "shop:shipping"),
            ("shop", "", Some("shipping"), "shop:shipping", "shop:shipping"),
            ("other", "paid", None, "other", "other"),
            ("tenant-anna", "anna@example.com", None, "tenant-*:#", "amq.default"),
            ("", "shipping", None, "shipping", "shipping"),
            ("", "shipping", Some("shipping"), "shipping", "shipping"),
            ("", "billing", Some("billing"), "billing", "billing"),
            ("", "reply-4711", None, "amq.default", "amq.default"),
            ("", "amq.gen-JzTY20BRgKO-HjmUJj0wLg", None, "amq.default", "amq.default"),
            ("", "amq.rabbitmq.reply-to.g1h2AA5yZXBseUAy", None, "amq.default", "amq.default"),
            ("", "amq.gen-a", Some("amq.gen-a"), "amq.default", "amq.default"),
            ("shop", "paid", Some("amq.gen-a"), "shop:paid", "shop:paid"),
            ("shop", "x", Some("amq.gen-a"), "shop", "shop"),
            ("", "", None, "amq.default", "amq.default"),
        ] {
            let named = Destination { exchange, routing_key, queue, declared: &declared }.name();
            assert_eq!((named.for_span(), named.name.as_str()), (span, name), "{exchange} {routing_key} {queue:?}");
        }
    }

    #[test]
    fn undeclared_routing_key_is_in_no_name() {
        let mut declared = Declared::default();
        for (exchange, queue, name) in
            [("shop", None, "shop"), ("shop", Some("shipping"), "shop:shipping"), ("", None, "amq.default")]
        {
            let routing_key = "anna@example.com";
            let named = Destination { exchange, routing_key, queue, declared: &declared }.name();
            assert_eq!((named.for_span(), named.name.as_str()), (name, name));
        }
        declared.set(|settings| settings.temporary = true);
        let named = Destination { exchange: "shop", routing_key: "x", queue: Some("mine"), declared: &declared };
        assert_eq!(named.name().for_span(), "shop", "a temporary queue is left out");
    }
}
