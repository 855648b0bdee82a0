//! What must be right at every hop, told by the kit: a failure says which hop it was, `orders → billing over kafka`.

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{
    Hop, InboundRule, Outcome, Policy, PropagationContext, Propagator, SpanKind as Kind, TraceContext, Trust,
    bridge::opentelemetry_0_33::OpenTelemetryBridge, messaging::Existing,
};
use propagation_kafka::{ConsumerPropagation, HeadersExt, ProducerPropagation};
use propagation_testkit::{
    in_memory::InMemory,
    trace::{SpanId, SpanKind, TraceGraph, TraceId, Which, service},
    wire::{Wire, WireRecord},
};
use rdkafka::{
    Message,
    consumer::CommitMode,
    producer::{BaseRecord, FutureProducer, FutureRecord, ThreadedProducer},
};

use crate::shop::{Shop, TOPIC, WAIT, headers};

/// Who called `orders` from outside of the shop: each request has a trace of its own.
const CALLER: &str = "00f067aa0ba902b7";

fn traceparent(request: u8, flags: &str) -> String {
    format!("00-4bf92f3577b34da6a3ce929d0e0e47{request:02x}-{CALLER}-{flags}")
}

/// Two services with a topic between them: `orders` is called, and sends; `billing` receives.
struct Services {
    shop: Shop,
    memory: InMemory,
    wire: Wire,
    orders: Propagator,
    billing: Propagator,
    _providers: [SdkTracerProvider; 2],
}

/// The ways to send.
#[derive(Clone, Copy, Debug)]
enum By {
    Send,
    Result,
    Enqueue,
    Inject,
}

impl Services {
    fn open(trusted_by_billing: Trust) -> Self {
        let (memory, wire) = (InMemory::new(), Wire::new());
        let providers = ["orders", "billing"].map(|service| memory.provider(service));
        let [orders, billing] = [(0, Trust::Trust), (1, trusted_by_billing)].map(|(at, trust)| {
            let policy = Policy::builder().inbound(InboundRule::peers(["*"]).trust(trust)).build().unwrap();
            let bridge = OpenTelemetryBridge::new(providers[at].tracer("kafka"));
            Propagator::builder().policy(policy).bridge(bridge).build()
        });
        Self { shop: Shop::open(), memory, wire, orders, billing, _providers: providers }
    }

    /// Three requests from outside, in each of which `orders` sends a record that has the context of an earlier one left on it.
    async fn receive(&self, flags: &str, by: By) {
        let producer = self.shop.producer();
        for request in 1..=3 {
            let traceparent = traceparent(request, flags);
            self.wire.record(WireRecord::new("caller", "orders", "http").field("traceparent", &*traceparent));
            let context = PropagationContext::new(TraceContext::new(traceparent.parse().unwrap()));
            let hop = self.orders.start(Hop::remote(Kind::Server, context).named("POST /orders"));
            hop.scope(self.send(&producer, by)).await;
            hop.end(&Outcome::Unset);
        }
    }

    async fn send(&self, producer: &FutureProducer, by: By) {
        let sending = ProducerPropagation::new(self.orders.clone()).existing(Existing::Replace);
        let stale = headers(&[("traceparent", Some(traceparent(0xff, "01").as_bytes()))]);
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
                record.headers.inject(&self.orders, TOPIC, &self.orders.current());
                assert_eq!(producer.send(record, WAIT).await.unwrap().partition, 0);
            }
        }
    }

    /// `billing` handles what was sent, message by message, and settles each.
    async fn handle(&self) {
        let consuming = ConsumerPropagation::new(self.billing.clone());
        let consumer = self.shop.consumer();
        for _ in 0..3 {
            let message = consumer.recv().await.unwrap();
            let mut record = WireRecord::new("orders", "billing", "kafka").of_message(message.offset().to_string());
            for header in message.headers().into_iter().flat_map(HeadersExt::raw_iter) {
                record = record.field(String::from_utf8_lossy(header.name), header.value.unwrap_or_default());
            }
            self.wire.record(record);
            consuming.process(&message, async { Ok::<_, ()>(()) }).await.unwrap();
            consuming.commit(&consumer, &message, CommitMode::Sync).unwrap();
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
async fn every_message_is_handled_in_the_trace_of_the_span_that_sent_it() {
    for by in [By::Send, By::Result, By::Enqueue] {
        let services = Services::open(Trust::Trust);
        services.receive("01", by).await;
        services.handle().await;
        services.wire.assert_exactly_one(&["traceparent"]).assert_valid_context();
        let graph = services.graph();
        services.wire.between("orders", "billing").assert_carries_spans_of(&graph);
        graph
            .assert_each_edge(sent(), processed())
            .assert_each_edge(server(), sent())
            .assert_each_link(processed(), sent())
            .assert_each_link(service("billing").name_starts("commit "), sent())
            .assert_sampled_consistently()
            .assert_count(processed(), 3);
        for trace in graph.traces().into_iter().filter(|trace| trace.find(server()).next().is_some()) {
            trace.assert_continuous().assert_services(&["orders", "billing"]);
        }
    }
}

#[tokio::test]
async fn what_is_injected_by_hand_is_the_context_given() {
    let services = Services::open(Trust::Trust);
    services.receive("01", By::Inject).await;
    services.handle().await;
    services.wire.assert_exactly_one(&["traceparent"]).assert_valid_context();
    services.wire.between("orders", "billing").assert_carries_spans_of(&services.graph());
    services.graph().assert_each_edge(server(), processed()).assert_each_link(processed(), server());
}

#[tokio::test]
async fn a_batch_links_to_every_message_and_none_is_left_out() {
    let services = Services::open(Trust::Trust);
    services.receive("01", By::Send).await;
    let consumer = services.shop.consumer();
    let mut batch = Vec::new();
    for _ in 0..3 {
        batch.push(consumer.recv().await.unwrap());
    }
    let consuming = ConsumerPropagation::new(services.billing.clone());
    consuming.receive(&batch).end(&Outcome::Unset);
    consuming.process_batch(&batch, async { Ok::<_, ()>(()) }).await.unwrap();
    let graph = services.graph();
    let all: Vec<_> = graph.find(sent()).map(|span| (span.trace_id, span.span_id)).collect();
    graph.assert_links_exactly(processed(), &all);
    graph.assert_links_exactly(service("billing").kind(SpanKind::Client), &all);
}

#[tokio::test]
async fn who_is_not_sampled_stays_so_at_every_hop() {
    for by in [By::Send, By::Result, By::Enqueue, By::Inject] {
        let services = Services::open(Trust::Trust);
        services.receive("00", by).await;
        services.handle().await;
        services.wire.assert_exactly_one(&["traceparent"]).assert_sampled_consistently();
        // Settling is no part of the message's trace, and begins one where nothing is current.
        services.graph().assert_count(processed(), 0).assert_count(sent(), 0);
    }
}

#[tokio::test]
async fn a_consumer_that_begins_its_own_trace_links_to_who_sent() {
    let services = Services::open(Trust::RestartAndLink);
    services.receive("01", By::Send).await;
    services.handle().await;
    let graph = services.graph();
    graph.assert_each_link(processed(), sent()).assert_reachable(server(), processed());
    let own: Vec<TraceId> = graph.find(processed()).map(|span| span.trace_id).collect();
    assert!(own.iter().all(|trace| !trace.to_string().starts_with("4bf92f35")), "a trace of its own: {own:?}");
}
