//! The tables of version 1.45, as far as checks use them, and the names that it changed.

use crate::trace::SpanKind::{self, Client, Consumer, Producer, Server};

/// The requirements on spans of one type.
pub(super) struct SpanType {
    pub(super) what: &'static str,
    pub(super) kinds: &'static [SpanKind],
    pub(super) required: &'static [&'static str],
}

pub(super) const HTTP_CLIENT: SpanType = SpanType {
    what: "an HTTP client span must have it",
    kinds: &[Client],
    required: &["http.request.method", "server.address", "server.port", "url.full"],
};
pub(super) const HTTP_SERVER: SpanType = SpanType {
    what: "an HTTP server span must have it",
    kinds: &[Server],
    required: &["http.request.method", "url.path", "url.scheme"],
};
pub(super) const RPC_CLIENT: SpanType =
    SpanType { what: "an RPC client span must have it", kinds: &[Client], required: &["rpc.system.name"] };
pub(super) const RPC_SERVER: SpanType =
    SpanType { what: "an RPC server span must have it", kinds: &[Server], required: &["rpc.system.name"] };
pub(super) const GRPC_CLIENT: SpanType = SpanType {
    what: "a gRPC client span must have it",
    kinds: &[Client],
    required: &["rpc.system.name", "rpc.method", "rpc.status_code", "server.address"],
};
pub(super) const GRPC_SERVER: SpanType = SpanType {
    what: "a gRPC server span must have it",
    kinds: &[Server],
    required: &["rpc.system.name", "rpc.status_code"],
};

const MESSAGING: &[&str] = &["messaging.system.name", "messaging.operation.name"];
const MUST: &str = "a messaging span must have it";

/// The type of a messaging span by its operation; unknown operations may have any messaging kind.
pub(super) fn messaging(operation: &str) -> &'static SpanType {
    match operation {
        "create" => &SpanType { what: MUST, kinds: &[Producer], required: MESSAGING },
        // PRODUCER when its own context is in the message, CLIENT when a create span's is.
        "send" | "publish" => &SpanType { what: MUST, kinds: &[Producer, Client], required: MESSAGING },
        "process" => &SpanType { what: MUST, kinds: &[Consumer], required: MESSAGING },
        "receive" | "poll" | "settle" | "ack" | "nack" | "reject" | "commit" | "delete" => {
            &SpanType { what: MUST, kinds: &[Client], required: MESSAGING }
        }
        _ => &SpanType { what: MUST, kinds: &[Producer, Client, Consumer], required: MESSAGING },
    }
}

