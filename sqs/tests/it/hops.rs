//! Invariants of every hop, checked by the test kit, whose failures name the hop: `orders → billing over aws.sqs`.

use aws_sdk_sqs::types::Message;
use propagation_core::{TraceTrust, messaging::ExistingContext};
use propagation_sqs::{ConsumerPropagation, OutgoingExt, SqsInterceptor};
use propagation_testkit::{
    services::{self, TestServices, processed, sent, server, stale},
    trace::{SpanId, SpanKind, SpanSelector, TraceGraph, TraceId, service},
    wire::WireRecord,
};

use crate::setup::{Endpoint, entry, receive, string};

/// The two services, with a queue between them.
struct Queue {
    endpoint: Endpoint,
    services: TestServices,
}

/// The ways to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Send,
    Batch,
    SharingBatch,
    Inject,
}

impl Queue {
    async fn open(trusted_by_billing: TraceTrust) -> Self {
        Self { endpoint: Endpoint::start().await, services: TestServices::new(trusted_by_billing) }
    }

    /// In each request `orders` sends a message that has the context of an earlier one left on it.
    async fn receive(&self, flags: &str, by: By) {
        self.services.receive(flags, async || self.send(by).await).await;
        for seen in self.endpoint.seen() {
            self.services.wire.record(WireRecord::new("orders", "billing", "aws.sqs").with_fields(seen.attributes));
        }
    }

    async fn send(&self, by: By) {
        let orders = &self.services.orders;
        let propagation = SqsInterceptor::new(orders.clone()).existing(ExistingContext::Replace);
        let client = self.endpoint.client(propagation.with_create_spans(by != By::SharingBatch));
        let stale = || string(&stale());
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
                one.inject(orders, "orders", &orders.current());
                let batch = self.endpoint.plain().send_message_batch().queue_url(&self.endpoint.queue);
                batch.entries(one).send().await.unwrap();
            }
        }
    }

    /// `billing` receives all messages, processes them one by one, and settles each.
    async fn handle(&self) -> Vec<Message> {
        let client = self.endpoint.client(SqsInterceptor::new(self.services.billing.clone()));
        let consuming = ConsumerPropagation::new(self.services.billing.clone(), &self.endpoint.queue);
        let messages = receive(&client, &self.endpoint.queue).await;
        for message in &messages {
            consuming.process(message, async { Ok::<_, ()>(()) }).await.unwrap();
            let delete = client.delete_message().queue_url(&self.endpoint.queue);
            delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
        }
        messages
    }
}

fn ids(graph: &TraceGraph, which: SpanSelector) -> Vec<(TraceId, SpanId)> {
    graph.find(which).map(|span| (span.trace_id, span.span_id)).collect()
}

#[tokio::test]
async fn messages_are_processed_in_the_trace_of_their_send() {
    for (by, messages) in [(By::Send, 3), (By::Batch, 6)] {
        let queue = Queue::open(TraceTrust::Full).await;
        queue.receive("01", by).await;
        assert_eq!(queue.handle().await.len(), messages);
        let graph = queue.services.assert_carried();
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
        services::assert_whole_requests(&graph);
    }
}

#[tokio::test]
async fn loop_in_a_user_span_keeps_one_trace_per_message() {
    for (by, messages) in [(By::Send, 3), (By::Batch, 6)] {
        let queue = Queue::open(TraceTrust::Full).await;
        queue.receive("01", by).await;
        queue.services.in_a_users_span(queue.handle()).await;
        let graph = queue.services.assert_carried();
        let settled = service("billing").name("delete orders");
        graph
            .assert_each_edge(sent(), processed())
            .assert_each_edge(processed(), settled.clone())
            .assert_each_link(settled, sent())
            .assert_count(processed(), messages);
        services::assert_whole_requests(&graph);
        assert_eq!(graph.traces().len(), 4, "three requests, and the user's span with the receive span");
    }
}

#[tokio::test]
async fn messages_of_a_shared_context_join_its_trace() {
    let queue = Queue::open(TraceTrust::Full).await;
    queue.receive("01", By::SharingBatch).await;
    queue.handle().await;
    let graph = queue.services.assert_carried();
    graph.assert_each_edge(server(), sent()).assert_edge(sent(), processed()).assert_count(processed(), 6);
    let twice: Vec<_> = ids(&graph, sent()).into_iter().flat_map(|id| [id; 2]).collect();
    graph.assert_links_exactly(processed(), &twice);
}

#[tokio::test]
async fn manual_injection_writes_the_given_context() {
    let queue = Queue::open(TraceTrust::Full).await;
    queue.receive("01", By::Inject).await;
    queue.handle().await;
    let graph = queue.services.assert_carried();
    graph.assert_each_edge(server(), processed()).assert_each_link(processed(), server());
}

#[tokio::test]
async fn unsampled_trace_stays_unsampled_at_every_hop() {
    for by in [By::Send, By::Batch, By::SharingBatch, By::Inject] {
        let queue = Queue::open(TraceTrust::Full).await;
        queue.receive("00", by).await;
        queue.handle().await;
        queue.services.wire.assert_exactly_one(&["traceparent"]).assert_sampled_consistently();
        queue.services.graph().assert_count(processed(), 0).assert_count(sent(), 0);
    }
}

#[tokio::test]
async fn link_only_consumer_links_to_the_send_span() {
    let queue = Queue::open(TraceTrust::RestartWithLink).await;
    queue.receive("01", By::Send).await;
    queue.handle().await;
    let graph = queue.services.graph();
    graph
        .assert_each_link(processed(), sent())
        .assert_each_link(service("billing").name("delete orders"), sent())
        .assert_reachable(server(), processed());
    services::assert_own_traces(&graph, processed());
}
