//! What the semantic conventions want to know of a message on Kafka (1.44, messaging/kafka), and what errors are called.

use propagation_core::{Attribute, AttributeValue, Hop, Outcome, Propagator};
use rdkafka::{ClientConfig, Message, error::KafkaError};

use crate::record::Details;

/// What is known of the client, whatever the message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    pub(crate) id: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) server: Option<Server>,
    pub(crate) message_key: bool,
}

/// The one broker that a client is pointed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    address: String,
    port: u16,
}

/// What a span is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// What the client calls it: `messaging.operation.name`, and the span's name.
    pub(crate) name: &'static str,
    /// What the conventions call it: `messaging.operation.type`.
    pub(crate) kind: &'static str,
}

impl Operation {
    pub(crate) const SEND: Self = Self { name: "send", kind: "send" };
    pub(crate) const RECEIVE: Self = Self { name: "receive", kind: "receive" };
    pub(crate) const PROCESS: Self = Self { name: "process", kind: "process" };
    pub(crate) const COMMIT: Self = Self { name: "commit", kind: "settle" };

    pub(crate) const fn settle(name: &'static str) -> Self {
        Self { name, kind: "settle" }
    }
}

impl Client {
    /// Takes over what a configuration says: `client.id`, `group.id`, and `bootstrap.servers` if that names one broker.
    pub(crate) fn configure(&mut self, config: &ClientConfig) {
        let said = |key| config.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
        self.id = said("client.id").or(self.id.take());
        self.group = said("group.id").or(self.group.take());
        let brokers = config.get("bootstrap.servers").or_else(|| config.get("metadata.broker.list"));
        self.server = brokers.and_then(Server::only).or(self.server.take());
    }

    /// Names a hop and says where the message goes or comes from.
    pub(crate) fn describe(&self, hop: &mut Hop, operation: Operation, topic: &str) {
        hop.name = if topic.is_empty() { operation.name.into() } else { format!("{} {topic}", operation.name).into() };
        let mut say = |key, value: AttributeValue| hop.attributes.push(Attribute::new(key, value));
        say("messaging.system", "kafka".into());
        say("messaging.operation.name", operation.name.into());
        say("messaging.operation.type", operation.kind.into());
        if !topic.is_empty() {
            say("messaging.destination.name", topic.to_owned().into());
        }
        if let Some(id) = &self.id {
            say("messaging.client.id", id.clone().into());
        }
        if let (Some(group), true) = (&self.group, operation.kind != Operation::SEND.kind) {
            say("messaging.consumer.group.name", group.clone().into());
        }
        if let Some(server) = &self.server {
            say("server.address", server.address.clone().into());
            say("server.port", server.port.into());
        }
    }

    /// Adds what is known of a record before it is sent.
    pub(crate) fn describe_record(&self, hop: &mut Hop, record: &Details<'_>, propagator: &Propagator) {
        if let Some(partition) = record.partition.filter(|partition| *partition >= 0) {
            hop.attributes.push(partition_id(partition));
        }
        self.describe_content(hop, record.key, record.tombstone, propagator);
    }

    /// Adds what is known of a received message; settling says nothing of its content.
    pub(crate) fn describe_message(&self, hop: &mut Hop, message: &impl Message, propagator: &Propagator) {
        describe_place(hop, message);
        self.describe_content(hop, message.key(), message.payload().is_none(), propagator);
    }

    fn describe_content(&self, hop: &mut Hop, key: Option<&[u8]>, tombstone: bool, propagator: &Propagator) {
        if tombstone {
            hop.attributes.push(Attribute::new("messaging.kafka.message.tombstone", true));
        }
        // A key that isn't text has no canonical representation: then the conventions want none.
        if let Some(key) = key.filter(|_| self.message_key).and_then(|key| std::str::from_utf8(key).ok())
            && propagator.policy().lets_telemetry_say(MESSAGE_KEY, key)
        {
            hop.attributes.push(Attribute::new(MESSAGE_KEY, key.to_owned()));
        }
    }
}

/// Says where a received message is: all that settling it is about.
pub(crate) fn describe_place(hop: &mut Hop, message: &impl Message) {
    hop.attributes.push(partition_id(message.partition()));
    hop.attributes.push(Attribute::new("messaging.kafka.offset", message.offset()));
}

const MESSAGE_KEY: &str = "messaging.kafka.message.key";

impl Server {
    /// The broker of a list that names just one: of several, nobody knows which will be talked to.
    fn only(brokers: &str) -> Option<Self> {
        let mut brokers = brokers.split(',').map(str::trim).filter(|broker| !broker.is_empty());
        let (broker, None) = (brokers.next()?, brokers.next()) else { return None };
        let broker = broker.rsplit_once("://").map_or(broker, |(_, address)| address);
        let (address, port) = match broker.rsplit_once(':') {
            Some((address, port)) if !address.ends_with(':') && (!address.contains(':') || address.ends_with(']')) => {
                (address, port.parse().ok()?)
            }
            _ => (broker, DEFAULT_PORT),
        };
        let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
        (!address.is_empty()).then(|| Self { address: address.to_owned(), port })
    }
}

const DEFAULT_PORT: u16 = 9092;

fn partition_id(partition: i32) -> Attribute {
    Attribute::new("messaging.destination.partition.id", partition.to_string())
}

/// How an operation ended.
pub(crate) fn outcome<T>(result: &Result<T, KafkaError>) -> Outcome {
    result.as_ref().map_or_else(failure, |_| Outcome::Unset)
}

/// An operation failed; `error.type` is the code's name, such as `QueueFull`.
pub(crate) fn failure(error: &KafkaError) -> Outcome {
    match (error.rdkafka_error_code(), error) {
        (Some(code), _) => Outcome::error(format!("{code:?}")),
        (None, KafkaError::Canceled) => Outcome::error("Canceled"),
        (None, KafkaError::Nul(_)) => Outcome::error("Nul"),
        (None, _) => Outcome::error("_OTHER"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_where_there_is_only_one() {
        let server = |address: &str, port| Some(Server { address: address.to_owned(), port });
        for (brokers, expected) in [
            ("kafka:19092", server("kafka", 19092)),
            ("kafka", server("kafka", 9092)),
            (" SASL_SSL://kafka.example.com:9093 ,", server("kafka.example.com", 9093)),
            ("127.0.0.1:1", server("127.0.0.1", 1)),
            ("[::1]:9094", server("::1", 9094)),
            ("[::1]", server("::1", 9092)),
            ("::1", server("::1", 9092)),
            ("fe80::1:2", server("fe80::1:2", 9092)),
            ("one:9092,two:9092", None),
            ("kafka:port", None),
            (":9092", None),
            ("", None),
        ] {
            assert_eq!(Server::only(brokers), expected, "{brokers}");
        }
    }
}
