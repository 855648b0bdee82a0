//! Kafka by rdkafka and `propagation-kafka`.

use std::{sync::Arc, time::Duration};

use propagation_kafka::{ConsumerPropagation, HeadersExt, ProducerPropagation};
use propagation_testkit::fault::MalformedValue;
use rdkafka::{
    ClientConfig, Message, Offset,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{CommitMode, Consumer, StreamConsumer},
    error::RDKafkaErrorCode,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

use crate::{
    Failure,
    service::{Service, Stop},
    transport::Address,
    variable,
};

/// Larger than the largest poison.
const LARGEST: &str = "4194304";

pub(crate) struct KafkaSender {
    producer: FutureProducer,
    propagation: ProducerPropagation,
    topic: String,
}

impl KafkaSender {
    pub(crate) fn open(service: &Service, to: &Address) -> Result<Self, Failure> {
        let config = config();
        let propagation = ProducerPropagation::new(service.propagator.clone()).client(&config);
        Ok(Self { producer: config.create()?, propagation, topic: to.name.clone() })
    }

    pub(crate) async fn send(&self, body: &str) -> Result<(), Failure> {
        let record = FutureRecord::to(&self.topic).key("4711").payload(body);
        let sent = self.propagation.send(&self.producer, record, Duration::from_secs(30)).await;
        sent.map_err(|(error, _)| error)?;
        Ok(())
    }
}

pub(crate) fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", variable("KAFKA_BROKERS"))
        .set("message.max.bytes", LARGEST)
        // A broker that is restarted is soon asked again.
        .set("reconnect.backoff.max.ms", "500")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    config
}

/// A subscription alone does not make a topic, and would wait for one for minutes.
pub(crate) async fn create_topic(name: &str) -> Result<(), Failure> {
    create_partitioned_topic(name, 1).await
}

pub(crate) async fn create_partitioned_topic(name: &str, partitions: i32) -> Result<(), Failure> {
    let admin: AdminClient<DefaultClientContext> = config().create()?;
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("max.message.bytes", LARGEST);
    for created in admin.create_topics([&topic], &AdminOptions::new()).await? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(format!("topic {name}: {code}").into()),
        }
    }
    Ok(())
}

/// Sends a record just as it is: bytes and null are all that Kafka knows.
pub(crate) async fn put(topic: &str, body: &str, fields: &[(String, MalformedValue)]) -> Result<(), Failure> {
    let mut headers = OwnedHeaders::new();
    for (name, value) in fields {
        let value = match value {
            MalformedValue::Bytes(bytes) => Some(bytes.as_slice()),
            MalformedValue::Null => None,
            _ => return Err("Kafka has no such type".into()),
        };
        headers = headers.insert(Header { key: name, value });
    }
    let producer: FutureProducer = config().create()?;
    let record = FutureRecord::<str, str>::to(topic).payload(body).headers(headers);
    producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
    Ok(())
}

/// A consumer in a group of its own that has committed nothing yet.
pub(crate) fn consumer(topic: &str) -> Result<StreamConsumer, Failure> {
    let mut config = config();
    config.set("group.id", format!("{topic}-group")).set("auto.offset.reset", "earliest");
    config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "500");
    let consumer: StreamConsumer = config.set("enable.auto.commit", "false").create()?;
    consumer.subscribe(&[topic])?;
    Ok(consumer)
}

pub(crate) async fn listen(stop: Arc<Stop>, topic: String) -> Result<String, Failure> {
    create_topic(&topic).await?;
    let consumer = consumer(&topic)?;
    let propagation = ConsumerPropagation::new(stop.service.propagator.clone()).group(format!("{topic}-group"));
    tokio::spawn(async move {
        loop {
            let Ok(message) = consumer.recv().await else {
                // The broker is away: librdkafka looks for it.
                continue;
            };
            let headers = message.headers().into_iter().flat_map(HeadersExt::raw_iter);
            let headers = headers
                .map(|header| (String::from_utf8_lossy(header.name).into_owned(), header.value.unwrap_or_default()));
            let body = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
            stop.saw(&body, headers);
            if propagation.process(&message, stop.handle(body)).await.is_ok() {
                propagation.commit(&consumer, &message, CommitMode::Async).ok();
            } else {
                // Kafka brings nothing again by itself.
                let again = Offset::Offset(message.offset());
                consumer.seek(message.topic(), message.partition(), again, Duration::from_secs(10)).ok();
            }
        }
    });
    Ok(topic)
}
