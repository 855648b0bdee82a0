//! The fields on a message, and the context that is extracted from them.

use aws_sdk_sqs::{
    Client,
    operation::send_message::builders::SendMessageFluentBuilder,
    types::{MessageSystemAttributeNameForSends::AwsTraceHeader, MessageSystemAttributeValue},
};
use futures_util::future::join_all;
use propagation_core::{Direction, RejectReason, messaging::ExistingContext};
use propagation_sqs::{ConsumerPropagation, SqsInterceptor};

use crate::setup::{
    BAGGAGE, Endpoint, OTHER, PARENT, STATE, XRAY, caller, entry, inside, propagator, receive, receive_all, string,
};

/// A message to the queue, without attributes.
fn message(client: &Client, endpoint: &Endpoint) -> SendMessageFluentBuilder {
    client.send_message().queue_url(&endpoint.queue).message_body("{}")
}

fn system(value: &str) -> MessageSystemAttributeValue {
    MessageSystemAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

#[tokio::test]
async fn context_reaches_the_handler_with_one_value_per_key() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let send = message(&client, &endpoint).message_attributes("mine", string("kept")).send();
    inside(&propagator).scope(send).await.unwrap();

    let seen = endpoint.one();
    assert_eq!(seen.names(), ["baggage", "mine", "traceparent", "tracestate"]);
    assert_eq!(
        (seen.get("traceparent"), seen.get("tracestate"), seen.get("baggage"), seen.get("mine")),
        (Some(PARENT), Some(STATE), Some(BAGGAGE), Some("kept"))
    );
    assert_eq!(seen.header, None);

    let message = receive(&client, &endpoint.queue).await.remove(0);
    let consumer = ConsumerPropagation::new(propagator.clone(), &endpoint.queue);
    let handled = consumer.process(&message, async { Ok::<_, ()>(propagator.current()) }).await.unwrap();
    assert_eq!(handled, caller());
    assert!(propagator.current().is_empty(), "nothing is current after the message");
}

#[tokio::test]
async fn empty_context_leaves_the_message_unchanged() {
    let endpoint = Endpoint::start().await;
    let client = endpoint.client(SqsInterceptor::new(propagator()));
    message(&client, &endpoint).send().await.unwrap();
    let seen = endpoint.one();
    assert!(seen.attributes.is_empty() && seen.header.is_none(), "{seen:?}");
}

#[tokio::test]
async fn batch_entries_carry_context_and_fail_individually() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let batch = client
        .send_message_batch()
        .queue_url(&endpoint.queue)
        .entries(entry("1", "one"))
        .entries(entry("bad", "\u{1}"))
        .entries(entry("3", "three"));
    let sent = inside(&propagator).scope(batch.send()).await.unwrap();
    assert_eq!(sent.failed().iter().map(aws_sdk_sqs::types::BatchResultErrorEntry::id).collect::<Vec<_>>(), ["bad"]);
    assert_eq!(sent.successful().len(), 2);

    let seen = endpoint.seen();
    assert_eq!(seen.iter().map(|seen| seen.body.as_str()).collect::<Vec<_>>(), ["one", "three"]);
    for seen in &seen {
        assert_eq!((seen.get("traceparent"), seen.get("baggage")), (Some(PARENT), Some(BAGGAGE)));
    }
}

#[tokio::test]
async fn existing_context_is_kept_or_replaced() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    for (existing, expected) in [(ExistingContext::Keep, OTHER), (ExistingContext::Replace, PARENT)] {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()).existing(existing.clone()));
        let send = message(&client, &endpoint)
            .message_attributes("traceparent", string(OTHER))
            .message_attributes("baggage", string("tenant.id=green,secret=1"));
        inside(&propagator).scope(send.send()).await.unwrap();
        let seen = endpoint.one();
        assert_eq!(seen.get("traceparent"), Some(expected), "{existing:?}");
        // Existing baggage is released like any other: the policy allows only the tenant.
        let baggage = if existing == ExistingContext::Keep { "tenant.id=green" } else { BAGGAGE };
        assert_eq!(seen.get("baggage"), Some(baggage), "{existing:?}");
    }
}

