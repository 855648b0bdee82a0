//! The metric tables of the semantic conventions 1.44: which attributes each metric has, but for those that are opt-in.

use propagation_core::SpanKind;

pub(super) const RPC_SYSTEM: &str = "rpc.system.name";
const RPC_METHOD: &str = "rpc.method";
const RPC_STATUS: &str = "rpc.response.status_code";
pub(super) const HTTP_METHOD: &str = "http.request.method";
pub(super) const URL_SCHEME: &str = "url.scheme";
pub(super) const MESSAGING_SYSTEM: &str = "messaging.system";
pub(super) const OPERATION_TYPE: &str = "messaging.operation.type";
pub(super) const DESTINATION: &str = "messaging.destination.name";
pub(super) const PARTITION: &str = "messaging.destination.partition.id";
/// No attribute of a metric, but what the message counters add up.
pub(super) const BATCH_COUNT: &str = "messaging.batch.message_count";

pub(super) const HTTP_SERVER: &[&str] = &[
    HTTP_METHOD,
    URL_SCHEME,
    "http.response.status_code",
    "http.route",
    "network.protocol.name",
    "network.protocol.version",
];

pub(super) const HTTP_CLIENT: &[&str] = &[
    HTTP_METHOD,
    "server.address",
    "server.port",
    "http.response.status_code",
    "network.protocol.name",
    "network.protocol.version",
];

pub(super) const RPC_SERVER: &[&str] = &[RPC_SYSTEM, RPC_METHOD, RPC_STATUS];

pub(super) const RPC_CLIENT: &[&str] = &[RPC_SYSTEM, RPC_METHOD, RPC_STATUS, "server.address", "server.port"];

/// `messaging.client.operation.duration`.
pub(super) const OPERATION: &[&str] = &[
    "messaging.operation.name",
    OPERATION_TYPE,
    MESSAGING_SYSTEM,
    "messaging.consumer.group.name",
    DESTINATION,
    "messaging.destination.subscription.name",
    "messaging.destination.template",
    PARTITION,
    "server.address",
    "server.port",
];

/// `messaging.client.sent.messages`.
pub(super) const SENT: &[&str] = &[
    "messaging.operation.name",
    MESSAGING_SYSTEM,
    DESTINATION,
    "messaging.destination.template",
    PARTITION,
    "server.address",
    "server.port",
];

/// `messaging.process.duration` and `messaging.client.consumed.messages`.
pub(super) const CONSUMED: &[&str] = &[
    "messaging.operation.name",
    MESSAGING_SYSTEM,
    "messaging.consumer.group.name",
    DESTINATION,
    "messaging.destination.subscription.name",
    "messaging.destination.template",
    PARTITION,
    "server.address",
    "server.port",
];

/// Whether an attribute can matter to any metric.
pub(super) fn is_known(key: &str) -> bool {
    key == BATCH_COUNT || [HTTP_SERVER, HTTP_CLIENT, RPC_CLIENT, OPERATION].iter().any(|table| table.contains(&key))
}

/// Whether hops of this kind are measured.
pub(super) fn is_measured(kind: SpanKind) -> bool {
    matches!(kind, SpanKind::Server | SpanKind::Client | SpanKind::Producer | SpanKind::Consumer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_table_lists_is_kept() {
        for table in [HTTP_SERVER, HTTP_CLIENT, RPC_SERVER, RPC_CLIENT, OPERATION, SENT, CONSUMED] {
            assert!(table.iter().all(|key| is_known(key)));
        }
        assert!(!is_known("url.path") && !is_known("messaging.message.id"));
    }
}
