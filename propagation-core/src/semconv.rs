//! Names of the OpenTelemetry semantic conventions, version 1.45.
//!
//! Adapters describe hops with these constants. The propagator translates the names of an area to those of version 1.44 where
//! [`SemanticConventions`] asks for them.

mod selection;

pub use selection::{NameSet, SemanticConventions};

/// The schema URL of version 1.45, for tracers and meters.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

/// The schema URL of version 1.44, for tracers and meters whose spans have the older names.
pub const SCHEMA_URL_1_44: &str = "https://opentelemetry.io/schemas/1.44.0";

macro_rules! names {
    ($list:ident, $doc:literal: $($constant:ident = $name:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: &str = $name;
        )*

        #[doc = $doc]
        pub const $list: &[&str] = &[$($name),*];
    };
}

names! {
    ATTRIBUTES, "The names of span and metric attributes of this module.":
    AWS_REQUEST_ID = "aws.request_id";
    AWS_SQS_QUEUE_URL = "aws.sqs.queue.url";
    AWS_SNS_TOPIC_ARN = "aws.sns.topic.arn";
    CLIENT_ADDRESS = "client.address";
    CLIENT_PORT = "client.port";
    ERROR_TYPE = "error.type";
    EXCEPTION_MESSAGE = "exception.message";
    EXCEPTION_STACKTRACE = "exception.stacktrace";
    EXCEPTION_TYPE = "exception.type";
    HTTP_REQUEST_METHOD = "http.request.method";
    HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original";
    HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count";
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code";
    HTTP_ROUTE = "http.route";
    KAFKA_CLUSTER_ID = "kafka.cluster.id";
    KAFKA_MESSAGE_KEY = "kafka.message.key";
    KAFKA_MESSAGE_TOMBSTONE = "kafka.message.tombstone";
    KAFKA_OFFSET = "kafka.offset";
    MESSAGING_BATCH_MESSAGE_COUNT = "messaging.batch.message_count";
    MESSAGING_CLIENT_ID = "messaging.client.id";
    MESSAGING_CONSUMER_GROUP_NAME = "messaging.consumer.group.name";
    MESSAGING_DESTINATION_ANONYMOUS = "messaging.destination.anonymous";
    MESSAGING_DESTINATION_NAME = "messaging.destination.name";
    MESSAGING_DESTINATION_PARTITION_ID = "messaging.destination.partition.id";
    MESSAGING_DESTINATION_SUBSCRIPTION_NAME = "messaging.destination.subscription.name";
    MESSAGING_DESTINATION_TEMPLATE = "messaging.destination.template";
    MESSAGING_DESTINATION_TEMPORARY = "messaging.destination.temporary";
    MESSAGING_MESSAGE_BODY_SIZE = "messaging.message.body.size";
    MESSAGING_MESSAGE_CONVERSATION_ID = "messaging.message.conversation_id";
    MESSAGING_MESSAGE_ID = "messaging.message.id";
    MESSAGING_OPERATION_NAME = "messaging.operation.name";
    MESSAGING_OPERATION_TYPE = "messaging.operation.type";
    MESSAGING_SYSTEM_NAME = "messaging.system.name";
    NETWORK_PEER_ADDRESS = "network.peer.address";
    NETWORK_PEER_PORT = "network.peer.port";
    NETWORK_PROTOCOL_NAME = "network.protocol.name";
    NETWORK_PROTOCOL_VERSION = "network.protocol.version";
    RABBITMQ_DESTINATION_ROUTING_KEY = "rabbitmq.destination.routing_key";
    RABBITMQ_MESSAGE_DELIVERY_TAG = "rabbitmq.message.delivery_tag";
    RPC_METHOD = "rpc.method";
    RPC_METHOD_ORIGINAL = "rpc.method_original";
    RPC_STATUS_CODE = "rpc.status_code";
    RPC_SYSTEM_NAME = "rpc.system.name";
    SERVER_ADDRESS = "server.address";
    SERVER_PORT = "server.port";
    URL_FULL = "url.full";
    URL_PATH = "url.path";
    URL_QUERY = "url.query";
    URL_SCHEME = "url.scheme";
    URL_TEMPLATE = "url.template";
    USER_AGENT_ORIGINAL = "user_agent.original";
}

