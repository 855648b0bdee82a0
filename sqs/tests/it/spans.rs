//! The shape of the spans, with both bridges.

use std::future::Future;

use aws_sdk_sqs::{Client, types::Message};
use opentelemetry::trace::SpanKind;
use propagation_core::{Hop, Outcome, PropagationContext, Propagator, SpanKind as Kind, messaging::ParentMode};
use propagation_sqs::{ConsumerPropagation, SqsInterceptor};
use propagation_testkit::telemetry::{BridgeKind, TestTelemetry};
use tracing::level_filters::LevelFilter;

use crate::setup::{Endpoint, OTHER, attribute, caller, entry, id, links, policy, receive, string, telemetry};

/// Sends two messages in one batch, and receives them.
async fn two(client: &Client, endpoint: &Endpoint) -> Vec<Message> {
    let batch = client.send_message_batch().queue_url(&endpoint.queue);
    batch.entries(entry("1", "one")).entries(entry("2", "two")).send().await.unwrap();
    receive(client, &endpoint.queue).await
}

/// Runs a check with each bridge, on this thread, with an endpoint of its own.
fn with_each_bridge<F: Future<Output = ()>>(check: impl Fn(TestTelemetry, Propagator, Endpoint) -> F) {
    TestTelemetry::with_each_bridge(policy, async |telemetry| {
        let propagator = telemetry.propagator.clone();
        check(telemetry, propagator, Endpoint::start().await).await;
    });
}

async fn sent_and_received(client: &Client, endpoint: &Endpoint) -> Message {
    client.send_message().queue_url(&endpoint.queue).message_body("{}").send().await.unwrap();
    receive(client, &endpoint.queue).await.remove(0)
}

fn common(span: &opentelemetry_sdk::trace::SpanData, operation: &str, kind: &str, endpoint: &Endpoint) {
    let port = endpoint.sqs.addr().port().to_string();
    for (key, value) in [
        ("messaging.system.name", "aws.sqs"),
        ("messaging.operation.name", operation),
        ("messaging.operation.type", kind),
        ("messaging.destination.name", "orders"),
        ("aws.sqs.queue.url", endpoint.queue.as_str()),
        ("server.address", "127.0.0.1"),
        ("server.port", port.as_str()),
    ] {
        assert_eq!(attribute(span, key).as_deref(), Some(value), "{key} of {}", span.name);
    }
}

/// Returns the message ids on the links of a span.
fn linked_messages(span: &opentelemetry_sdk::trace::SpanData) -> Vec<String> {
    let attributes = span.links.iter().flat_map(|link| &link.attributes);
    let ids = attributes.filter(|attribute| attribute.key.as_str() == "messaging.message.id");
    ids.map(|attribute| attribute.value.to_string()).collect()
}

#[test]
fn send_span_is_on_the_message_and_parent_of_process() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
        let server = propagator.start(Hop::remote(Kind::Server, caller()).named("POST /orders"));
        let sent = server.scope(client.send_message().queue_url(&endpoint.queue).message_body("{}").send()).await;
        server.end(&Outcome::Unset);
        let message_id = sent.unwrap().message_id.unwrap();
        let message = receive(&client, &endpoint.queue).await.remove(0);
        let consumer = ConsumerPropagation::new(propagator.clone(), &endpoint.queue);
        consumer.process(&message, async { Ok::<_, ()>(()) }).await.unwrap();

        let send = spans.span("send orders");
        assert_eq!(send.span_kind, SpanKind::Producer);
        assert_eq!(send.parent_span_id, spans.span("POST /orders").span_context.span_id());
        common(&send, "send", "send", &endpoint);
        assert_eq!(attribute(&send, "messaging.message.id"), Some(message_id.clone()));
        assert!(links(&send).is_empty() && attribute(&send, "error.type").is_none());
        let parent = endpoint.one().get("traceparent").unwrap().to_owned();
        assert!(parent.contains(&id(&send)), "{parent}");

        let receive = spans.span("receive orders");
        assert_eq!((receive.span_kind.clone(), links(&receive)), (SpanKind::Client, vec![id(&send)]));
        common(&receive, "receive", "receive", &endpoint);
        assert_eq!(attribute(&receive, "messaging.batch.message_count").as_deref(), Some("1"));

        let process = spans.span("process orders");
        assert_eq!((process.span_kind.clone(), links(&process)), (SpanKind::Consumer, vec![id(&send)]));
        assert_eq!((process.parent_span_id, process.parent_span_is_remote), (send.span_context.span_id(), true));
        common(&process, "process", "process", &endpoint);
        assert_eq!(attribute(&process, "messaging.message.id"), Some(message_id));
    });
}

