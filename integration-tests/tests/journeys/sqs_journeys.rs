//! Journeys over SQS, each with its exact tree and links.

use aws_sdk_sqs::{
    Client,
    types::{
        DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, QueueAttributeName,
        SendMessageBatchRequestEntry,
    },
};
use propagation_core::{Peer, StoredContext};
use propagation_sqs::{ConsumerPropagation, SqsInterceptor};
use propagation_testkit::trace::{SpanKind, Value, named, service};

use crate::{
    Failure,
    service::{Request, Service},
    shop::{Shop, TENANT},
    sqs,
};

fn request() -> Request {
    Request::sampled().baggage(TENANT, "acme")
}

/// Returns a client of a service. Receive spans of polls are off: each would be a trace of its own.
fn client(service: &Service) -> Client {
    let interceptor = SqsInterceptor::new(service.propagator.clone()).with_receive_spans(false);
    Client::from_conf(sqs::config().interceptor(interceptor).build())
}

async fn queue(shop: &Shop, name: &str) -> String {
    sqs::create_queue(&sqs::plain(), &shop.name(name)).await.unwrap()
}

async fn send(service: &Service, queue: &str, body: &str) {
    client(service).send_message().queue_url(queue).message_body(body).send().await.unwrap();
}

/// Sends a message on with the attributes that it came with.
async fn forward(service: &Service, message: &Message, queue: &str) -> Result<(), Failure> {
    let send = client(service).send_message().queue_url(queue).message_body(message.body().unwrap_or_default());
    send.set_message_attributes(message.message_attributes.clone()).send().await?;
    Ok(())
}

async fn next(service: &Service, queue: &str) -> Message {
    for _ in 0..6 {
        let received = client(service).receive_message().queue_url(queue).wait_time_seconds(10);
        let received = received.visibility_timeout(60).send().await.unwrap();
        if let Some(message) = received.messages.unwrap_or_default().pop() {
            return message;
        }
    }
    panic!("no message arrives in {queue}");
}

async fn delete(service: &Service, queue: &str, message: &Message) {
    let handle = message.receipt_handle().unwrap();
    client(service).delete_message().queue_url(queue).receipt_handle(handle).send().await.unwrap();
}

/// Makes a message visible again at once.
async fn give_back(service: &Service, queue: &str, message: &Message) {
    let change = client(service).change_message_visibility().queue_url(queue).visibility_timeout(0);
    change.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
}

/// Processes a message; the handler succeeds.
async fn handle(service: &Service, queue: &str, message: &Message) {
    let handler = async {
        let current = service.propagator.current();
        assert_eq!(current.baggage.get(TENANT).as_deref(), Some("acme"));
        Ok::<_, Failure>(())
    };
    ConsumerPropagation::new(service.propagator.clone(), queue).process(message, handler).await.unwrap();
}

/// Processes a message; the handler fails.
async fn fail(service: &Service, queue: &str, message: &Message) {
    let handler = async { Err::<(), Failure>("declined".into()) };
    ConsumerPropagation::new(service.propagator.clone(), queue).process(message, handler).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn single_message() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let queue = queue(&shop, "paid").await;
    orders.on(&request(), send(&orders, &queue, "1")).await;
    let message = next(&billing, &queue).await;
    handle(&billing, &queue, &message).await;
    delete(&billing, &queue, &message).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 billing · process paid [consumer]
        ↪ #2
        #4 billing · delete paid [client]
          ↪ #2
",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_of_three_has_a_context_for_each_message() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let queue = queue(&shop, "paid").await;
    let entries = (0..3).map(|at| SendMessageBatchRequestEntry::builder().id(format!("e{at}")).message_body("{}"));
    let entries: Vec<_> = entries.map(|entry| entry.build().unwrap()).collect();
    let batch = client(&orders).send_message_batch().queue_url(&queue).set_entries(Some(entries));
    orders.on(&request(), batch.send()).await.unwrap();
    let mut handles = Vec::new();
    for _ in 0..3 {
        let message = next(&billing, &queue).await;
        handle(&billing, &queue, &message).await;
        handles.push(message.receipt_handle().unwrap().to_owned());
    }
    let entries = handles.iter().enumerate().map(|(at, handle)| {
        DeleteMessageBatchRequestEntry::builder().id(format!("e{at}")).receipt_handle(handle).build().unwrap()
    });
    let delete = client(&billing).delete_message_batch().queue_url(&queue).set_entries(Some(entries.collect()));
    delete.send().await.unwrap();
    shop.assert_drawn(
        "\
trace 1
  #1 billing · delete paid [client]
    ↪ #3
    ↪ #5
    ↪ #7
trace 2
  #2 orders · POST /orders [server]
    #3 orders · create paid [producer]
      #4 billing · process paid [consumer]
        ↪ #3
    #5 orders · create paid [producer]
      #6 billing · process paid [consumer]
        ↪ #5
    #7 orders · create paid [producer]
      #8 billing · process paid [consumer]
        ↪ #7
    #9 orders · send paid [client]
      ↪ #3
      ↪ #5
      ↪ #7
",
    )
    .await;
    let graph = shop.spans(9).await;
    let id = |value: Option<&Value>| value.and_then(Value::as_str).unwrap().to_owned();
    let mut created: Vec<_> =
        graph.find(named_of("create", &graph)).map(|span| id(span.attribute("messaging.message.id"))).collect();
    let settled = graph.find(service("billing").kind(SpanKind::Client)).next().unwrap();
    let mut deleted: Vec<_> =
        settled.links.iter().map(|link| id(link.attributes.get("messaging.message.id"))).collect();
    created.sort_unstable();
    deleted.sort_unstable();
    assert_eq!(created, deleted, "create spans and links have the ids of the response");
}

