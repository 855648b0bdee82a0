//! Invariants of every hop, checked by the test kit, whose failures name the hop: `orders → billing over kafka`.

use propagation_core::{Outcome, TraceTrust, messaging::ExistingContext};
use propagation_kafka::{ConsumerPropagation, HeadersExt, ProducerPropagation};
use propagation_testkit::{
    services::{self, TestServices, processed, sent, server, stale},
    trace::{SpanKind, service},
    wire::WireRecord,
};
use rdkafka::{
    Message,
    consumer::CommitMode,
    producer::{BaseRecord, FutureProducer, FutureRecord, ThreadedProducer},
};

use crate::shop::{Shop, TOPIC, WAIT, headers};

/// The two services, with a topic between them.
struct Topic {
    shop: Shop,
    services: TestServices,
}

/// The ways to send.
#[derive(Clone, Copy, Debug)]
enum By {
    Send,
    Result,
    Enqueue,
    Inject,
}

impl Topic {
    fn open(trusted_by_billing: TraceTrust) -> Self {
        Self { shop: Shop::open(), services: TestServices::new(trusted_by_billing) }
    }

    /// In each request `orders` sends a record that has the context of an earlier one left on it.
    async fn receive(&self, flags: &str, by: By) {
        let producer = self.shop.producer();
        self.services.receive(flags, async || self.send(&producer, by).await).await;
    }

    async fn send(&self, producer: &FutureProducer, by: By) {
        let orders = &self.services.orders;
        let sending = ProducerPropagation::new(orders.clone()).existing(ExistingContext::Replace);
        let stale = headers(&[("traceparent", Some(stale().as_bytes()))]);
        let mut record = FutureRecord::to(TOPIC).key("4711").payload("{}").headers(stale.clone());
        match by {
            By::Send => assert_eq!(sending.send(producer, record, WAIT).await.unwrap().partition, 0),
            By::Result => {
                assert_eq!(sending.send_result(producer, record).unwrap().await.unwrap().unwrap().partition, 0);
            }
            By::Enqueue => {
                let mut config = self.shop.config();
                config.remove("group.id").remove("enable.auto.commit");
                let producer: ThreadedProducer<_> = config.create().unwrap();
                let record = BaseRecord::to(TOPIC).key("4711").payload("{}").headers(stale);
                sending.enqueue(&producer, record).unwrap();
                rdkafka::producer::Producer::flush(&producer, WAIT).unwrap();
            }
            By::Inject => {
                use propagation_kafka::OwnedHeadersExt;
                record.headers.inject(orders, TOPIC, &orders.current());
                assert_eq!(producer.send(record, WAIT).await.unwrap().partition, 0);
            }
        }
    }

    /// `billing` processes the messages one by one, and settles each.
    async fn handle(&self) {
        let consuming = ConsumerPropagation::new(self.services.billing.clone());
        let consumer = self.shop.consumer();
        for _ in 0..3 {
            let message = consumer.recv().await.unwrap();
            let mut record = WireRecord::new("orders", "billing", "kafka").of_message(message.offset().to_string());
            for header in message.headers().into_iter().flat_map(HeadersExt::raw_iter) {
                record = record.field(String::from_utf8_lossy(header.name), header.value.unwrap_or_default());
            }
            self.services.wire.record(record);
            consuming.process(&message, async { Ok::<_, ()>(()) }).await.unwrap();
            consuming.commit(&consumer, &message, CommitMode::Sync).unwrap();
        }
    }
}

#[tokio::test]
async fn messages_are_processed_in_the_trace_of_their_send() {
    for by in [By::Send, By::Result, By::Enqueue] {
        let topic = Topic::open(TraceTrust::Full);
        topic.receive("01", by).await;
        topic.handle().await;
        let graph = topic.services.assert_carried();
        graph
            .assert_each_edge(sent(), processed())
            .assert_each_edge(server(), sent())
            .assert_each_link(processed(), sent())
            .assert_each_link(service("billing").name_starts("commit "), sent())
            .assert_sampled_consistently()
            .assert_count(processed(), 3);
        services::assert_whole_requests(&graph);
    }
}