#[tokio::test]
async fn invalid_context_is_replaced() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let send = message(&client, &endpoint)
        .message_attributes("traceparent", string("00-garbage"))
        .message_attributes("Tracestate", string("stale=1"));
    inside(&propagator).scope(send.send()).await.unwrap();
    let seen = endpoint.one();
    assert_eq!(seen.names(), ["baggage", "traceparent", "tracestate"], "one value a key, in whatever case it stood");
    assert_eq!(seen.get("traceparent"), Some(PARENT));
}

#[tokio::test]
async fn trace_header_agrees_with_the_written_trace() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let extended = format!("{XRAY};Lineage=a87bd80c:0");
    let foreign = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
    for (existing, header, parent, expected) in [
        (ExistingContext::Keep, foreign, OTHER, foreign),
        (ExistingContext::Replace, foreign, PARENT, XRAY),
        (ExistingContext::Replace, &extended, PARENT, &extended),
        (ExistingContext::Keep, "Root=1-nonsense", PARENT, XRAY),
    ] {
        let client = endpoint.client(SqsInterceptor::new(propagator.clone()).existing(existing.clone()));
        let send = message(&client, &endpoint).message_system_attributes(AwsTraceHeader, system(header));
        inside(&propagator).scope(send.send()).await.unwrap();
        let seen = endpoint.one();
        assert_eq!((seen.get("traceparent"), seen.header.as_deref()), (Some(parent), Some(expected)), "{header}");
    }
}

#[tokio::test]
async fn blocked_peer_gets_neither_attribute_nor_header() {
    use propagation_core::{OutboundRule, Policy, Propagator};
    let endpoint = Endpoint::start().await;
    let policy = Policy::builder().outbound(OutboundRule::peers(["sqs:orders"]).trace_context(false)).build().unwrap();
    let propagator = Propagator::builder().policy(policy).build();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let send = message(&client, &endpoint)
        .message_attributes("traceparent", string(OTHER))
        .message_attributes("mine", string("kept"))
        .message_system_attributes(AwsTraceHeader, system(XRAY));
    inside(&propagator).scope(send.send()).await.unwrap();
    let seen = endpoint.one();
    assert_eq!((seen.names(), seen.header.as_deref()), (vec!["mine"], None));
}

#[tokio::test]
async fn disabled_propagator_changes_no_request() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    propagator.set_enabled(false);
    let send = message(&client, &endpoint).message_attributes("traceparent", string(OTHER));
    inside(&propagator).scope(send.send()).await.unwrap();
    assert_eq!(endpoint.one().get("traceparent"), Some(OTHER));
    let message = receive(&client, &endpoint.queue).await.remove(0);
    assert_eq!((message.message_attributes(), message.attributes()), (None, None));
}

#[tokio::test]
async fn receiver_gets_its_own_attributes_and_the_context() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let send =
        message(&client, &endpoint).message_attributes("mine", string("1")).message_attributes("unasked", string("2"));
    inside(&propagator).scope(send.send()).await.unwrap();
    let received = client.receive_message().queue_url(&endpoint.queue).message_attribute_names("mine").send().await;
    let message = received.unwrap().messages.unwrap().remove(0);
    let mut names: Vec<&str> = message.message_attributes().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["baggage", "mine", "traceparent", "tracestate"]);
}

