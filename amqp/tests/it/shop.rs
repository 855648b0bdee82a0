//! Shared fixtures: messages, and a broker with one queue behind one exchange.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    message::Delivery,
    options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, LongString},
};
use opentelemetry_sdk::trace::SpanData;
use propagation_core::{InboundRule, OutboundRule, Policy, Propagator};
use propagation_testkit::{loopback_amqp::LoopbackAmqp, telemetry::TestTelemetry};

pub(crate) use propagation_testkit::telemetry::PARENT;

pub(crate) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

/// Returns textual headers without using the adapter.
pub(crate) fn headers(message: &BasicProperties) -> BTreeMap<String, String> {
    let headers = message.headers().iter().flat_map(FieldTable::inner);
    headers
        .map(|(name, value)| match value {
            AMQPValue::LongString(text) => {
                (name.as_str().to_owned(), String::from_utf8(text.as_bytes().to_vec()).unwrap())
            }
            other => panic!("{name:?} is {other:?}"),
        })
        .collect()
}

pub(crate) struct Shop {
    pub(crate) broker: LoopbackAmqp,
    pub(crate) connection: Connection,
    pub(crate) channel: Channel,
    pub(crate) messages: lapin::Consumer,
    pub(crate) propagator: Propagator,
    telemetry: TestTelemetry,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let broker = LoopbackAmqp::start().await.unwrap();
        let connection = Connection::connect(&broker.uri(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let (exchange, queue) = (ExchangeDeclareOptions::default(), QueueDeclareOptions::default());
        channel.exchange_declare("shop".into(), ExchangeKind::Direct, exchange, FieldTable::default()).await.unwrap();
        channel.queue_declare("shipping".into(), queue, FieldTable::default()).await.unwrap();
        channel
            .queue_bind(
                "shipping".into(),
                "shop".into(),
                "paid".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        let messages = channel
            .basic_consume("shipping".into(), "test".into(), BasicConsumeOptions::default(), FieldTable::default())
            .await
            .unwrap();

        let policy = Policy::builder()
            .inbound(InboundRule::peers(["amqp:shipping"]).allow("tenant.id"))
            .outbound(OutboundRule::peers(["amqp:shop"]).allow("tenant.id"))
            .build()
            .unwrap();
        let telemetry = TestTelemetry::new(policy);
        Self { broker, connection, channel, messages, propagator: telemetry.propagator.clone(), telemetry }
    }

    pub(crate) async fn next(&mut self) -> Delivery {
        // Long enough for any machine; a lost message fails the test instead of blocking it.
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), self.messages.next());
        next.await.expect("no message comes").unwrap().unwrap()
    }

    pub(crate) fn span(&self, name: &str) -> SpanData {
        self.spans(name).into_iter().next().unwrap_or_else(|| panic!("no span {name}"))
    }

    /// Returns the finished spans of that name, in the order of their ends.
    pub(crate) fn spans(&self, name: &str) -> Vec<SpanData> {
        self.telemetry.named(name)
    }
}