#[test]
fn batch_send_links_to_a_create_span_per_message() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
        let batch = client
            .send_message_batch()
            .queue_url(&endpoint.queue)
            .entries(entry("1", "one"))
            .entries(entry("2", "two"))
            .entries(entry("3", "three"));
        batch.send().await.unwrap();

        let created = spans.named("create orders");
        assert!(created.iter().all(|span| span.span_kind == SpanKind::Producer));
        created.iter().for_each(|span| common(span, "create", "create", &endpoint));
        let ids: Vec<String> = created.iter().map(id).collect();
        let send = spans.span("send orders");
        assert_eq!((send.span_kind.clone(), links(&send)), (SpanKind::Client, ids.clone()));
        assert_eq!(attribute(&send, "messaging.batch.message_count").as_deref(), Some("3"));
        for (seen, id) in endpoint.seen().iter().zip(&ids) {
            assert!(seen.get("traceparent").unwrap().contains(id), "each message has its own context");
        }

        let messages = receive(&client, &endpoint.queue).await;
        let received = spans.span("receive orders");
        assert_eq!((messages.len(), links(&received)), (3, ids));
        let message_ids: Vec<_> = messages.iter().map(|message| message.message_id().unwrap().to_owned()).collect();
        let created: Vec<_> = created.iter().filter_map(|span| attribute(span, "messaging.message.id")).collect();
        assert_eq!((linked_messages(&received), created), (message_ids.clone(), message_ids));
    });
}

#[test]
fn without_create_spans_messages_carry_the_send_span() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()).with_create_spans(false));
        let mut outbox = entry("2", "two");
        outbox.message_attributes = Some([("traceparent".to_owned(), string(OTHER))].into());
        let batch = client.send_message_batch().queue_url(&endpoint.queue).entries(entry("1", "one")).entries(outbox);
        batch.send().await.unwrap();
        let send = spans.span("send orders");
        assert_eq!(spans.spans().len(), 1);
        assert_eq!((send.span_kind.clone(), links(&send)), (SpanKind::Producer, vec!["b7ad6b7169203331".to_owned()]));
        let seen = endpoint.seen();
        assert!(seen[0].get("traceparent").unwrap().contains(&id(&send)));
        assert_eq!(seen[1].get("traceparent"), Some(OTHER));

        receive(&client, &endpoint.queue).await;
        assert_eq!(links(&spans.span("receive orders")).len(), 2, "none twice");
    });
}

#[test]
fn messages_of_one_context_get_a_link_each() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()).with_create_spans(false));
        let messages = two(&client, &endpoint).await;
        let received = spans.span("receive orders");
        let sent = id(&spans.span("send orders"));
        assert_eq!(links(&received), [sent.clone(), sent]);
        let message_ids: Vec<_> = messages.iter().map(|message| message.message_id().unwrap()).collect();
        assert_eq!(linked_messages(&received), message_ids);
    });
}

#[test]
fn kept_context_makes_send_a_linked_client_span() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
        let send = client.send_message().queue_url(&endpoint.queue).message_body("{}");
        send.message_attributes("traceparent", string(OTHER)).send().await.unwrap();
        let send = spans.span("send orders");
        assert_eq!((send.span_kind.clone(), links(&send)), (SpanKind::Client, vec!["b7ad6b7169203331".to_owned()]));
    });
}

#[test]
fn settle_span_links_to_the_received_message() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
        let messages = two(&client, &endpoint).await;
        let ids: Vec<String> = spans.named("create orders").iter().map(id).collect();
        let handle = |at: usize| messages[at].receipt_handle().unwrap();
        let change = client.change_message_visibility().queue_url(&endpoint.queue).visibility_timeout(60);
        change.receipt_handle(handle(0)).send().await.unwrap();
        client.delete_message().queue_url(&endpoint.queue).receipt_handle(handle(0)).send().await.unwrap();
        let gone = aws_sdk_sqs::types::DeleteMessageBatchRequestEntry::builder().id("1").receipt_handle(handle(1));
        let batch = client.delete_message_batch().queue_url(&endpoint.queue).entries(gone.build().unwrap());
        batch.send().await.unwrap();

        let change = spans.span("change_visibility orders");
        assert_eq!((change.span_kind.clone(), links(&change)), (SpanKind::Client, vec![ids[0].clone()]));
        common(&change, "change_visibility", "settle", &endpoint);
        let deleted = spans.named("delete orders");
        assert_eq!(deleted.iter().map(links).collect::<Vec<_>>(), [[ids[0].clone()], [ids[1].clone()]]);
        deleted.iter().for_each(|span| common(span, "delete", "settle", &endpoint));
        assert_eq!(attribute(&deleted[1], "messaging.batch.message_count").as_deref(), Some("1"));
    });
}

