//! Shared fixtures: a client with the interceptor, an endpoint that records messages, and spans in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Builder, Config, Credentials, Region},
    types::{Message, MessageAttributeValue, MessageSystemAttributeName, SendMessageBatchRequestEntry},
};
use opentelemetry_sdk::trace::SpanData;
use propagation_core::{
    HopSpan, InboundRule, OutboundRule, Policy, PropagationContext, Propagator, TraceContext, TraceState,
};
use propagation_sqs::SqsInterceptor;
use propagation_testkit::{
    loopback_sqs::{AttributeValue, Attributes, LoopbackSqs},
    telemetry::{BridgeKind, TestTelemetry},
};

pub(crate) use propagation_testkit::telemetry::{OTHER, PARENT};

pub(crate) const XRAY: &str = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1";
pub(crate) const STATE: &str = "congo=t61rcWkgMzE";
pub(crate) const BAGGAGE: &str = "tenant.id=blue";

/// One message as it crossed the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) body: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) header: Option<String>,
}

impl Seen {
    pub(crate) fn names(&self) -> Vec<&str> {
        self.attributes.keys().map(String::as_str).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

pub(crate) struct Endpoint {
    pub(crate) sqs: LoopbackSqs,
    pub(crate) queue: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let texts = |attributes: &Attributes| {
            let text = |value: &AttributeValue| match value {
                AttributeValue::Text(text) => text.clone(),
                other => format!("{other:?}"),
            };
            attributes.iter().map(|(name, attribute)| (name.clone(), text(&attribute.value))).collect()
        };
        let sqs = LoopbackSqs::builder()
            .tap(move |message| {
                let system: BTreeMap<String, String> = texts(message.system_attributes);
                log.lock().unwrap().push(Seen {
                    body: message.body.clone(),
                    attributes: texts(message.attributes),
                    header: system.get("AWSTraceHeader").cloned(),
                });
            })
            .start()
            .await
            .unwrap();
        let queue = sqs.create_queue("orders").unwrap();
        Self { sqs, queue, seen }
    }

    /// Returns the messages that crossed the wire since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    pub(crate) fn one(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }

    /// A queue whose `MaximumMessageSize` is smaller.
    pub(crate) async fn older_queue(&self, bytes: usize) -> String {
        let create = self.plain().create_queue().queue_name("older");
        let create = create.attributes(aws_sdk_sqs::types::QueueAttributeName::MaximumMessageSize, bytes.to_string());
        create.send().await.unwrap().queue_url.unwrap()
    }

    /// A client without any propagation.
    pub(crate) fn plain(&self) -> Client {
        Client::from_conf(config(self.sqs.endpoint_url()).build())
    }

    pub(crate) fn client(&self, propagation: SqsInterceptor) -> Client {
        Client::from_conf(config(self.sqs.endpoint_url()).interceptor(propagation).build())
    }
}

pub(crate) fn config(endpoint_url: &str) -> Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint_url)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("loopback", "loopback", None, None, "loopback"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

/// A policy that allows the tenant to and from queues.
pub(crate) fn policy() -> Policy {
    Policy::builder()
        .outbound(OutboundRule::peers(["sqs:*"]).allow("tenant.id"))
        .inbound(InboundRule::peers(["sqs:*"]).allow("tenant.id"))
        .build()
        .unwrap()
}

/// Without a bridge: the context passes through.
pub(crate) fn propagator() -> Propagator {
    Propagator::builder().policy(policy()).build()
}

pub(crate) fn caller() -> PropagationContext {
    let state = TraceState::parse(STATE.as_bytes()).unwrap();
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()).with_state(state));
    context.baggage.set("tenant.id", "blue").unwrap();
    context
}

/// A place in the caller's context.
pub(crate) fn inside(propagator: &Propagator) -> HopSpan {
    propagator.continue_from(caller())
}

pub(crate) fn string(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

pub(crate) fn numbered(count: usize) -> std::collections::HashMap<String, MessageAttributeValue> {
    (0..count).map(|number| (format!("key-{number}"), string("v"))).collect()
}

pub(crate) fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

/// Receives up to ten messages, without requesting attributes.
pub(crate) async fn receive(client: &Client, queue: &str) -> Vec<Message> {
    let received = client.receive_message().queue_url(queue).max_number_of_messages(10).send().await.unwrap();
    received.messages.unwrap_or_default()
}

/// Receives one message with all attributes, without propagation.
pub(crate) async fn receive_all(client: &Client, queue: &str) -> Message {
    let received = client
        .receive_message()
        .queue_url(queue)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .unwrap();
    received.messages.unwrap_or_default().pop().unwrap()
}

/// Creates telemetry with a bridge of this kind and the policy of these tests.
pub(crate) fn telemetry(kind: BridgeKind) -> TestTelemetry {
    TestTelemetry::with_bridge(kind, policy())
}

pub(crate) fn attribute(span: &SpanData, key: &str) -> Option<String> {
    propagation_testkit::telemetry::attribute(span, key).map(|value| value.to_string())
}

/// The span ids that a span links to.
pub(crate) fn links(span: &SpanData) -> Vec<String> {
    span.links.iter().map(|link| link.span_context.span_id().to_string()).collect()
}

pub(crate) fn id(span: &SpanData) -> String {
    span.span_context.span_id().to_string()
}
