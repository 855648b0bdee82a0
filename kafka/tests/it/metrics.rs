//! Standard metrics of messages.

use propagation_core::{NoBridge, Propagator};
use propagation_kafka::{ConsumerPropagation, ProducerPropagation};
use propagation_opentelemetry::metrics::HopMetrics;
use propagation_testkit::in_memory::InMemoryMetrics;
use rdkafka::{
    consumer::{CommitMode, StreamConsumer},
    message::OwnedMessage,
    producer::FutureRecord,
};

use crate::shop::{Shop, TOPIC, WAIT};

struct Metered {
    shop: Shop,
    metrics: InMemoryMetrics,
    producing: ProducerPropagation,
    consuming: ConsumerPropagation,
}

fn open() -> Metered {
    let (shop, metrics) = (Shop::open(), InMemoryMetrics::new());
    let propagator = Propagator::builder().bridge(HopMetrics::new(&metrics.meter("shop"), NoBridge)).build();
    let config = shop.config();
    let producing = ProducerPropagation::new(propagator.clone()).client(&config).cluster_id("cluster-1");
    let consuming = ConsumerPropagation::new(propagator).client(&config).with_message_key(true);
    Metered { shop, metrics, producing, consuming }
}

impl Metered {
    async fn send(&self, records: usize) {
        let producer = self.shop.producer();
        for number in 0..records {
            let key = format!("key-{number}");
            self.producing.send(&producer, FutureRecord::to(TOPIC).key(&key).payload("{}"), WAIT).await.unwrap();
        }
    }

    async fn receive(&self, records: usize) -> (StreamConsumer, Vec<OwnedMessage>) {
        let consumer = self.shop.consumer();
        let mut received = Vec::new();
        for _ in 0..records {
            received.push(consumer.recv().await.unwrap().detach());
        }
        (consumer, received)
    }

    /// Returns the sum of a metric's series whose labels contain this text.
    fn total(&self, name: &str, label: &str) -> u64 {
        let series = self.metrics.series(name);
        series.iter().filter(|(labels, _)| labels.contains(label)).map(|(_, count)| count).sum()
    }
}

#[tokio::test]
async fn sent_and_processed_records_are_counted_once() {
    let metered = open();
    metered.send(3).await;
    let consumer = metered.shop.consumer();
    for number in 0..3 {
        let message = consumer.recv().await.unwrap();
        let outcome = if number == 2 { Err(std::fmt::Error) } else { Ok(()) };
        assert_eq!(metered.consuming.process(&message, async { outcome }).await, outcome);
        metered.consuming.commit(&consumer, &message, CommitMode::Sync).unwrap();
    }
    assert_eq!(metered.total("messaging.client.sent.messages", "messaging.operation.name=send"), 3);
    assert_eq!(metered.total("messaging.client.consumed.messages", "messaging.operation.name=process"), 3);
    assert_eq!(metered.total("messaging.process.duration", "messaging.operation.name=process"), 3);
    assert_eq!(metered.total("messaging.process.duration", "error.type=core::fmt::Error"), 1);
    assert_eq!(metered.total("messaging.client.operation.duration", "messaging.operation.name=commit"), 3);
}

#[tokio::test]
async fn received_batch_is_counted_by_its_records() {
    let metered = open();
    metered.send(3).await;
    let (_consumer, batch) = metered.receive(3).await;
    let receive = metered.consuming.receive(&batch);
    receive
        .scope(async {
            for message in &batch {
                metered.consuming.process(message, async { Ok::<_, ()>(()) }).await.unwrap();
            }
        })
        .await;
    receive.end(&propagation_core::Outcome::Unset);
    assert_eq!(metered.total("messaging.client.consumed.messages", ""), 3, "not again when they are processed");
    assert_eq!(metered.total("messaging.process.duration", ""), 3);
}

#[tokio::test]
async fn keys_offsets_and_ages_make_no_series() {
    let metered = open();
    metered.send(5).await;
    let (_consumer, received) = metered.receive(5).await;
    for message in &received {
        metered.consuming.process(message, async { Ok::<_, ()>(()) }).await.unwrap();
    }
    for name in ["messaging.client.sent.messages", "messaging.process.duration", "messaging.client.consumed.messages"] {
        let series = metered.metrics.series(name);
        assert_eq!(series.len(), 1, "{name}: {series:?}");
        let labels = series.keys().next().unwrap();
        assert!(["key", "offset", "age", "cluster"].iter().all(|part| !labels.contains(part)), "{name}: {labels}");
    }
}
