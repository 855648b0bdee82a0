//! What must be right at every hop, told by the kit: a failure says which hop it was, `orders → billing over rabbitmq`.

use std::collections::BTreeMap;

use lapin::{
    BasicProperties, Channel,
    options::{
        BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, BasicRejectOptions,
        ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_amqp::{ConsumerPropagation, FrameLimit, ProducerPropagation, PropertiesExt};
use propagation_core::{
    Hop, InboundRule, Outcome, Policy, PropagationContext, Propagator, SpanKind as Kind, TraceContext, Trust,
    bridge::opentelemetry_0_33::OpenTelemetryBridge, messaging::Existing,
};
use propagation_testkit::{
    in_memory::InMemory,
    trace::{SpanId, SpanKind, TraceGraph, TraceId, Which, service},
    wire::{Wire, WireRecord},
};

use crate::shop::{Shop, headers, text};

/// Who called `orders` from outside of the shop: each request has a trace of its own.
const CALLER: &str = "00f067aa0ba902b7";

fn traceparent(request: u8, flags: &str) -> String {
    format!("00-4bf92f3577b34da6a3ce929d0e0e47{request:02x}-{CALLER}-{flags}")
}

/// Two services with a queue between them: `orders` is called, and publishes; `billing` consumes.
struct Services {
    shop: Shop,
    memory: InMemory,
    wire: Wire,
    orders: Propagator,
    billing: Propagator,
    _providers: [SdkTracerProvider; 2],
}

/// The ways to publish.
#[derive(Clone, Copy, Debug)]
enum By {
    Publish,
    Confirmed,
    Inject,
}

impl Services {
    async fn open(trusted_by_billing: Trust) -> Self {
        let (memory, wire) = (InMemory::new(), Wire::new());
        let providers = ["orders", "billing"].map(|service| memory.provider(service));
        let [orders, billing] = [(0, Trust::Trust), (1, trusted_by_billing)].map(|(at, trust)| {
            let policy = Policy::builder().inbound(InboundRule::peers(["*"]).trust(trust)).build().unwrap();
            let bridge = OpenTelemetryBridge::new(providers[at].tracer("amqp"));
            Propagator::builder().policy(policy).bridge(bridge).build()
        });
        Self { shop: Shop::open().await, memory, wire, orders, billing, _providers: providers }
    }

    /// Three requests from outside, in each of which `orders` publishes a message that has the context of an earlier one left on it.
    async fn receive(&self, flags: &str, by: By) {
        self.shop.channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        for request in 1..=3 {
            let traceparent = traceparent(request, flags);
            self.wire.record(WireRecord::new("caller", "orders", "http").field("traceparent", &*traceparent));
            let context = PropagationContext::new(TraceContext::new(traceparent.parse().unwrap()));
            let hop = self.orders.start(Hop::remote(Kind::Server, context).named("POST /orders"));
            hop.scope(self.publish(&self.shop.channel, by)).await;
            hop.end(&Outcome::Unset);
        }
    }

    async fn publish(&self, channel: &Channel, by: By) {
        let publishing =
            ProducerPropagation::new(self.orders.clone(), &self.shop.connection).existing(Existing::Replace);
        let stale = BTreeMap::from([("traceparent".into(), text(&traceparent(0xff, "01")))]);
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
                message.inject(&self.orders, to, &self.orders.current(), FrameLimit::DEFAULT);
                let sent = channel.basic_publish(to.into(), key.into(), options, b"{}", message);
                sent.await.unwrap().await.unwrap();
            }
        }
    }

    /// `billing` handles what was sent, message by message, and settles each in another way.
    async fn handle(&mut self) {
        let consuming = ConsumerPropagation::new(self.billing.clone(), "shipping");
        for number in 0..3 {
            let delivery = self.shop.next().await;
            let record = WireRecord::new("orders", "billing", "rabbitmq").of_message(number.to_string());
            self.wire.record(record.with_fields(headers(&delivery.properties)));
            consuming.process(&delivery, async { Ok::<_, ()>(()) }).await.unwrap();
            match number {
                0 => consuming.ack(&delivery, BasicAckOptions::default()).await.unwrap(),
                1 => consuming.nack(&delivery, BasicNackOptions { multiple: false, requeue: false }).await.unwrap(),
                _ => consuming.reject(&delivery, BasicRejectOptions { requeue: false }).await.unwrap(),
            };
        }
    }

    fn graph(&self) -> TraceGraph {
        self.memory.graph().with_outside([CALLER.parse::<SpanId>().unwrap()])
    }
}

