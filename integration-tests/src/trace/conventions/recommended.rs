//! Attributes of the requirement level Recommended.

use super::{Area, Finding, Version};
use crate::trace::{Span, SpanKind};

/// When the conventions recommend an attribute.
#[derive(Clone, Copy)]
enum When {
    Always,
    /// The span is about one message, not a batch.
    OneMessage,
    /// This other attribute is set.
    With(&'static str),
}

/// An attribute, by its names in all versions of the conventions, newest first.
type Row = (&'static [&'static str], When);

const PEER: [Row; 2] =
    [(&["network.peer.address"], When::Always), (&["network.peer.port"], When::With("network.peer.address"))];
const SERVER: [Row; 2] = [(&["server.address"], When::Always), (&["server.port"], When::Always)];

const HTTP_CLIENT: &[Row] = &[PEER[0], PEER[1], (&["network.protocol.version"], When::Always)];
const HTTP_SERVER: &[Row] = &[
    (&["client.address"], When::Always),
    PEER[0],
    PEER[1],
    (&["network.protocol.version"], When::Always),
    (&["server.address"], When::Always),
    (&["user_agent.original"], When::Always),
];

/// A message's span of any system and operation.
const MESSAGE: &[Row] = &[
    (&["messaging.message.conversation_id"], When::Always),
    (&["messaging.message.id"], When::OneMessage),
    SERVER[0],
    SERVER[1],
];
/// All operations but `create`.
const CLIENT_ID: &[Row] = &[(&["messaging.client.id"], When::Always)];
/// `send`, `receive` and `settle`; a consumer has processed nothing over a connection.
const CONNECTED: &[Row] = &[PEER[1]];
const RABBITMQ_CONNECTED: &[Row] = &[PEER[0]];
const KAFKA: &[Row] = &[
    (&["kafka.cluster.id", "messaging.kafka.cluster.id"], When::Always),
    (&["kafka.offset", "messaging.kafka.offset"], When::OneMessage),
];
const KAFKA_KEY: &[Row] = &[(&["kafka.message.key", "messaging.kafka.message.key"], When::OneMessage)];
const SQS: &[Row] = &[(&["aws.request_id"], When::Always), (&["aws.sqs.queue.url"], When::Always)];
const SNS: &[Row] = &[(&["aws.request_id"], When::Always), (&["aws.sns.topic.arn"], When::Always)];

impl Version {
    /// Returns the attributes that these conventions recommend for a span, and the span does not have.
    ///
    /// Recommended attributes are not required: [`findings`](Self::findings) does not include them. Those that the conventions
    /// restrict to cases that the span does not show ("when applicable") are left out.
    #[must_use]
    pub fn missing_recommended(self, span: &Span) -> Vec<Finding> {
        let (because, tables): (_, &[&[Row]]) = match (Area::of(span), span.kind) {
            (Some(Area::Http), SpanKind::Server) => ("recommended for an HTTP server span", &[HTTP_SERVER]),
            (Some(Area::Http), _) => ("recommended for an HTTP client span", &[HTTP_CLIENT]),
            (Some(Area::Rpc), _) => ("recommended for an RPC span", &[&PEER]),
            (Some(Area::Messaging), _) => ("recommended for a messaging span", messaging(span)),
            (None, _) => return Vec::new(),
        };
        let mut findings = Vec::new();
        for (names, when) in tables.iter().copied().flatten() {
            let applies = match when {
                When::Always => true,
                When::OneMessage => !span.attributes.contains("messaging.batch.message_count"),
                When::With(other) => span.attributes.contains(other),
            };
            if applies
                && !names.iter().any(|name| span.attributes.contains(name))
                && let Some(key) = self.name_of(names)
            {
                findings.push(Finding::Missing { key, because });
            }
        }
        findings
    }

    /// The name of an attribute in this version.
    fn name_of(self, names: &'static [&'static str]) -> Option<&'static str> {
        match self {
            Self::V1_44 => names.last().copied(),
            Self::V1_45 => names.first().copied(),
        }
    }
}