#[tokio::test]
async fn malformed_attributes_do_not_stop_a_consumer() {
    let endpoint = Endpoint::start().await;
    let (propagator, plain) = (propagator(), endpoint.plain());
    let consumer = ConsumerPropagation::new(propagator.clone(), &endpoint.queue);
    let commas = ",".repeat(900_000);
    let typed = |kind: &str| aws_sdk_sqs::types::MessageAttributeValue::builder().data_type(kind);
    let number = |kind: &str| typed(kind).string_value("7").build().unwrap();
    let blob = |bytes: &[u8]| {
        let blob = aws_sdk_sqs::primitives::Blob::new(bytes);
        typed("Binary").binary_value(blob).build().unwrap()
    };
    for (name, value) in [
        ("traceparent", string("garbage")),
        ("traceparent", string(&PARENT.to_uppercase())),
        ("traceparent", string(&format!("{PARENT}, {PARENT}"))),
        ("traceparent", string("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-\u{1F600}")),
        ("traceparent", blob(&[0xff, 0xfe, 0x00])),
        ("traceparent", number("Number")),
        ("traceparent", number("Number.int")),
        ("traceparent", typed("String.json").string_value("{}").build().unwrap()),
        ("tracestate", number("Number")),
        ("baggage", number("Number")),
        ("propagation-context", number("Number")),
        ("tracestate", string("\u{1F600}=1")),
        ("baggage", string(&commas)),
        ("baggage", blob(b"\xff=\xff")),
        ("propagation-context", string("no colon anywhere")),
        ("propagation-context", string(&commas)),
        ("propagation-context", blob(b"traceparent:")),
    ] {
        let send = message(&plain, &endpoint);
        send.message_attributes(name, value).send().await.unwrap();
        let message = receive_all(&plain, &endpoint.queue).await;
        let handled = consumer.process(&message, async { Ok::<_, ()>(propagator.current()) }).await.unwrap();
        assert!(!handled.trace.has_ids(), "{name}");
    }
    let malformed = propagator.counters().get(Direction::Inbound, RejectReason::Malformed);
    assert!(malformed >= 7, "{malformed}");
}

#[tokio::test]
async fn only_malformed_trace_headers_are_counted() {
    let endpoint = Endpoint::start().await;
    let (propagator, plain) = (propagator(), endpoint.plain());
    let consumer = ConsumerPropagation::new(propagator.clone(), &endpoint.queue);
    for (header, refused) in [("Self=1-67891234-12456789abcdef012345678", 0), ("Root=1-nonsense", 1)] {
        let send = message(&plain, &endpoint);
        let send = send.message_system_attributes(AwsTraceHeader, system(header));
        send.send().await.unwrap();
        let message = receive_all(&plain, &endpoint.queue).await;
        assert!(!consumer.extract(&message).context.trace.has_ids());
        assert_eq!(propagator.counters().get(Direction::Inbound, RejectReason::Malformed), refused, "{header}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_handlers_see_only_their_own_message() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let plain = endpoint.plain();
    let parent = |number: usize| format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-01", number + 1);
    for chunk in (0..50).collect::<Vec<_>>().chunks(10) {
        let batch = chunk.iter().fold(plain.send_message_batch().queue_url(&endpoint.queue), |batch, number| {
            let mut entry = entry(&number.to_string(), &number.to_string());
            entry.message_attributes = Some([("traceparent".to_owned(), string(&parent(*number)))].into());
            batch.entries(entry)
        });
        batch.send().await.unwrap();
    }
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let mut messages = Vec::new();
    while messages.len() < 50 {
        messages.extend(receive(&client, &endpoint.queue).await);
    }
    endpoint.seen();
    let next = endpoint.sqs.create_queue("next").unwrap();
    let handlers = messages.into_iter().map(|message| {
        let (consumer, client) = (ConsumerPropagation::new(propagator.clone(), &endpoint.queue), client.clone());
        let (propagator, next) = (propagator.clone(), next.clone());
        tokio::spawn(async move {
            let body = message.body().unwrap().to_owned();
            let handler = async {
                tokio::task::yield_now().await;
                client.send_message().queue_url(next).message_body(&body).send().await.map_err(|_| ())?;
                tokio::task::yield_now().await;
                Ok::<_, ()>(propagator.current())
            };
            let current = consumer.process(&message, handler).await.unwrap();
            assert_eq!(current.trace.parent.unwrap().to_string(), parent(body.parse().unwrap()));
            assert!(propagator.current().is_empty());
        })
    });
    for handled in join_all(handlers).await {
        handled.unwrap();
    }
    for seen in endpoint.seen() {
        assert_eq!(seen.get("traceparent"), Some(parent(seen.body.parse().unwrap()).as_str()));
    }
}