fn server() -> Which {
    service("orders").kind(SpanKind::Server)
}

fn sent() -> Which {
    service("orders").kind(SpanKind::Producer)
}

fn processed() -> Which {
    service("billing").kind(SpanKind::Consumer)
}

#[tokio::test]
async fn every_message_is_handled_in_the_trace_of_the_span_that_published_it() {
    for by in [By::Publish, By::Confirmed] {
        let mut services = Services::open(Trust::Trust).await;
        services.receive("01", by).await;
        services.handle().await;
        services.wire.assert_exactly_one(&["traceparent"]).assert_valid_context();
        let graph = services.graph();
        services.wire.between("orders", "billing").assert_carries_spans_of(&graph);
        graph
            .assert_each_edge(sent(), processed())
            .assert_each_edge(server(), sent())
            .assert_each_link(processed(), sent())
            .assert_each_link(service("billing").kind(SpanKind::Client), sent())
            .assert_sampled_consistently()
            .assert_count(processed(), 3);
        for trace in graph.traces().into_iter().filter(|trace| trace.find(server()).next().is_some()) {
            trace.assert_continuous().assert_services(&["orders", "billing"]);
        }
    }
}

#[tokio::test]
async fn what_is_injected_by_hand_is_the_context_given() {
    let mut services = Services::open(Trust::Trust).await;
    services.receive("01", By::Inject).await;
    services.handle().await;
    services.wire.assert_exactly_one(&["traceparent"]).assert_valid_context();
    services.wire.between("orders", "billing").assert_carries_spans_of(&services.graph());
    services.graph().assert_each_edge(server(), processed()).assert_each_link(processed(), server());
}

#[tokio::test]
async fn a_message_that_is_fetched_is_linked_to_by_the_span_that_fetched_it() {
    let services = Services::open(Trust::Trust).await;
    let (channel, options) = (&services.shop.channel, QueueDeclareOptions::default());
    channel.queue_declare("invoices".into(), options, FieldTable::default()).await.unwrap();
    let publishing = ProducerPropagation::new(services.orders.clone(), &services.shop.connection);
    let (to, key) = ("".into(), "invoices".into());
    let message = BasicProperties::default();
    publishing.publish(channel, to, key, BasicPublishOptions::default(), b"{}", message).await.unwrap();
    let consuming = ConsumerPropagation::new(services.billing.clone(), "invoices");
    let fetched = consuming.get(channel, BasicGetOptions { no_ack: true }).await.unwrap();
    assert!(fetched.is_some());
    services.graph().assert_each_link(service("billing").name("receive invoices"), sent());
    assert!(consuming.get(channel, BasicGetOptions { no_ack: true }).await.unwrap().is_none(), "there was one");
}

#[tokio::test]
async fn who_is_not_sampled_stays_so_at_every_hop() {
    for by in [By::Publish, By::Confirmed, By::Inject] {
        let mut services = Services::open(Trust::Trust).await;
        services.receive("00", by).await;
        services.handle().await;
        services.wire.assert_exactly_one(&["traceparent"]).assert_sampled_consistently();
        services.graph().assert_count(processed(), 0).assert_count(sent(), 0);
    }
}

#[tokio::test]
async fn a_consumer_that_begins_its_own_trace_links_to_who_published() {
    let mut services = Services::open(Trust::RestartAndLink).await;
    services.receive("01", By::Publish).await;
    services.handle().await;
    let graph = services.graph();
    graph
        .assert_each_link(processed(), sent())
        .assert_each_link(service("billing").kind(SpanKind::Client), sent())
        .assert_reachable(server(), processed());
    let own: Vec<TraceId> = graph.find(processed()).map(|span| span.trace_id).collect();
    assert!(own.iter().all(|trace| !trace.to_string().starts_with("4bf92f35")), "a trace of its own: {own:?}");
}
