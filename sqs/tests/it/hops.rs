//! What must be right at every hop, told by the kit: a failure says which hop it was, `orders → billing over aws_sqs`.

use aws_sdk_sqs::types::Message;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{
    Hop, InboundRule, Outcome, Policy, PropagationContext, Propagator, SpanKind as Kind, TraceContext, Trust,
    bridge::opentelemetry_0_33::OpenTelemetryBridge, messaging::Existing,
};
use propagation_sqs::{ConsumerPropagation, OutgoingExt, SqsPropagation};
use propagation_testkit::{
    in_memory::InMemory,
    trace::{SpanId, SpanKind, TraceGraph, TraceId, Which, service},
    wire::{Wire, WireRecord},
};

use crate::setup::{Endpoint, entry, receive, string};

/// Who called `orders` from outside of the shop: each request has a trace of its own.
const CALLER: &str = "00f067aa0ba902b7";

fn traceparent(request: u8, flags: &str) -> String {
    format!("00-4bf92f3577b34da6a3ce929d0e0e47{request:02x}-{CALLER}-{flags}")
}

/// Two services with a queue between them: `orders` is called, and sends; `billing` receives.
struct Services {
    endpoint: Endpoint,
    memory: InMemory,
    wire: Wire,
    orders: Propagator,
    billing: Propagator,
    _providers: [SdkTracerProvider; 2],
}

/// The ways to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Send,
    Batch,
    SharingBatch,
    Inject,
}

impl Services {
    async fn open(trusted_by_billing: Trust) -> Self {
        let (memory, wire) = (InMemory::new(), Wire::new());
        let providers = ["orders", "billing"].map(|service| memory.provider(service));
        let [orders, billing] = [(0, Trust::Trust), (1, trusted_by_billing)].map(|(at, trust)| {
            let policy = Policy::builder().inbound(InboundRule::peers(["*"]).trust(trust)).build().unwrap();
            let bridge = OpenTelemetryBridge::new(providers[at].tracer("sqs"));
            Propagator::builder().policy(policy).bridge(bridge).build()
        });
        Self { endpoint: Endpoint::start().await, memory, wire, orders, billing, _providers: providers }
    }

    /// Three requests from outside, in each of which `orders` sends a message that has the context of an earlier one left on it.
    async fn receive(&self, flags: &str, by: By) {
        for request in 1..=3 {
            let traceparent = traceparent(request, flags);
            self.wire.record(WireRecord::new("caller", "orders", "http").field("traceparent", &*traceparent));
            let context = PropagationContext::new(TraceContext::new(traceparent.parse().unwrap()));
            let hop = self.orders.start(Hop::remote(Kind::Server, context).named("POST /orders"));
            hop.scope(self.send(by)).await;
            hop.end(&Outcome::Unset);
        }
        for seen in self.endpoint.seen() {
            self.wire.record(WireRecord::new("orders", "billing", "aws_sqs").with_fields(seen.attributes));
        }
    }

    async fn send(&self, by: By) {
        let propagation = SqsPropagation::new(self.orders.clone()).existing(Existing::Replace);
        let client = self.endpoint.client(propagation.create_spans(by != By::SharingBatch));
        let stale = || string(&traceparent(0xff, "01"));
        let mut one = entry("1", "{}");
        one.message_attributes = Some([("traceparent".to_owned(), stale())].into());
        let batch = client.send_message_batch().queue_url(&self.endpoint.queue);
        match by {
            By::Send => {
                let message = client.send_message().queue_url(&self.endpoint.queue).message_body("{}");
                message.message_attributes("traceparent", stale()).send().await.unwrap();
            }
            By::Batch | By::SharingBatch => {
                batch.entries(one).entries(entry("2", "{}")).send().await.unwrap();
            }
            By::Inject => {
                one.inject(&self.orders, "orders", &self.orders.current());
                let batch = self.endpoint.plain().send_message_batch().queue_url(&self.endpoint.queue);
                batch.entries(one).send().await.unwrap();
            }
        }
    }