#[test]
fn batch_settle_links_to_each_message() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry};
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()).with_create_spans(false));
        let messages = two(&client, &endpoint).await;
        let handles: Vec<&str> = messages.iter().map(|message| message.receipt_handle().unwrap()).collect();
        let change =
            handles.iter().zip(["1", "2"]).fold(client.change_message_visibility_batch(), |batch, (handle, id)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id).visibility_timeout(60);
                batch.entries(entry.receipt_handle(*handle).build().unwrap())
            });
        change.queue_url(&endpoint.queue).send().await.unwrap();
        let delete = handles.iter().zip(["1", "2"]).fold(client.delete_message_batch(), |batch, (handle, id)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(id);
            batch.entries(entry.receipt_handle(*handle).build().unwrap())
        });
        delete.queue_url(&endpoint.queue).send().await.unwrap();
        let sent = id(&spans.span("send orders"));
        for name in ["change_visibility orders", "delete orders"] {
            let settled = spans.span(name);
            assert_eq!(links(&settled), [sent.clone(), sent.clone()], "{name}");
            let message_ids: Vec<_> = messages.iter().map(|message| message.message_id().unwrap()).collect();
            assert_eq!(linked_messages(&settled), message_ids, "{name}");
            assert_eq!(attribute(&settled, "messaging.batch.message_count").as_deref(), Some("2"), "{name}");
        }
    });
}

#[test]
fn calls_in_a_handler_are_children_of_process() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
        let message = sent_and_received(&client, &endpoint).await;
        let consumer = ConsumerPropagation::new(propagator.clone(), &endpoint.queue);
        let next = endpoint.sqs.create_queue("next").unwrap();
        let handler = async {
            client.send_message().queue_url(&next).message_body("{}").send().await.map_err(|_| "send")?;
            let handle = message.receipt_handle().unwrap();
            client.delete_message().queue_url(&endpoint.queue).receipt_handle(handle).send().await.map_err(|_| "delete")
        };
        consumer.process(&message, handler).await.unwrap();
        let process = spans.span("process orders");
        for name in ["send next", "delete orders"] {
            assert_eq!(spans.span(name).parent_span_id, process.span_context.span_id(), "{name}");
        }
    });
}

#[test]
fn parent_mode_decides_the_parent_of_process() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
        let message = sent_and_received(&client, &endpoint).await;
        let send = spans.span("send orders");
        let day = std::time::Duration::from_secs(86_400);
        for (mode, ambient, child_of_send, own_trace) in [
            (ParentMode::Current, false, true, false),
            (ParentMode::Current, true, false, false),
            (ParentMode::Message, true, true, false),
            (ParentMode::LinkOnly, true, false, true),
            (ParentMode::MessageIfYounger(day), true, true, false),
            (ParentMode::MessageIfYounger(std::time::Duration::ZERO), true, false, true),
        ] {
            spans.clear();
            let consumer = ConsumerPropagation::new(propagator.clone(), &endpoint.queue).parent_mode(mode);
            let around = propagator.start(Hop::remote(Kind::Internal, PropagationContext::EMPTY).named("poll"));
            let process = || consumer.start(&message).end(&Outcome::Unset);
            if ambient {
                around.in_scope(process);
            } else {
                process();
            }
            around.end(&Outcome::Unset);
            let (process, poll) = (spans.span("process orders"), spans.span("poll"));
            assert_eq!(process.parent_span_id == send.span_context.span_id(), child_of_send, "{mode:?}");
            let traces = [send.span_context.trace_id(), poll.span_context.trace_id()];
            assert_eq!(!traces.contains(&process.span_context.trace_id()), own_trace, "{mode:?}");
            assert_eq!(links(&process), [id(&send)], "{mode:?}: always linked");
        }
    });
}