/// Selects by the first word of a name.
fn named_of(word: &str, graph: &propagation_testkit::trace::TraceGraph) -> propagation_testkit::trace::SpanSelector {
    let name = graph.spans().map(|span| span.name.as_str()).find(|name| name.starts_with(word)).unwrap();
    named(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_of_500_messages() {
    const BATCH: usize = 500;
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let queue = queue(&shop, "paid").await;
    let sender = client(&orders);
    let sends = async {
        for _ in 0..BATCH / 10 {
            let entries = (0..10).map(|at| SendMessageBatchRequestEntry::builder().id(format!("e{at}")));
            let entries = entries.map(|entry| entry.message_body("{}").build().unwrap()).collect();
            sender.send_message_batch().queue_url(&queue).set_entries(Some(entries)).send().await.unwrap();
        }
    };
    orders.on(&request(), sends).await;
    let mut batch = Vec::new();
    while batch.len() < BATCH {
        let received = client(&billing).receive_message().queue_url(&queue).max_number_of_messages(10);
        let received = received.visibility_timeout(300).wait_time_seconds(10).send().await.unwrap();
        assert!(!received.messages().is_empty(), "{} of {BATCH} arrive", batch.len());
        batch.extend(received.messages.unwrap_or_default());
    }
    let consumer = ConsumerPropagation::new(billing.propagator.clone(), &queue);
    consumer.process_batch(&batch, async { Ok::<_, Failure>(()) }).await.unwrap();
    // A request, 50 sends, 500 create spans, and 4 process spans of at most 128 links.
    let graph = shop.spans(1 + 50 + BATCH + 4).await;
    assert_eq!(graph.len(), 1 + 50 + BATCH + 4);
    let processed: Vec<_> = graph.find(service("billing").kind(SpanKind::Consumer)).collect();
    let ids = processed.iter().flat_map(|span| &span.links).map(|link| link.attributes.get("messaging.message.id"));
    let ids: std::collections::HashSet<_> = ids.map(|id| id.and_then(Value::as_str).unwrap().to_owned()).collect();
    assert_eq!(ids.len(), BATCH, "a link for each message, with its id");
    assert!(processed.iter().all(|span| span.links.len() <= 128));
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_message_keeps_its_creation_context() {
    let shop = Shop::open().await;
    let (orders, billing, audit) = (shop.service("orders"), shop.service("billing"), shop.service("audit"));
    let (paid, audited) = (queue(&shop, "paid").await, queue(&shop, "audited").await);
    orders.on(&request(), send(&orders, &paid, "1")).await;
    let message = next(&billing, &paid).await;
    let consumer = ConsumerPropagation::new(billing.propagator.clone(), &paid);
    consumer.process(&message, forward(&billing, &message, &audited)).await.unwrap();
    handle(&audit, &audited, &next(&audit, &audited).await).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 audit · process audited [consumer]
        ↪ #2
      #4 billing · process paid [consumer]
        ↪ #2
        #5 billing · send audited [client]
          ↪ #2
",
    )
    .await;
}

const RETRIED: &str = "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 billing · process paid [consumer]
        ↪ #2
        #4 billing · delete paid [client]
          ↪ #2
      #5 billing · process paid [consumer] ✗ error
        ↪ #2
        #6 billing · change_visibility paid [client]
          ↪ #2
      #7 billing · process paid [consumer] ✗ error
        ↪ #2
        #8 billing · change_visibility paid [client]
          ↪ #2
      #9 billing · process paid [consumer] ✗ error
        ↪ #2
        #10 billing · change_visibility paid [client]
          ↪ #2
";

#[tokio::test(flavor = "multi_thread")]
async fn message_is_retried_three_times() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let queue = queue(&shop, "paid").await;
    orders.on(&request(), send(&orders, &queue, "1")).await;
    for _ in 0..3 {
        let message = next(&billing, &queue).await;
        fail(&billing, &queue, &message).await;
        give_back(&billing, &queue, &message).await;
    }
    let message = next(&billing, &queue).await;
    handle(&billing, &queue, &message).await;
    delete(&billing, &queue, &message).await;
    shop.assert_drawn(RETRIED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_is_redriven_in_its_trace() {
    let shop = Shop::open().await;
    let (orders, billing, operator) = (shop.service("orders"), shop.service("billing"), shop.service("operator"));
    let plain = sqs::plain();
    let dead = queue(&shop, "dead").await;
    let arn = plain.get_queue_attributes().queue_url(&dead).attribute_names(QueueAttributeName::QueueArn);
    let arn = arn.send().await.unwrap().attributes.unwrap().remove(&QueueAttributeName::QueueArn).unwrap();
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"1"}}"#);
    let create = plain.create_queue().queue_name(shop.name("paid"));
    let paid = create.attributes(QueueAttributeName::RedrivePolicy, policy).send().await.unwrap().queue_url.unwrap();
    orders.on(&request(), send(&orders, &paid, "1")).await;
    let message = next(&billing, &paid).await;
    fail(&billing, &paid, &message).await;
    give_back(&billing, &paid, &message).await;
    // The queue moves it away at the next receive.
    plain.receive_message().queue_url(&paid).wait_time_seconds(1).send().await.unwrap();
    let letter = next(&operator, &dead).await;
    let consumer = ConsumerPropagation::new(operator.propagator.clone(), &dead);
    consumer.process(&letter, forward(&operator, &letter, &paid)).await.unwrap();
    handle(&billing, &paid, &next(&billing, &paid).await).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 billing · process paid [consumer]
        ↪ #2
      #4 billing · process paid [consumer] ✗ error
        ↪ #2
        #5 billing · change_visibility paid [client]
          ↪ #2
      #6 operator · process dead [consumer]
        ↪ #2
        #7 operator · send paid [client]
          ↪ #2
",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_is_not_deleted_is_delivered_again() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let queue = queue(&shop, "paid").await;
    orders.on(&request(), send(&orders, &queue, "1")).await;
    for _ in 0..2 {
        let receive = client(&billing).receive_message().queue_url(&queue).wait_time_seconds(10).visibility_timeout(1);
        let message = receive.send().await.unwrap().messages.unwrap_or_default().pop().expect("it is visible again");
        handle(&billing, &queue, &message).await;
    }
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 billing · process paid [consumer]
        ↪ #2
      #4 billing · process paid [consumer]
        ↪ #2
",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_and_reply_are_one_trace() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let (asked, replies) = (queue(&shop, "quotes").await, queue(&shop, "replies").await);
    let to = MessageAttributeValue::builder().data_type("String").string_value(&replies).build().unwrap();
    let ask = client(&orders).send_message().queue_url(&asked).message_body("1").message_attributes("reply-to", to);
    orders.on(&request(), ask.send()).await.unwrap();
    let message = next(&billing, &asked).await;
    let reply = async {
        send(&billing, &replies, "2").await;
        Ok::<_, Failure>(())
    };
    ConsumerPropagation::new(billing.propagator.clone(), &asked).process(&message, reply).await.unwrap();
    handle(&orders, &replies, &next(&orders, &replies).await).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send quotes [producer]
      #3 billing · process quotes [consumer]
        ↪ #2
        #4 billing · send replies [producer]
          #5 orders · process replies [consumer]
            ↪ #4
",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outbox_row_is_published_in_its_trace() {
    let shop = Shop::open().await;
    let (orders, relay, billing) = (shop.service("orders"), shop.service("relay"), shop.service("billing"));
    let queue = queue(&shop, "paid").await;
    let row = orders
        .on(&request(), async {
            let mut stored = StoredContext::new();
            orders.propagator.inject(&Peer::process("outbox"), &orders.propagator.current(), &mut stored);
            stored.to_string()
        })
        .await;
    let interceptor = SqsInterceptor::new(relay.propagator.clone()).with_stored(row.parse().unwrap());
    let send = client(&relay).send_message().queue_url(&queue).message_body("1");
    send.customize().interceptor(interceptor).send().await.unwrap();
    handle(&billing, &queue, &next(&billing, &queue).await).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 billing · process paid [consumer]
      ↪ #1
trace 2
  #3 relay · send paid [client]
    ↪ #1
",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifo_queue_keeps_order_and_contexts() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let create = sqs::plain().create_queue().queue_name(format!("{}.fifo", shop.name("paid")));
    let create = create.attributes(QueueAttributeName::FifoQueue, "true");
    let queue = create.send().await.unwrap().queue_url.unwrap();
    for body in ["1", "2", "3"] {
        let send = client(&orders).send_message().queue_url(&queue).message_body(body);
        let send = send.message_group_id("order-4711").message_deduplication_id(body);
        orders.on(&request(), send.send()).await.unwrap();
    }
    for body in ["1", "2", "3"] {
        let message = next(&billing, &queue).await;
        assert_eq!(message.body(), Some(body));
        handle(&billing, &queue, &message).await;
        delete(&billing, &queue, &message).await;
    }
    let graph = shop.spans(12).await;
    assert_eq!((graph.len(), graph.traces().len()), (12, 3));
    let (sent, processed) = (service("orders").kind(SpanKind::Producer), service("billing").kind(SpanKind::Consumer));
    graph.assert_each_edge(sent.clone(), processed.clone()).assert_each_link(processed, sent);
}
