//! The metric tables of the semantic conventions 1.45: the attributes of each metric, without those that are opt-in.

use propagation_core::{
    SpanKind,
    semconv::{
        self, HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE, HTTP_ROUTE, MESSAGING_BATCH_MESSAGE_COUNT,
        MESSAGING_CONSUMER_GROUP_NAME, MESSAGING_DESTINATION_NAME, MESSAGING_DESTINATION_PARTITION_ID,
        MESSAGING_DESTINATION_SUBSCRIPTION_NAME, MESSAGING_DESTINATION_TEMPLATE, MESSAGING_OPERATION_NAME,
        MESSAGING_OPERATION_TYPE, MESSAGING_SYSTEM_NAME, NETWORK_PROTOCOL_NAME, NETWORK_PROTOCOL_VERSION, RPC_METHOD,
        RPC_STATUS_CODE, RPC_SYSTEM_NAME, SERVER_ADDRESS, SERVER_PORT, URL_SCHEME,
    },
};

/// `http.server.active_requests`.
pub(super) const ACTIVE: &[&str] = &[HTTP_REQUEST_METHOD, URL_SCHEME];

/// `http.server.request.duration`.
pub(super) const HTTP_SERVER: &[&str] = &[
    HTTP_REQUEST_METHOD,
    URL_SCHEME,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
    NETWORK_PROTOCOL_NAME,
    NETWORK_PROTOCOL_VERSION,
];

/// `http.client.request.duration`.
pub(super) const HTTP_CLIENT: &[&str] = &[
    HTTP_REQUEST_METHOD,
    SERVER_ADDRESS,
    SERVER_PORT,
    HTTP_RESPONSE_STATUS_CODE,
    NETWORK_PROTOCOL_NAME,
    NETWORK_PROTOCOL_VERSION,
];

/// `rpc.server.call.duration`.
pub(super) const RPC_SERVER: &[&str] = &[RPC_SYSTEM_NAME, RPC_METHOD, RPC_STATUS_CODE];

/// `rpc.client.call.duration`.
pub(super) const RPC_CLIENT: &[&str] = &[RPC_SYSTEM_NAME, RPC_METHOD, RPC_STATUS_CODE, SERVER_ADDRESS, SERVER_PORT];

/// `messaging.client.operation.duration`.
pub(super) const OPERATION: &[&str] = &[
    MESSAGING_OPERATION_NAME,
    MESSAGING_OPERATION_TYPE,
    MESSAGING_SYSTEM_NAME,
    MESSAGING_CONSUMER_GROUP_NAME,
    MESSAGING_DESTINATION_NAME,
    MESSAGING_DESTINATION_SUBSCRIPTION_NAME,
    MESSAGING_DESTINATION_TEMPLATE,
    MESSAGING_DESTINATION_PARTITION_ID,
    SERVER_ADDRESS,
    SERVER_PORT,
];

/// `messaging.client.sent.messages`.
pub(super) const SENT: &[&str] = &[
    MESSAGING_OPERATION_NAME,
    MESSAGING_SYSTEM_NAME,
    MESSAGING_DESTINATION_NAME,
    MESSAGING_DESTINATION_TEMPLATE,
    MESSAGING_DESTINATION_PARTITION_ID,
    SERVER_ADDRESS,
    SERVER_PORT,
];

/// `messaging.process.duration` and `messaging.client.consumed.messages`.
pub(super) const CONSUMED: &[&str] = &[
    MESSAGING_OPERATION_NAME,
    MESSAGING_SYSTEM_NAME,
    MESSAGING_CONSUMER_GROUP_NAME,
    MESSAGING_DESTINATION_NAME,
    MESSAGING_DESTINATION_SUBSCRIPTION_NAME,
    MESSAGING_DESTINATION_TEMPLATE,
    MESSAGING_DESTINATION_PARTITION_ID,
    SERVER_ADDRESS,
    SERVER_PORT,
];

/// Returns `true` if a table lists an attribute, by its name of version 1.45 or of 1.44.
pub(super) fn lists(table: &[&str], key: &str) -> bool {
    table.contains(&key) || table.contains(&semconv::current_name(key))
}

/// Returns `true` if an attribute can matter to any metric.
///
/// `messaging.batch.message_count` is no attribute of a metric, but the number that the message counters add.
pub(super) fn is_known(key: &str) -> bool {
    let tables = [HTTP_SERVER, HTTP_CLIENT, RPC_CLIENT, OPERATION];
    key == MESSAGING_BATCH_MESSAGE_COUNT || tables.iter().any(|table| lists(table, key))
}

/// Returns `true` if hops of this kind are measured.
pub(super) fn is_measured(kind: SpanKind) -> bool {
    matches!(kind, SpanKind::Server | SpanKind::Client | SpanKind::Producer | SpanKind::Consumer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_attributes_are_known_by_either_name() {
        for table in [HTTP_SERVER, HTTP_CLIENT, RPC_SERVER, RPC_CLIENT, OPERATION, SENT, CONSUMED] {
            assert!(table.iter().all(|key| is_known(key)));
        }
        assert!(is_known("messaging.system") && is_known("rpc.response.status_code"));
        assert!(!is_known("url.path") && !is_known("messaging.message.id"));
    }
}