#[test]
fn disabled_spans_are_not_made() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let quiet = SqsInterceptor::new(propagator.clone()).with_receive_spans(false).with_settle_spans(false);
        let client = endpoint.client(quiet);
        let message = sent_and_received(&client, &endpoint).await;
        assert!(message.message_attributes().unwrap().contains_key("traceparent"), "asked for all the same");
        let handle = message.receipt_handle().unwrap();
        client.delete_message().queue_url(&endpoint.queue).receipt_handle(handle).send().await.unwrap();
        assert_eq!(spans.spans().len(), 1);
    });
}

#[test]
fn settle_span_links_without_receive_spans() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()).with_receive_spans(false));
        let message = sent_and_received(&client, &endpoint).await;
        let handle = message.receipt_handle().unwrap();
        client.delete_message().queue_url(&endpoint.queue).receipt_handle(handle).send().await.unwrap();
        assert_eq!(links(&spans.span("delete orders")), [id(&spans.span("send orders"))]);
    });
}

#[test]
fn message_age_is_taken_from_its_timestamp() {
    use aws_sdk_sqs::types::{Message, MessageSystemAttributeName::SentTimestamp};
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let hour = std::time::Duration::from_secs(3600);
    let consumer =
        ConsumerPropagation::new(spans.propagator.clone(), "orders").parent_mode(ParentMode::MessageIfYounger(hour));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    for (sent, child) in [(now, true), (now.saturating_sub(2 * hour), false)] {
        spans.clear();
        let message = Message::builder().message_attributes("traceparent", string(OTHER));
        let message = message.attributes(SentTimestamp, sent.as_millis().to_string()).build();
        consumer.start(&message).end(&Outcome::Unset);
        let parent = spans.span("process orders").parent_span_id.to_string();
        assert_eq!(parent == OTHER[36..52], child, "{parent}");
    }
}

#[test]
fn batch_process_span_links_to_every_message() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
        let messages = two(&client, &endpoint).await;
        let ids: Vec<String> = spans.named("create orders").iter().map(id).collect();
        let consumer = ConsumerPropagation::new(propagator.clone(), &endpoint.queue);
        let inside = consumer.process_batch(&messages, async { Ok::<_, ()>(propagator.current()) }).await.unwrap();
        let process = spans.span("process orders");
        assert_eq!((process.span_kind.clone(), links(&process)), (SpanKind::Consumer, ids));
        assert_eq!(attribute(&process, "messaging.batch.message_count").as_deref(), Some("2"));
        assert_eq!(inside.trace.span_id().unwrap().to_string(), id(&process));
    });
}

#[test]
fn sync_handler_runs_in_the_process_span() {
    with_each_bridge(|spans, propagator, endpoint| async move {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
        let message = sent_and_received(&client, &endpoint).await;
        let consumer = ConsumerPropagation::new(propagator.clone(), &endpoint.queue);
        let inside = consumer.process_sync(&message, || Err::<(), _>(Box::new(propagator.current()))).unwrap_err();
        let process = spans.span("process orders");
        assert_eq!(inside.trace.span_id().unwrap().to_string(), id(&process));
        assert!(attribute(&process, "error.type").is_some());
    });
}

/// At level debug, the SDK's own spans are between the caller's and ours, in the same trace.
#[test]
fn spans_of_the_sdk_keep_the_trace_connected() {
    let spans = telemetry(BridgeKind::Tracing);
    let subscriber = spans.subscriber(LevelFilter::DEBUG);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let (propagator, endpoint) = (spans.propagator.clone(), Endpoint::start().await);
            let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
            let server = propagator.start(Hop::remote(Kind::Server, caller()).named("POST /orders"));
            let send = client.send_message().queue_url(&endpoint.queue).message_body("{}").send();
            server.scope(send).await.unwrap();
            server.end(&Outcome::Unset);
            assert!(propagator.current().is_empty(), "nothing is left current");
            let send = spans.span("send orders");
            let all = spans.spans();
            let mut at = send.clone();
            while at.name != "POST /orders" {
                let parent = all.iter().find(|span| span.span_context.span_id() == at.parent_span_id);
                at = parent.unwrap_or_else(|| panic!("{} has no parent among the spans", at.name)).clone();
            }
            assert!(endpoint.one().get("traceparent").unwrap().contains(&id(&send)));
        });
    });
}