    /// `billing` receives all that was sent, handles it message by message, and settles each.
    async fn handle(&self) -> Vec<Message> {
        let client = self.endpoint.client(SqsPropagation::new(self.billing.clone()));
        let consuming = ConsumerPropagation::new(self.billing.clone(), &self.endpoint.queue);
        let messages = receive(&client, &self.endpoint.queue).await;
        for message in &messages {
            consuming.process(message, async { Ok::<_, ()>(()) }).await.unwrap();
            let delete = client.delete_message().queue_url(&self.endpoint.queue);
            delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
        }
        messages
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

fn ids(graph: &TraceGraph, which: Which) -> Vec<(TraceId, propagation_testkit::trace::SpanId)> {
    graph.find(which).map(|span| (span.trace_id, span.span_id)).collect()
}

#[tokio::test]
async fn every_message_is_handled_in_the_trace_of_the_span_that_sent_it() {
    for (by, messages) in [(By::Send, 3), (By::Batch, 6)] {
        let services = Services::open(Trust::Trust).await;
        services.receive("01", by).await;
        assert_eq!(services.handle().await.len(), messages);
        services.wire.assert_exactly_one(&["traceparent"]).assert_valid_context();
        let graph = services.graph();
        services.wire.between("orders", "billing").assert_carries_spans_of(&graph);
        graph
            .assert_each_edge(sent(), processed())
            .assert_each_link(processed(), sent())
            .assert_each_link(service("billing").name("delete orders"), sent())
            .assert_links_exactly(service("billing").name("receive orders"), &ids(&graph, sent()))
            .assert_edge(server(), sent())
            .assert_sampled_consistently()
            .assert_count(processed(), messages);
        if by == By::Batch {
            let send = service("orders").name("send orders").kind(SpanKind::Client);
            graph.assert_each_edge(server(), send.clone()).assert_links_exactly(send, &ids(&graph, sent()));
        } else {
            graph.assert_each_edge(server(), sent());
        }
        for trace in graph.traces().into_iter().filter(|trace| trace.find(server()).next().is_some()) {
            trace.assert_continuous().assert_services(&["orders", "billing"]);
        }
    }
}

#[tokio::test]
async fn messages_that_share_the_context_of_their_batch_are_handled_in_its_trace() {
    let services = Services::open(Trust::Trust).await;
    services.receive("01", By::SharingBatch).await;
    services.handle().await;
    services.wire.assert_exactly_one(&["traceparent"]).assert_valid_context();
    let graph = services.graph();
    services.wire.between("orders", "billing").assert_carries_spans_of(&graph);
    graph.assert_each_edge(server(), sent()).assert_edge(sent(), processed()).assert_count(processed(), 6);
    let twice: Vec<_> = ids(&graph, sent()).into_iter().flat_map(|id| [id; 2]).collect();
    graph.assert_links_exactly(processed(), &twice);
}

#[tokio::test]
async fn what_is_injected_by_hand_is_the_context_given() {
    let services = Services::open(Trust::Trust).await;
    services.receive("01", By::Inject).await;
    services.handle().await;
    services.wire.assert_exactly_one(&["traceparent"]).assert_valid_context();
    services.wire.between("orders", "billing").assert_carries_spans_of(&services.graph());
    services.graph().assert_each_edge(server(), processed()).assert_each_link(processed(), server());
}

#[tokio::test]
async fn who_is_not_sampled_stays_so_at_every_hop() {
    for by in [By::Send, By::Batch, By::SharingBatch, By::Inject] {
        let services = Services::open(Trust::Trust).await;
        services.receive("00", by).await;
        services.handle().await;
        services.wire.assert_exactly_one(&["traceparent"]).assert_sampled_consistently();
        services.graph().assert_count(processed(), 0).assert_count(sent(), 0);
    }
}

#[tokio::test]
async fn a_consumer_that_begins_its_own_trace_links_to_who_sent() {
    let services = Services::open(Trust::RestartAndLink).await;
    services.receive("01", By::Send).await;
    services.handle().await;
    let graph = services.graph();
    graph
        .assert_each_link(processed(), sent())
        .assert_each_link(service("billing").name("delete orders"), sent())
        .assert_reachable(server(), processed());
    let own: Vec<TraceId> = graph.find(processed()).map(|span| span.trace_id).collect();
    assert!(own.iter().all(|trace| !trace.to_string().starts_with("4bf92f35")), "a trace of its own: {own:?}");
}