pub(super) const GRPC_STATUS: &[&str] = &[
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
pub(super) const GRPC_SERVER_ERRORS: &[&str] =
    &["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

/// The type of an attribute; `None` for those that the checked conventions do not define.
pub(super) fn type_of(key: &str) -> Option<&'static str> {
    const INTS: &[&str] = &[
        "client.port",
        "http.request.body.size",
        "http.request.resend_count",
        "http.request.size",
        "http.response.body.size",
        "http.response.size",
        "http.response.status_code",
        "messaging.batch.message_count",
        "kafka.offset",
        "messaging.message.body.size",
        "messaging.message.envelope.size",
        "rabbitmq.message.delivery_tag",
        "network.local.port",
        "network.peer.port",
        "server.port",
    ];
    const BOOLEANS: &[&str] =
        &["messaging.destination.anonymous", "messaging.destination.temporary", "kafka.message.tombstone"];
    const STRINGS: &[&str] = &[
        "aws.extended_request_id",
        "aws.request_id",
        "aws.sns.topic.arn",
        "aws.sqs.queue.url",
        "client.address",
        "cloud.region",
        "error.type",
        "http.request.method",
        "http.request.method_original",
        "http.route",
        "messaging.client.id",
        "messaging.consumer.group.name",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.destination.template",
        "kafka.cluster.id",
        "kafka.message.key",
        "messaging.message.conversation_id",
        "messaging.message.id",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.system.name",
        "rabbitmq.destination.routing_key",
        "network.local.address",
        "network.peer.address",
        "network.protocol.name",
        "network.protocol.version",
        "network.transport",
        "rpc.method",
        "rpc.method_original",
        "rpc.status_code",
        "rpc.system.name",
        "server.address",
        "url.full",
        "url.path",
        "url.query",
        "url.scheme",
        "url.template",
        "user_agent.original",
        "user_agent.synthetic.type",
    ];
    const LISTS: &[&str] =
        &["http.request.header.", "http.response.header.", "rpc.request.metadata.", "rpc.response.metadata."];
    if INTS.contains(&key) {
        Some("int")
    } else if BOOLEANS.contains(&key) {
        Some("boolean")
    } else if STRINGS.contains(&key) {
        Some("string")
    } else if LISTS.iter().any(|prefix| key.starts_with(prefix)) {
        Some("string[]")
    } else {
        None
    }
}

/// Attributes that version 1.45 renamed, as (1.45, 1.44).
pub(super) const RENAMED: &[(&str, &str)] = &[
    ("kafka.cluster.id", "messaging.kafka.cluster.id"),
    ("kafka.message.key", "messaging.kafka.message.key"),
    ("kafka.message.tombstone", "messaging.kafka.message.tombstone"),
    ("kafka.offset", "messaging.kafka.offset"),
    ("messaging.system.name", "messaging.system"),
    ("rabbitmq.destination.routing_key", "messaging.rabbitmq.destination.routing_key"),
    ("rabbitmq.message.delivery_tag", "messaging.rabbitmq.message.delivery_tag"),
    ("rpc.status_code", "rpc.response.status_code"),
];

/// Values of `messaging.system` in version 1.44 that `messaging.system.name` replaced, as (1.45, 1.44).
pub(super) const SYSTEMS: &[(&str, &str)] = &[
    ("aws.sqs", "aws_sqs"),
    ("azure.eventgrid", "eventgrid"),
    ("azure.eventhubs", "eventhubs"),
    ("azure.servicebus", "servicebus"),
    ("gcp.pubsub", "gcp_pubsub"),
];

/// Names that were deprecated before version 1.44, and their replacements.
pub(super) const DEPRECATED: &[(&str, &str)] = &[
    ("http.method", "http.request.method"),
    ("http.status_code", "http.response.status_code"),
    ("http.url", "url.full"),
    ("http.target", "url.path` and `url.query"),
    ("http.scheme", "url.scheme"),
    ("http.host", "server.address` and `server.port"),
    ("http.server_name", "server.address"),
    ("http.client_ip", "client.address"),
    ("http.flavor", "network.protocol.version"),
    ("http.user_agent", "user_agent.original"),
    ("http.request_content_length", "http.request.body.size"),
    ("http.response_content_length", "http.response.body.size"),
    ("http.resend_count", "http.request.resend_count"),
    ("net.peer.name", "server.address"),
    ("net.peer.port", "server.port"),
    ("net.peer.ip", "network.peer.address"),
    ("net.host.name", "server.address"),
    ("net.host.port", "server.port"),
    ("net.host.ip", "network.local.address"),
    ("net.sock.peer.addr", "network.peer.address"),
    ("net.sock.peer.port", "network.peer.port"),
    ("net.sock.host.addr", "network.local.address"),
    ("net.sock.host.port", "network.local.port"),
    ("net.protocol.name", "network.protocol.name"),
    ("net.protocol.version", "network.protocol.version"),
    ("net.transport", "network.transport"),
    ("rpc.system", "rpc.system.name"),
    ("rpc.service", "rpc.method"),
    ("rpc.grpc.status_code", "rpc.status_code"),
    ("messaging.operation", "messaging.operation.type"),
    ("messaging.destination", "messaging.destination.name"),
    ("messaging.destination_kind", ""),
    ("messaging.temp_destination", "messaging.destination.temporary"),
    ("messaging.protocol", "network.protocol.name"),
    ("messaging.protocol_version", "network.protocol.version"),
    ("messaging.url", "server.address` and `server.port"),
    ("messaging.message_id", "messaging.message.id"),
    ("messaging.conversation_id", "messaging.message.conversation_id"),
    ("messaging.consumer_id", "messaging.client.id"),
    ("messaging.consumer.id", "messaging.client.id"),
    ("messaging.client_id", "messaging.client.id"),
    ("messaging.kafka.client_id", "messaging.client.id"),
    ("messaging.kafka.consumer_group", "messaging.consumer.group.name"),
    ("messaging.kafka.consumer.group", "messaging.consumer.group.name"),
    ("messaging.kafka.partition", "messaging.destination.partition.id"),
    ("messaging.kafka.destination.partition", "messaging.destination.partition.id"),
    ("messaging.kafka.message.offset", "kafka.offset"),
    ("messaging.kafka.message_key", "kafka.message.key"),
    ("messaging.kafka.tombstone", "kafka.message.tombstone"),
    ("messaging.rabbitmq.routing_key", "rabbitmq.destination.routing_key"),
    ("deployment.environment", "deployment.environment.name"),
    ("exception.escaped", ""),
];
