//! A service that takes messages from a topic and two queues that anyone may write to, over endpoints of this process.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_sqs::{
    config::{BehaviorVersion, Config, Credentials, Region},
    types::{MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue},
};
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, LongString},
};
use propagation_core::{PropagationContext, Propagator};
use propagation_testkit::{loopback_amqp::LoopbackAmqp, loopback_sqs::LoopbackSqs};
use rdkafka::{
    ClientConfig,
    consumer::{Consumer as _, StreamConsumer},
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};

use crate::attempts::Field;

const NAME: &str = "orders";
/// Longer than anything takes; only so that a lost message ends a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most attributes that a message of SQS has.
const MOST: usize = 10;

/// Where messages are sent to, and taken from.
pub(crate) trait Queue {
    async fn open(propagator: &Propagator) -> Self;

    /// Sends a message without propagation, and returns the context of its processing. `None` if it can't be sent.
    async fn handle(&mut self, fields: &[Field]) -> Option<PropagationContext>;
}

pub(crate) struct Topic {
    propagator: Propagator,
    producer: FutureProducer,
    // Ends before its broker does: it would wait for one that is gone.
    consumer: StreamConsumer,
    _cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Queue for Topic {
    async fn open(propagator: &Propagator) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(NAME, 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer = config.clone().set("linger.ms", "0").create().unwrap();
        config.set("group.id", "orders").set("auto.offset.reset", "earliest").set("fetch.wait.max.ms", "1");
        let consumer: StreamConsumer = config.create().unwrap();
        consumer.subscribe(&[NAME]).unwrap();
        Self { propagator: propagator.clone(), producer, consumer, _cluster: cluster }
    }

    async fn handle(&mut self, fields: &[Field]) -> Option<PropagationContext> {
        let header = |headers: OwnedHeaders, (key, value): &Field| headers.insert(Header { key, value: Some(value) });
        let headers = fields.iter().fold(OwnedHeaders::new(), header);
        let record = FutureRecord::to(NAME).key("").payload("{}").headers(headers);
        self.producer.send(record, PATIENCE).await.map_err(|(error, _)| error).unwrap();
        let message = tokio::time::timeout(PATIENCE, self.consumer.recv()).await.unwrap().unwrap();
        let consuming = propagation_kafka::ConsumerPropagation::new(self.propagator.clone());
        consuming.process(&message, async { Ok::<_, ()>(self.propagator.current()) }).await.ok()
    }
}

pub(crate) struct AmqpQueue {
    propagator: Propagator,
    channel: Channel,
    messages: Consumer,
    _alive: (LoopbackAmqp, Connection),
}

impl Queue for AmqpQueue {
    async fn open(propagator: &Propagator) -> Self {
        let broker = LoopbackAmqp::start().await.unwrap();
        let connection = Connection::connect(&broker.uri(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.queue_declare(NAME.into(), QueueDeclareOptions::default(), FieldTable::default()).await.unwrap();
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let messages = channel.basic_consume(NAME.into(), "orders".into(), options, FieldTable::default());
        let messages = messages.await.unwrap();
        Self { propagator: propagator.clone(), channel, messages, _alive: (broker, connection) }
    }

    async fn handle(&mut self, fields: &[Field]) -> Option<PropagationContext> {
        let text = |value: &Vec<u8>| AMQPValue::LongString(LongString::from(value.clone()));
        let headers: BTreeMap<_, _> = fields.iter().map(|(name, value)| (name.as_str().into(), text(value))).collect();
        let message = BasicProperties::default().with_headers(headers.into());
        let options = BasicPublishOptions::default();
        self.channel.basic_publish("".into(), NAME.into(), options, b"{}", message).await.unwrap();
        let message = tokio::time::timeout(PATIENCE, self.messages.next()).await.unwrap().unwrap().unwrap();
        let consuming = propagation_amqp::ConsumerPropagation::new(self.propagator.clone(), NAME);
        consuming.process(&message, async { Ok::<_, ()>(self.propagator.current()) }).await.ok()
    }
}

pub(crate) struct SqsQueue {
    propagator: Propagator,
    client: aws_sdk_sqs::Client,
    url: String,
    _alive: LoopbackSqs,
}

impl Queue for SqsQueue {
    async fn open(propagator: &Propagator) -> Self {
        let endpoint = LoopbackSqs::start().await.unwrap();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(endpoint.endpoint_url())
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        let client = aws_sdk_sqs::Client::from_conf(config.build());
        let url = endpoint.create_queue(NAME).unwrap();
        Self { propagator: propagator.clone(), client, url, _alive: endpoint }
    }

    async fn handle(&mut self, fields: &[Field]) -> Option<PropagationContext> {
        let fields: BTreeMap<_, _> =
            fields.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))).collect();
        // X-Ray's own place on a message.
        let (xray, attributes): (Vec<_>, Vec<_>) =
            fields.iter().partition(|(name, _)| name.as_str() == "x-amzn-trace-id");
        if attributes.len() > MOST {
            return None;
        }
        let mut send = self.client.send_message().queue_url(&self.url).message_body("{}");
        for (name, value) in attributes {
            let value = MessageAttributeValue::builder().data_type("String").string_value(&**value);
            send = send.message_attributes(name.as_str(), value.build().unwrap());
        }
        for (_, value) in xray {
            let value = MessageSystemAttributeValue::builder().data_type("String").string_value(&**value);
            let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
            send = send.message_system_attributes(name, value.build().unwrap());
        }
        send.send().await.unwrap();
        let asked = self.client.receive_message().queue_url(&self.url).message_attribute_names("All");
        let asked = asked.message_system_attribute_names("All".into()).visibility_timeout(600);
        let message = asked.send().await.unwrap().messages.unwrap().remove(0);
        let consuming = propagation_sqs::ConsumerPropagation::new(self.propagator.clone(), self.url.as_str());
        consuming.process(&message, async { Ok::<_, ()>(self.propagator.current()) }).await.ok()
    }
}
