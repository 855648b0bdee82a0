//! Relays that strip headers at a broker: each receives from the sender's destination, and sends the stripped messages to
//! the receiver's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use futures_util::StreamExt;
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions},
    types::FieldTable,
};
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseRecord, DefaultProducerContext, ThreadedProducer},
};

use super::{AbortOnDrop, FIELDS};
use crate::{
    Error,
    services::{self, payments},
};

/// The relay's name at the broker.
const RELAY: &str = "relay";
/// How long a relay waits for a message, or where it failed, before it goes on.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads one topic and writes another, on a thread of its own.
///
/// Its consumer leaves the group when it is dropped, and would wait for ever for a stopped broker: wait for the drop
/// before the broker stops.
pub(crate) struct KafkaRelay {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl KafkaRelay {
    pub(super) fn start(brokers: &str, from: &str, to: &'static str) -> Result<Self, Error> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", RELAY)
            .set("auto.offset.reset", "earliest")
            .create()?;
        consumer.subscribe(&[from])?;
        let producer: ThreadedProducer<DefaultProducerContext> =
            ClientConfig::new().set("bootstrap.servers", brokers).create()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(PAUSE) {
                    let record = BaseRecord::to(to)
                        .key(message.key().unwrap_or_default())
                        .payload(message.payload().unwrap_or_default());
                    let _ = producer.send(record);
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for KafkaRelay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads one queue and writes another, by way of the default exchange.
pub(super) async fn amqp(uri: &str, from: &str, to: &'static str) -> Result<AbortOnDrop, Error> {
    let connection = Connection::connect(uri, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    payments::declare(&channel).await?;
    channel.queue_declare(to.into(), QueueDeclareOptions::default(), FieldTable::default()).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut messages = channel.basic_consume(from.into(), RELAY.into(), options, arguments).await?;
    Ok(AbortOnDrop(tokio::spawn(async move {
        // The channel is open as long as its connection is held.
        let _connection = connection;
        while let Some(Ok(message)) = messages.next().await {
            let mut kept = FieldTable::default();
            for (name, value) in message.properties.headers().iter().flat_map(FieldTable::inner) {
                if !FIELDS.contains(&name.as_str()) {
                    kept.insert(name.clone(), value.clone());
                }
            }
            let properties = message.properties.clone().with_headers(kept);
            let options = BasicPublishOptions::default();
            if channel.basic_publish("".into(), to.into(), options, &message.data, properties).await.is_ok() {
                let _ = message.ack(BasicAckOptions::default()).await;
            }
        }
    })))
}

/// Reads one queue and writes another: bodies, and no attribute.
pub(super) async fn sqs(endpoint: &str, from: &str, to: &str) -> Result<AbortOnDrop, Error> {
    let client = aws_sdk_sqs::Client::from_conf(services::sqs::config(endpoint).build());
    let (from, to) = (services::sqs::Queue::open(&client, from).await?, services::sqs::Queue::open(&client, to).await?);
    Ok(AbortOnDrop(tokio::spawn(async move {
        loop {
            let received = client.receive_message().queue_url(&from.url).max_number_of_messages(10);
            let Ok(received) = received.wait_time_seconds(1).send().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            for message in received.messages.unwrap_or_default() {
                let body = message.body.unwrap_or_default();
                if client.send_message().queue_url(&to.url).message_body(body).send().await.is_ok() {
                    let receipt = message.receipt_handle.unwrap_or_default();
                    let _ = client.delete_message().queue_url(&from.url).receipt_handle(receipt).send().await;
                }
            }
        }
    })))
}
