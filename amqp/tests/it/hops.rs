//! Invariants of every hop, checked by the test kit, whose failures name the hop: `orders → billing over rabbitmq`.

use std::collections::BTreeMap;

use lapin::{
    BasicProperties, Channel,
    options::{
        BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, BasicRejectOptions,
        ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use propagation_amqp::{ConsumerPropagation, FrameLimit, ProducerPropagation, PropertiesExt};
use propagation_core::{TraceTrust, messaging::ExistingContext};
use propagation_testkit::{
    services::{self, TestServices, processed, sent, server, stale},
    trace::{SpanKind, service},
    wire::WireRecord,
};

use crate::shop::{Shop, headers, text};

/// The two services, with a queue between them: `orders` publishes, `billing` consumes.
struct Queue {
    shop: Shop,
    services: TestServices,
}

/// The ways to publish.
#[derive(Clone, Copy, Debug)]
enum By {
    Publish,
    Confirmed,
    Inject,
}

impl Queue {
    async fn open(trusted_by_billing: TraceTrust) -> Self {
        Self { shop: Shop::open().await, services: TestServices::new(trusted_by_billing) }
    }

    /// In each request `orders` publishes a message that has the context of an earlier one left on it.
    async fn receive(&self, flags: &str, by: By) {
        self.shop.channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        self.services.receive(flags, async || self.publish(&self.shop.channel, by).await).await;
    }

    async fn publish(&self, channel: &Channel, by: By) {
        let orders = &self.services.orders;
        let publishing =
            ProducerPropagation::new(orders.clone(), &self.shop.connection).existing(ExistingContext::Replace);
        let stale = BTreeMap::from([("traceparent".into(), text(&stale()))]);
        let mut message = BasicProperties::default().with_headers(stale.into());
        let (to, key, options) = ("shop", "paid", BasicPublishOptions::default());
        match by {
            By::Publish => {
                let sent = publishing.publish(channel, to.into(), key.into(), options, b"{}", message);
                sent.await.unwrap().await.unwrap();
            }
            By::Confirmed => {
                let sent = publishing.publish_confirmed(channel, to.into(), key.into(), options, b"{}", message);
                assert!(sent.await.unwrap().is_ack());
            }
            By::Inject => {
                message.inject(orders, to, &orders.current(), FrameLimit::DEFAULT);
                let sent = channel.basic_publish(to.into(), key.into(), options, b"{}", message);
                sent.await.unwrap().await.unwrap();
            }
        }
    }

    /// `billing` processes the messages one by one, and settles each in another way.
    async fn handle(&mut self) {
        let consuming = ConsumerPropagation::new(self.services.billing.clone(), "shipping");
        for number in 0..3 {
            let delivery = self.shop.next().await;
            let record = WireRecord::new("orders", "billing", "rabbitmq").of_message(number.to_string());
            self.services.wire.record(record.with_fields(headers(&delivery.properties)));
            consuming.process(&delivery, async { Ok::<_, ()>(()) }).await.unwrap();
            match number {
                0 => consuming.ack(&delivery, BasicAckOptions::default()).await.unwrap(),
                1 => consuming.nack(&delivery, BasicNackOptions { multiple: false, requeue: false }).await.unwrap(),
                _ => consuming.reject(&delivery, BasicRejectOptions { requeue: false }).await.unwrap(),
            };
        }
    }
}

#[tokio::test]
async fn messages_are_processed_in_the_trace_of_their_send() {
    for by in [By::Publish, By::Confirmed] {
        let mut queue = Queue::open(TraceTrust::Full).await;
        queue.receive("01", by).await;
        queue.handle().await;
        let graph = queue.services.assert_carried();
        graph
            .assert_each_edge(sent(), processed())
            .assert_each_edge(server(), sent())
            .assert_each_link(processed(), sent())
            .assert_each_link(service("billing").kind(SpanKind::Client), sent())
            .assert_sampled_consistently()
            .assert_count(processed(), 3);
        services::assert_whole_requests(&graph);
    }
}

#[tokio::test]
async fn loop_in_a_user_span_keeps_one_trace_per_message() {
    let mut queue = Queue::open(TraceTrust::Full).await;
    queue.receive("01", By::Publish).await;
    let services = queue.services.clone();
    services.in_a_users_span(queue.handle()).await;
    let graph = queue.services.assert_carried();
    let settled = service("billing").kind(SpanKind::Client);
    graph
        .assert_each_edge(sent(), processed())
        .assert_each_edge(processed(), settled.clone())
        .assert_each_link(settled, sent())
        .assert_count(processed(), 3);
    services::assert_whole_requests(&graph);
    assert_eq!(graph.traces().len(), 4, "three requests, and the user's span");
}

#[tokio::test]
async fn manual_injection_writes_the_given_context() {
    let mut queue = Queue::open(TraceTrust::Full).await;
    queue.receive("01", By::Inject).await;
    queue.handle().await;
    let graph = queue.services.assert_carried();
    graph.assert_each_edge(server(), processed()).assert_each_link(processed(), server());
}

#[tokio::test]
async fn get_span_links_to_the_fetched_message() {
    let queue = Queue::open(TraceTrust::Full).await;
    let (channel, options) = (&queue.shop.channel, QueueDeclareOptions::default());
    channel.queue_declare("invoices".into(), options, FieldTable::default()).await.unwrap();
    let publishing = ProducerPropagation::new(queue.services.orders.clone(), &queue.shop.connection);
    let (to, key) = ("".into(), "invoices".into());
    let message = BasicProperties::default();
    publishing.publish(channel, to, key, BasicPublishOptions::default(), b"{}", message).await.unwrap();
    let consuming = ConsumerPropagation::new(queue.services.billing.clone(), "invoices");
    let fetched = consuming.get(channel, BasicGetOptions { no_ack: true }).await.unwrap();
    assert!(fetched.is_some());
    queue.services.graph().assert_each_link(service("billing").name("receive invoices"), sent());
    assert!(consuming.get(channel, BasicGetOptions { no_ack: true }).await.unwrap().is_none(), "there was one");
}

#[tokio::test]
async fn unsampled_trace_stays_unsampled_at_every_hop() {
    for by in [By::Publish, By::Confirmed, By::Inject] {
        let mut queue = Queue::open(TraceTrust::Full).await;
        queue.receive("00", by).await;
        queue.handle().await;
        queue.services.wire.assert_exactly_one(&["traceparent"]).assert_sampled_consistently();
        queue.services.graph().assert_count(processed(), 0).assert_count(sent(), 0);
    }
}

#[tokio::test]
async fn link_only_consumer_links_to_the_send_span() {
    let mut queue = Queue::open(TraceTrust::RestartWithLink).await;
    queue.receive("01", By::Publish).await;
    queue.handle().await;
    let graph = queue.services.graph();
    graph
        .assert_each_link(processed(), sent())
        .assert_each_link(service("billing").kind(SpanKind::Client), sent())
        .assert_reachable(server(), processed());
    services::assert_own_traces(&graph, processed());
}