#[tokio::test]
async fn loop_in_a_user_span_keeps_one_trace_per_message() {
    let topic = Topic::open(TraceTrust::Full);
    topic.receive("01", By::Send).await;
    topic.services.in_a_users_span(topic.handle()).await;
    let graph = topic.services.assert_carried();
    let settled = service("billing").name_starts("commit ");
    graph
        .assert_each_edge(sent(), processed())
        .assert_each_edge(processed(), settled.clone())
        .assert_each_link(settled, sent())
        .assert_count(processed(), 3);
    services::assert_whole_requests(&graph);
    assert_eq!(graph.traces().len(), 4, "three requests, and the user's span");
}

#[tokio::test]
async fn batch_commit_is_a_root_span_with_links() {
    let topic = Topic::open(TraceTrust::Full);
    topic.receive("01", By::Send).await;
    let consuming = ConsumerPropagation::new(topic.services.billing.clone());
    let consumer = topic.shop.consumer();
    let mut handled = Vec::new();
    for _ in 0..3 {
        let message = consumer.recv().await.unwrap();
        consuming.process(&message, async { Ok::<_, ()>(()) }).await.unwrap();
        handled.push(message);
    }
    consuming
        .settle("commit", &handled, || rdkafka::consumer::Consumer::commit_consumer_state(&consumer, CommitMode::Sync))
        .ok();
    let graph = topic.services.graph();
    let all: Vec<_> = graph.find(sent()).map(|span| (span.trace_id, span.span_id)).collect();
    graph.assert_links_exactly(service("billing").name_starts("commit "), &all);
    assert_eq!(graph.traces().len(), 4, "three requests, and the commit");
}

#[tokio::test]
async fn manual_injection_writes_the_given_context() {
    let topic = Topic::open(TraceTrust::Full);
    topic.receive("01", By::Inject).await;
    topic.handle().await;
    let graph = topic.services.assert_carried();
    graph.assert_each_edge(server(), processed()).assert_each_link(processed(), server());
}

#[tokio::test]
async fn batch_links_to_every_message_exactly_once() {
    let topic = Topic::open(TraceTrust::Full);
    topic.receive("01", By::Send).await;
    let consumer = topic.shop.consumer();
    let mut batch = Vec::new();
    for _ in 0..3 {
        batch.push(consumer.recv().await.unwrap());
    }
    let consuming = ConsumerPropagation::new(topic.services.billing.clone());
    consuming.receive(&batch).end(&Outcome::Unset);
    consuming.process_batch(&batch, async { Ok::<_, ()>(()) }).await.unwrap();
    let graph = topic.services.graph();
    let all: Vec<_> = graph.find(sent()).map(|span| (span.trace_id, span.span_id)).collect();
    graph.assert_links_exactly(processed(), &all);
    graph.assert_links_exactly(service("billing").kind(SpanKind::Client), &all);
}

#[tokio::test]
async fn unsampled_trace_stays_unsampled_at_every_hop() {
    for by in [By::Send, By::Result, By::Enqueue, By::Inject] {
        let topic = Topic::open(TraceTrust::Full);
        topic.receive("00", by).await;
        topic.handle().await;
        topic.services.wire.assert_exactly_one(&["traceparent"]).assert_sampled_consistently();
        // A settle span outside the process span starts its own trace.
        topic.services.graph().assert_count(processed(), 0).assert_count(sent(), 0);
    }
}

#[tokio::test]
async fn link_only_consumer_links_to_the_send_span() {
    let topic = Topic::open(TraceTrust::RestartWithLink);
    topic.receive("01", By::Send).await;
    topic.handle().await;
    let graph = topic.services.graph();
    graph.assert_each_link(processed(), sent()).assert_reachable(server(), processed());
    services::assert_own_traces(&graph, processed());
}