fn messaging(span: &Span) -> &'static [&'static [Row]] {
    let text = |keys: &[&str]| keys.iter().find_map(|key| span.attributes.text(key)).unwrap_or_default();
    let system = text(&["messaging.system.name", "messaging.system"]);
    let operation = text(&["messaging.operation.type", "messaging.operation.name"]);
    let process = operation == "process" || span.kind == SpanKind::Consumer;
    match (system, operation) {
        ("kafka", "create") => &[MESSAGE, KAFKA_KEY],
        (_, "create") => &[MESSAGE],
        ("kafka", _) if process => &[MESSAGE, CLIENT_ID, KAFKA, KAFKA_KEY],
        ("kafka", "settle") => &[MESSAGE, CLIENT_ID, KAFKA, CONNECTED],
        ("kafka", _) => &[MESSAGE, CLIENT_ID, KAFKA, KAFKA_KEY, CONNECTED],
        ("rabbitmq", _) if !process => &[MESSAGE, CLIENT_ID, RABBITMQ_CONNECTED, CONNECTED],
        ("aws_sqs" | "aws.sqs", _) => &[MESSAGE, CLIENT_ID, SQS],
        ("aws.sns", _) => &[MESSAGE, CLIENT_ID, SNS],
        _ if process => &[MESSAGE, CLIENT_ID],
        _ => &[MESSAGE, CLIENT_ID, CONNECTED],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Attributes, SpanId, TraceId, Value};

    fn missing(kind: SpanKind, attributes: &[(&str, &str)]) -> Vec<&'static str> {
        let mut span = Span::new(TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]), "x");
        span.kind = kind;
        span.attributes =
            attributes.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect::<Attributes>();
        let findings = Version::V1_44.missing_recommended(&span);
        findings
            .into_iter()
            .map(|finding| match finding {
                Finding::Missing { key, because } => {
                    assert!(because.starts_with("recommended for"), "{because}");
                    key
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn recommended_attributes_are_those_of_the_span_type() {
        use SpanKind::{Client, Consumer, Internal, Producer, Server};
        let (system, operation) = ("messaging.system", "messaging.operation.type");
        for (kind, attributes, expected) in [
            (
                Server,
                &[("http.request.method", "GET")][..],
                &[
                    "client.address",
                    "network.peer.address",
                    "network.protocol.version",
                    "server.address",
                    "user_agent.original",
                ][..],
            ),
            (Client, &[("http.request.method", "GET")], &["network.peer.address", "network.protocol.version"]),
            (
                Client,
                &[
                    ("http.request.method", "GET"),
                    ("network.peer.address", "10.0.0.1"),
                    ("network.protocol.version", "2"),
                ],
                &["network.peer.port"],
            ),
            (Client, &[("rpc.system.name", "grpc")], &["network.peer.address"]),
            (Server, &[("rpc.system.name", "grpc"), ("network.peer.address", "a"), ("network.peer.port", "1")], &[]),
            (
                Producer,
                &[(system, "kafka"), (operation, "create")],
                &[
                    "messaging.message.conversation_id",
                    "messaging.message.id",
                    "server.address",
                    "server.port",
                    "messaging.kafka.message.key",
                ],
            ),
            (
                Client,
                &[
                    (system, "kafka"),
                    (operation, "receive"),
                    ("messaging.batch.message_count", "2"),
                    ("messaging.client.id", "a"),
                    ("server.address", "a"),
                    ("server.port", "1"),
                ],
                &["messaging.message.conversation_id", "messaging.kafka.cluster.id"],
            ),
            (
                Consumer,
                &[(system, "rabbitmq"), (operation, "process")],
                &[
                    "messaging.message.conversation_id",
                    "messaging.message.id",
                    "server.address",
                    "server.port",
                    "messaging.client.id",
                ],
            ),
            (
                Producer,
                &[
                    (system, "rabbitmq"),
                    (operation, "send"),
                    ("messaging.message.id", "1"),
                    ("messaging.message.conversation_id", "1"),
                ],
                &["server.address", "server.port", "messaging.client.id", "network.peer.address"],
            ),
            (
                Producer,
                &[(system, "aws.sqs"), (operation, "send"), ("aws.request_id", "1"), ("messaging.client.id", "1")],
                &[
                    "messaging.message.conversation_id",
                    "messaging.message.id",
                    "server.address",
                    "server.port",
                    "aws.sqs.queue.url",
                ],
            ),
            (Internal, &[("db.system.name", "postgresql")], &[]),
        ] {
            assert_eq!(missing(kind, attributes), expected, "{kind} {attributes:?}");
        }
    }

    #[test]
    fn attribute_is_found_by_its_name_in_any_version() {
        for key in ["kafka.offset", "messaging.kafka.offset"] {
            let with = missing(SpanKind::Consumer, &[("messaging.system", "kafka"), (key, "1")]);
            assert!(!with.contains(&"messaging.kafka.offset") && !with.contains(&"kafka.offset"), "{key}: {with:?}");
        }
    }
}
