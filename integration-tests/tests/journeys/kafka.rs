//! Kafka by rdkafka and `propagation-kafka`.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

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
    service::{Errors, Service, Stop},
    transport::Address,
    variable,
};

/// Larger than the largest poison.
const LARGEST: &str = "4194304";

pub(crate) struct KafkaSender {
    propagation: ProducerPropagation,
    topic: String,
    /// Opened when needed, and again after a delivery has failed.
    opened: Mutex<Option<FutureProducer>>,
}

impl KafkaSender {
    pub(crate) fn open(service: &Service, to: &Address) -> Result<Self, Failure> {
        let config = producer_config();
        let propagation = ProducerPropagation::new(service.propagator.clone()).client(&config);
        Ok(Self { propagation, topic: to.name.clone(), opened: Mutex::new(Some(config.create()?)) })
    }

    pub(crate) async fn send(&self, body: &str) -> Result<(), Failure> {
        let producer = self.producer()?;
        let record = FutureRecord::to(&self.topic).key("4711").payload(body);
        if let Err((error, _)) = self.propagation.send(&producer, record, Duration::from_secs(30)).await {
            self.opened.lock().unwrap().take();
            return Err(error.into());
        }
        Ok(())
    }

    fn producer(&self) -> Result<FutureProducer, Failure> {
        let mut opened = self.opened.lock().unwrap();
        let producer = match opened.take() {
            Some(producer) => producer,
            None => producer_config().create()?,
        };
        Ok(opened.insert(producer).clone())
    }
}

/// The time after which a client that has lost its broker is replaced by a new one.
///
/// librdkafka removes every broker, those of `bootstrap.servers` included, if the metadata of a cluster list none. The only broker of a
/// cluster reports that while it shuts down. The client then never connects again
/// (<https://github.com/confluentinc/librdkafka/issues/5301>).
const REPLACED_AFTER: Duration = Duration::from_secs(15);

fn producer_config() -> ClientConfig {
    let mut config = config();
    config.set("message.timeout.ms", REPLACED_AFTER.as_millis().to_string());
    config
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
    let mut next = Some(consumer(&topic)?);
    let name = topic.clone();
    tokio::spawn(async move {
        let mut errors = Errors::new(format!("consumer of {topic}"));
        loop {
            let opened = match next.take() {
                Some(consumer) => Ok(consumer),
                None => consumer(&topic),
            };
            match opened {
                Ok(consumer) => {
                    consume(&stop, &consumer, &topic, &mut errors).await;
                    // Blocks until it has left its group.
                    std::thread::spawn(move || drop(consumer));
                }
                Err(error) => {
                    errors.print(&error);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    });
    Ok(name)
}

/// Ends when the consumer has lost its broker and received nothing for [`REPLACED_AFTER`].
async fn consume(stop: &Arc<Stop>, consumer: &StreamConsumer, topic: &str, errors: &mut Errors) {
    let propagation = ConsumerPropagation::new(stop.service.propagator.clone()).group(format!("{topic}-group"));
    let mut lost: Option<Instant> = None;
    loop {
        let limit = lost.map_or(Duration::MAX, |lost| REPLACED_AFTER.saturating_sub(lost.elapsed()));
        let message = match tokio::time::timeout(limit, consumer.recv()).await {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => {
                errors.print(&error);
                lost.get_or_insert_with(Instant::now);
                continue;
            }
            Err(_) => return,
        };
        lost = None;
        let headers = message.headers().into_iter().flat_map(HeadersExt::raw_iter);
        let headers =
            headers.map(|header| (String::from_utf8_lossy(header.name).into_owned(), header.value.unwrap_or_default()));
        let body = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
        stop.saw(&body, headers);
        if propagation.process(&message, stop.handle(body)).await.is_ok() {
            propagation.commit(consumer, &message, CommitMode::Async).ok();
        } else {
            // Kafka brings nothing again by itself.
            let again = Offset::Offset(message.offset());
            let sought = consumer.seek(message.topic(), message.partition(), again, Duration::from_secs(10));
            // After a rebalance, the group brings it again.
            if let Err(error) = sought {
                errors.print(&error);
            }
        }
    }
}
