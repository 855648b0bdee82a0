//! Attributes and `error.type` of messages on Kafka (semantic conventions 1.45, messaging/kafka).

use propagation_core::{
    Attribute, AttributeValue, ExternalText, Hop, Outcome, Propagator, messaging::Destinations, semconv,
};
use rdkafka::{ClientConfig, Message, error::KafkaError};

use crate::record::Details;

/// A client: the attributes that all its messages share, and the descriptions of its topics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    settings: Settings,
    topics: Destinations,
}

/// The attributes of a client that all its messages share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) id: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) server: Option<Server>,
    pub(crate) cluster: Option<String>,
    pub(crate) message_key: bool,
}

/// The broker of a client that is configured with exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    address: String,
    port: u16,
}

/// The operation that a span covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// `messaging.operation.name`, and the beginning of the span's name.
    pub(crate) name: &'static str,
    /// `messaging.operation.type`.
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
    /// Changes a setting, on which the descriptions of topics depend.
    pub(crate) fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.topics = Destinations::default();
    }

    pub(crate) fn group(&self) -> Option<&str> {
        self.settings.group.as_deref()
    }

    /// Sets a hop's name, and the attributes of the operation, topic and client.
    pub(crate) fn describe(&self, propagator: &Propagator, hop: &mut Hop, operation: Operation, topic: &str) {
        let key = [operation.name, operation.kind, topic];
        self.topics.describe(propagator, hop, &key, |hop| self.settings.describe(hop, operation, topic));
    }

    /// Adds the attributes of a record that is about to be sent.
    pub(crate) fn describe_record(&self, hop: &mut Hop, record: &Details<'_>) {
        if let Some(partition) = record.partition.filter(|partition| *partition >= 0) {
            hop.attributes.push(partition_id(partition));
        }
        self.describe_content(hop, record.key, record.tombstone);
    }

    /// Adds the attributes of a received message. Settle spans have only its [`place`].
    pub(crate) fn describe_message(&self, hop: &mut Hop, message: &impl Message) {
        hop.attributes.extend(place(message));
        self.describe_content(hop, message.key(), message.payload().is_none());
    }

    fn describe_content(&self, hop: &mut Hop, key: Option<&[u8]>, tombstone: bool) {
        if tombstone {
            hop.attributes.push(Attribute::new(semconv::KAFKA_MESSAGE_TOMBSTONE, true));
        }
        // A key that is not text has no canonical representation, so the conventions require no attribute.
        if let Some(key) = key.filter(|_| self.settings.message_key).and_then(ExternalText::from_utf8) {
            hop.attributes.push(Attribute::new(semconv::KAFKA_MESSAGE_KEY, key));
        }
    }
}

impl Settings {
    /// Reads `client.id`, `group.id`, and `bootstrap.servers` if that names one broker.
    pub(crate) fn configure(&mut self, config: &ClientConfig) {
        let value = |key| config.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
        self.id = value("client.id").or(self.id.take());
        self.group = value("group.id").or(self.group.take());
        let brokers = config.get("bootstrap.servers").or_else(|| config.get("metadata.broker.list"));
        self.server = brokers.and_then(Server::only).or(self.server.take());
    }

    fn describe(&self, hop: &mut Hop, operation: Operation, topic: &str) {
        hop.name = if topic.is_empty() { operation.name.into() } else { format!("{} {topic}", operation.name).into() };
        let mut add = |key, value: AttributeValue| hop.attributes.push(Attribute::new(key, value));
        add(semconv::MESSAGING_SYSTEM_NAME, semconv::SYSTEM_KAFKA.into());
        add(semconv::MESSAGING_OPERATION_NAME, operation.name.into());
        add(semconv::MESSAGING_OPERATION_TYPE, operation.kind.into());
        if !topic.is_empty() {
            add(semconv::MESSAGING_DESTINATION_NAME, ExternalText::from(topic).into());
        }
        if let Some(id) = &self.id {
            add(semconv::MESSAGING_CLIENT_ID, id.clone().into());
        }
        if let (Some(group), true) = (&self.group, operation.kind != Operation::SEND.kind) {
            add(semconv::MESSAGING_CONSUMER_GROUP_NAME, group.clone().into());
        }
        if let Some(cluster) = &self.cluster {
            add(semconv::KAFKA_CLUSTER_ID, AttributeValue::trusted(cluster.clone()));
        }
        if let Some(server) = &self.server {
            add(semconv::SERVER_ADDRESS, AttributeValue::trusted(server.address.clone()));
            add(semconv::SERVER_PORT, server.port.into());
        }
    }
}

/// Returns the partition and offset of a received message.
pub(crate) fn place(message: &impl Message) -> [Attribute; 2] {
    [partition_id(message.partition()), Attribute::new(semconv::KAFKA_OFFSET, message.offset())]
}

impl Server {
    /// Parses a list of brokers. Returns `None` for several, because the client may connect to any of them.
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

/// Returns a partition as text, as the conventions require. A number needs no scan.
pub(crate) fn partition_id(partition: i32) -> Attribute {
    Attribute::new(semconv::MESSAGING_DESTINATION_PARTITION_ID, AttributeValue::trusted(partition.to_string()))
}

/// Returns the outcome of an operation.
pub(crate) fn outcome<T>(result: &Result<T, KafkaError>) -> Outcome {
    result.as_ref().map_or_else(failure, |_| Outcome::Unset)
}

/// Returns the outcome of a failed operation. `error.type` is the name of the code, for example `QueueFull`.
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
    use propagation_core::{PropagationContext, SpanKind};

    use super::*;

    #[test]
    fn changed_setting_discards_descriptions() {
        let (propagator, mut client) = (Propagator::default(), Client::default());
        let described = |client: &Client| {
            let mut hop = Hop::local(SpanKind::Producer, PropagationContext::EMPTY);
            client.describe(&propagator, &mut hop, Operation::SEND, "orders");
            hop.attributes.into_iter().map(|attribute| attribute.key).collect::<Vec<_>>()
        };
        let before = described(&client);
        assert_eq!(described(&client), before);
        let copy = client.clone();
        client.set(|settings| settings.cluster = Some("cluster-1".to_owned()));
        assert!(described(&client).contains(&semconv::KAFKA_CLUSTER_ID.into()));
        assert_eq!(described(&copy), before);
    }

    #[test]
    fn server_is_parsed_from_a_list_of_one_broker() {
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