names! {
    RESOURCE_ATTRIBUTES, "The names of resource attributes of this module.":
    CONTAINER_ID = "container.id";
    DEPLOYMENT_ENVIRONMENT_NAME = "deployment.environment.name";
    HOST_ARCH = "host.arch";
    HOST_ID = "host.id";
    HOST_NAME = "host.name";
    OS_TYPE = "os.type";
    SERVICE_INSTANCE_ID = "service.instance.id";
    SERVICE_NAME = "service.name";
    SERVICE_VERSION = "service.version";
}

names! {
    SYSTEMS, "The values of `messaging.system.name` of this module.":
    SYSTEM_AWS_SNS = "aws.sns";
    SYSTEM_AWS_SQS = "aws.sqs";
    SYSTEM_KAFKA = "kafka";
    SYSTEM_RABBITMQ = "rabbitmq";
}

names! {
    METRICS, "The metric names of this module.":
    HTTP_CLIENT_REQUEST_DURATION = "http.client.request.duration";
    HTTP_SERVER_ACTIVE_REQUESTS = "http.server.active_requests";
    HTTP_SERVER_REQUEST_DURATION = "http.server.request.duration";
    MESSAGING_CLIENT_CONSUMED_MESSAGES = "messaging.client.consumed.messages";
    MESSAGING_CLIENT_OPERATION_DURATION = "messaging.client.operation.duration";
    MESSAGING_CLIENT_SENT_MESSAGES = "messaging.client.sent.messages";
    MESSAGING_PROCESS_DURATION = "messaging.process.duration";
    RPC_CLIENT_CALL_DURATION = "rpc.client.call.duration";
    RPC_SERVER_CALL_DURATION = "rpc.server.call.duration";
}

/// Attributes that version 1.45 renamed, as (1.45, 1.44).
pub const RENAMED: &[(&str, &str)] = &[
    (KAFKA_CLUSTER_ID, "messaging.kafka.cluster.id"),
    (KAFKA_MESSAGE_KEY, "messaging.kafka.message.key"),
    (KAFKA_MESSAGE_TOMBSTONE, "messaging.kafka.message.tombstone"),
    (KAFKA_OFFSET, "messaging.kafka.offset"),
    (MESSAGING_SYSTEM_NAME, "messaging.system"),
    (RABBITMQ_DESTINATION_ROUTING_KEY, "messaging.rabbitmq.destination.routing_key"),
    (RABBITMQ_MESSAGE_DELIVERY_TAG, "messaging.rabbitmq.message.delivery_tag"),
    (RPC_STATUS_CODE, "rpc.response.status_code"),
];

/// Returns the name that an attribute had in version 1.44, if 1.45 renamed it.
///
/// ```
/// use propagation_core::semconv;
///
/// assert_eq!(semconv::older_name(semconv::MESSAGING_SYSTEM_NAME), Some("messaging.system"));
/// assert_eq!(semconv::older_name(semconv::SERVER_ADDRESS), None);
/// ```
#[must_use]
pub fn older_name(name: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(current, _)| *current == name).map(|(_, older)| *older)
}

/// Returns the name of version 1.45 for a name of version 1.44 that was renamed, and any other name unchanged.
#[must_use]
pub fn current_name(name: &str) -> &str {
    RENAMED.iter().find(|(_, older)| *older == name).map_or(name, |(current, _)| current)
}

/// Returns the value of `messaging.system` in version 1.44 for a value of `messaging.system.name`.
#[must_use]
pub fn older_system(system: &str) -> &str {
    if system == SYSTEM_AWS_SQS { "aws_sqs" } else { system }
}
