//! Shared fixtures: a cluster, a producer, a consumer, and the spans they make.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry_sdk::trace::SpanData;
use propagation_core::{
    Direction, Hop, InboundRule, OutboundRule, Policy, PropagationContext, Propagator, RejectReason, SpanKind,
};
use propagation_kafka::{ConsumerPropagation, HeadersExt, NativeHeaders, ProducerPropagation};
use propagation_testkit::telemetry::TestTelemetry;
pub(crate) use propagation_testkit::telemetry::{OTHER, PARENT, attribute, ids as parent_of, links};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    message::{Header, OwnedHeaders, OwnedMessage, Timestamp},
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};

pub(crate) const TOPIC: &str = "orders";

pub(crate) struct Shop {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
    pub(crate) propagator: Propagator,
    telemetry: TestTelemetry,
}

impl Shop {
    pub(crate) fn open() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, 1, 1).unwrap();
        let telemetry = TestTelemetry::new(policy());
        Self { cluster, propagator: telemetry.propagator.clone(), telemetry }
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .set("client.id", "till")
            .set("group.id", "payments")
            .set("enable.auto.commit", "false")
            .set("linger.ms", "0");
        config
    }

    pub(crate) fn producer(&self) -> FutureProducer {
        let mut config = self.config();
        config.remove("group.id").remove("enable.auto.commit");
        config.create().unwrap()
    }

    /// A consumer of the first partition, from its beginning.
    pub(crate) fn consumer(&self) -> StreamConsumer {
        let consumer: StreamConsumer = self.config().set("fetch.wait.max.ms", "10").create().unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
        consumer.assign(&partitions).unwrap();
        consumer
    }

    pub(crate) fn producing(&self) -> ProducerPropagation {
        ProducerPropagation::new(self.propagator.clone()).client(&self.config())
    }

    pub(crate) fn consuming(&self) -> ConsumerPropagation {
        ConsumerPropagation::new(self.propagator.clone()).client(&self.config())
    }

    /// Runs a future inside a request: a span that is current, with baggage.
    pub(crate) async fn request<T>(&self, name: &str, tenant: &str, work: impl Future<Output = T>) -> T {
        let mut context = PropagationContext::EMPTY;
        context.baggage.set("tenant.id", tenant).unwrap();
        context.baggage.set("customer.email", "a@example.com").unwrap();
        let hop = self.propagator.start(Hop::remote(SpanKind::Server, context).named(name.to_owned()));
        let answer = hop.scope(work).await;
        hop.end(&propagation_core::Outcome::Unset);
        answer
    }

    /// Sends without the adapter, like another program.
    pub(crate) async fn foreign(&self, producer: &FutureProducer, headers: Option<OwnedHeaders>) {
        let record = FutureRecord { headers, ..FutureRecord::<str, str>::to(TOPIC).payload("{}") };
        producer.send(record, WAIT).await.unwrap();
    }

    pub(crate) fn spans(&self, name: &str) -> Vec<SpanData> {
        self.telemetry.named(name)
    }

    pub(crate) fn span(&self, name: &str) -> SpanData {
        self.telemetry.span(name)
    }

    pub(crate) fn counted(&self, direction: Direction, reason: RejectReason) -> u64 {
        self.propagator.counters().get(direction, reason)
    }
}

/// Long enough for any machine.
pub(crate) const WAIT: Duration = Duration::from_secs(60);

fn policy() -> Policy {
    Policy::builder()
        .inbound(InboundRule::peers(["kafka:orders"]).allow("tenant.id"))
        .outbound(OutboundRule::peers(["kafka:orders"]).allow("tenant.id"))
        .build()
        .unwrap()
}

pub(crate) fn headers(entries: &[(&str, Option<&[u8]>)]) -> OwnedHeaders {
    entries.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: value.map(<[u8]>::to_vec).as_ref() })
    })
}

/// Header names and values as text, for comparison.
pub(crate) fn shown(headers: Option<&impl NativeHeaders>) -> Vec<(String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = headers.into_iter().flat_map(HeadersExt::raw_iter);
    headers.map(|header| (text(header.name), header.value.map(text))).collect()
}

pub(crate) fn value(message: &impl Message<Headers: NativeHeaders>, name: &str) -> Option<String> {
    let mut values: Vec<_> = shown(message.headers()).into_iter().filter(|(found, _)| found == name).collect();
    assert!(values.len() <= 1, "{values:?}");
    values.pop().and_then(|(_, value)| value)
}

pub(crate) fn message(headers: Option<OwnedHeaders>, age: Duration) -> OwnedMessage {
    let made = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - age;
    let timestamp = Timestamp::CreateTime(i64::try_from(made.as_millis()).unwrap());
    OwnedMessage::new(Some(b"{}".to_vec()), Some(b"4711".to_vec()), TOPIC.to_owned(), timestamp, 3, 42, headers)
}

pub(crate) fn text(span: &SpanData, key: &str) -> Option<String> {
    attribute(span, key).map(|value| value.to_string())
}

/// The ids of a `traceparent`.
pub(crate) fn ids(traceparent: &str) -> String {
    traceparent[3..52].to_owned()
}

/// Waits for a condition that another thread makes true.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    let waited = tokio::time::timeout(WAIT, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it never held");
}

pub(crate) type Shared<T> = Arc<std::sync::Mutex<T>>;
