//! Kafka's journeys, each with its exact tree and links.

use std::time::Duration;

use propagation_core::{Peer, StoredContext};
use propagation_kafka::{ConsumerPropagation, ProducerPropagation};
use propagation_testkit::trace::{SpanKind, Value, service};
use rdkafka::{
    Message, Offset,
    consumer::{CommitMode, Consumer, StreamConsumer},
    message::{BorrowedMessage, OwnedMessage},
    producer::{FutureProducer, FutureRecord, Producer},
};

use crate::{
    Failure, kafka,
    service::{Request, Service},
    shop::{PATIENCE, Shop, TENANT},
};

/// Creates a topic of this run.
async fn topic(shop: &Shop, name: &str) -> String {
    let name = shop.name(name);
    kafka::create_topic(&name).await.unwrap();
    name
}

fn request() -> Request {
    Request::sampled().baggage(TENANT, "acme")
}

fn consumer(topic: &str, group: &str) -> StreamConsumer {
    let mut config = kafka::config();
    config.set("group.id", format!("{topic}-{group}")).set("auto.offset.reset", "earliest");
    config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "500").set("enable.auto.commit", "false");
    let consumer: StreamConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

fn consuming(service: &Service) -> ConsumerPropagation {
    ConsumerPropagation::new(service.propagator.clone())
}

fn producing(service: &Service) -> (FutureProducer, ProducerPropagation) {
    (kafka::config().create().unwrap(), ProducerPropagation::new(service.propagator.clone()))
}

/// Sends a record in the context that is current.
async fn send(service: &Service, topic: &str, body: &str) {
    let (producer, propagation) = producing(service);
    let record = FutureRecord::to(topic).key("4711").payload(body);
    propagation.send(&producer, record, PATIENCE).await.unwrap();
}

/// Forwards a record with the headers that it came with.
async fn forward(service: &Service, message: &BorrowedMessage<'_>, topic: &str) -> Result<(), Failure> {
    let (producer, propagation) = producing(service);
    let OwnedParts { headers, payload } = OwnedParts::of(message);
    let record = FutureRecord::<str, _> { headers, ..FutureRecord::to(topic).payload(&payload) };
    propagation.send(&producer, record, PATIENCE).await.map_err(|(error, _)| error)?;
    Ok(())
}

struct OwnedParts {
    headers: Option<rdkafka::message::OwnedHeaders>,
    payload: Vec<u8>,
}

impl OwnedParts {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let payload = message.payload().unwrap_or_default().to_vec();
        Self { headers: message.headers().map(rdkafka::message::BorrowedHeaders::detach), payload }
    }
}

async fn next(consumer: &StreamConsumer) -> BorrowedMessage<'_> {
    tokio::time::timeout(PATIENCE, consumer.recv()).await.expect("no record arrives").unwrap()
}

fn assert_tenant(service: &Service) {
    assert_eq!(service.propagator.current().baggage.get(TENANT).as_deref(), Some("acme"));
}

/// Processes a record; the handler succeeds.
async fn handle(service: &Service, message: &BorrowedMessage<'_>) {
    let handler = async {
        assert_tenant(service);
        Ok::<_, Failure>(())
    };
    consuming(service).process(message, handler).await.unwrap();
}

/// Processes a record; the handler fails.
async fn fail(service: &Service, message: &BorrowedMessage<'_>) {
    let handler = async { Err::<(), Failure>("declined".into()) };
    consuming(service).process(message, handler).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn single_record() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let topic = topic(&shop, "paid").await;
    orders.on(&request(), send(&orders, &topic, "1")).await;
    let consumer = consumer(&topic, "billing");
    let message = next(&consumer).await;
    handle(&billing, &message).await;
    consuming(&billing).commit(&consumer, &message, CommitMode::Sync).unwrap();
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 billing · process paid [consumer]
        ↪ #2
        #4 billing · commit paid [client]
          ↪ #2
",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_of_500_records() {
    const BATCH: usize = 500;
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let topic = topic(&shop, "paid").await;
    let (producer, propagation) = producing(&orders);
    let sends = async {
        let sends = (0..BATCH)
            .map(|_| propagation.send(&producer, FutureRecord::<str, str>::to(&topic).payload("{}"), PATIENCE));
        futures_util::future::try_join_all(sends).await.map_err(|(error, _)| error).unwrap();
    };
    orders.on(&request(), sends).await;
    let consumer = consumer(&topic, "billing");
    let mut batch: Vec<OwnedMessage> = Vec::new();
    while batch.len() < BATCH {
        batch.push(next(&consumer).await.detach());
    }
    let received = consuming(&billing).receive(&batch);
    received
        .scope(async {
            for message in &batch {
                consuming(&billing).process(message, async { Ok::<_, Failure>(()) }).await.unwrap();
            }
        })
        .await;
    received.end(&propagation_core::Outcome::Unset);
    // A request, 500 sends, 4 receive spans of at most 128 links, and 500 process spans.
    let graph = shop.spans(1 + BATCH + 4 + BATCH).await;
    assert_eq!(graph.len(), 1 + BATCH + 4 + BATCH);
    let (sent, processed) = (service("orders").kind(SpanKind::Producer), service("billing").kind(SpanKind::Consumer));
    graph.assert_each_link(processed.clone(), sent).assert_nothing_dropped();
    let receives: Vec<_> = graph.find(service("billing").kind(SpanKind::Client)).collect();
    let offsets = receives.iter().flat_map(|span| &span.links).map(|link| link.attributes.get("kafka.offset"));
    let mut offsets: Vec<i64> = offsets.map(|offset| offset.and_then(Value::as_int).unwrap()).collect();
    offsets.sort_unstable();
    assert!(offsets.into_iter().eq(0..500), "a link for each record, with its offset");
    assert!(receives.iter().all(|span| span.links.len() <= 128 && span.trace_id == receives[0].trace_id));
    assert_eq!(graph.find(processed).filter(|span| span.trace_id == receives[0].trace_id).count(), BATCH);
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_record_keeps_its_creation_context() {
    let shop = Shop::open().await;
    let (orders, billing, audit) = (shop.service("orders"), shop.service("billing"), shop.service("audit"));
    let (paid, audited) = (topic(&shop, "paid").await, topic(&shop, "audited").await);
    orders.on(&request(), send(&orders, &paid, "1")).await;
    let consumed = consumer(&paid, "billing");
    let message = next(&consumed).await;
    consuming(&billing).process(&message, forward(&billing, &message, &audited)).await.unwrap();
    let consumed = consumer(&audited, "audit");
    handle(&audit, &next(&consumed).await).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn record_is_retried_three_times() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let topic = topic(&shop, "paid").await;
    orders.on(&request(), send(&orders, &topic, "1")).await;
    let consumer = consumer(&topic, "billing");
    for _ in 0..3 {
        let message = next(&consumer).await;
        fail(&billing, &message).await;
        consumer.seek(&topic, message.partition(), Offset::Offset(message.offset()), Duration::from_secs(10)).unwrap();
    }
    let message = next(&consumer).await;
    handle(&billing, &message).await;
    consuming(&billing).commit(&consumer, &message, CommitMode::Sync).unwrap();
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 billing · process paid [consumer]
        ↪ #2
        #4 billing · commit paid [client]
          ↪ #2
      #5 billing · process paid [consumer] ✗ error
        ↪ #2
      #6 billing · process paid [consumer] ✗ error
        ↪ #2
      #7 billing · process paid [consumer] ✗ error
        ↪ #2
",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_is_redriven_in_its_trace() {
    let shop = Shop::open().await;
    let (orders, billing, operator) = (shop.service("orders"), shop.service("billing"), shop.service("operator"));
    let (paid, dead) = (topic(&shop, "paid").await, topic(&shop, "dead").await);
    orders.on(&request(), send(&orders, &paid, "1")).await;
    let consumed = consumer(&paid, "billing");
    let message = next(&consumed).await;
    let handler = async {
        forward(&billing, &message, &dead).await?;
        Err::<(), Failure>("declined".into())
    };
    consuming(&billing).process(&message, handler).await.unwrap_err();
    let letters = consumer(&dead, "operator");
    let letter = next(&letters).await;
    consuming(&operator).process(&letter, forward(&operator, &letter, &paid)).await.unwrap();
    handle(&billing, &next(&consumed).await).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 billing · process paid [consumer]
        ↪ #2
      #4 billing · process paid [consumer] ✗ error
        ↪ #2
        #5 billing · send dead [client]
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
async fn uncommitted_record_is_delivered_again() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let topic = topic(&shop, "paid").await;
    orders.on(&request(), send(&orders, &topic, "1")).await;
    for _ in 0..2 {
        let consumer = consumer(&topic, "billing");
        handle(&billing, &next(&consumer).await).await;
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
async fn two_groups_process_one_record() {
    let shop = Shop::open().await;
    let (orders, billing, audit) = (shop.service("orders"), shop.service("billing"), shop.service("audit"));
    let topic = topic(&shop, "paid").await;
    orders.on(&request(), send(&orders, &topic, "1")).await;
    for service in [&billing, &audit] {
        let consumer = consumer(&topic, service.name);
        handle(service, &next(&consumer).await).await;
    }
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 audit · process paid [consumer]
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
    let (asked, replies) = (topic(&shop, "quotes").await, topic(&shop, "replies").await);
    orders.on(&request(), send(&orders, &asked, "1")).await;
    let consumed = consumer(&asked, "billing");
    let message = next(&consumed).await;
    let reply = async {
        send(&billing, &replies, "2").await;
        Ok::<_, Failure>(())
    };
    consuming(&billing).process(&message, reply).await.unwrap();
    let consumed = consumer(&replies, "orders");
    handle(&orders, &next(&consumed).await).await;
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
    let topic = topic(&shop, "paid").await;
    let row = orders
        .on(&request(), async {
            let mut stored = StoredContext::new();
            orders.propagator.inject(&Peer::process("outbox"), &orders.propagator.current(), &mut stored);
            stored.to_string()
        })
        .await;
    let (producer, propagation) = producing(&relay);
    let record = FutureRecord::<str, str>::to(&topic).payload("1");
    propagation.with_stored(row.parse().unwrap()).send(&producer, record, PATIENCE).await.unwrap();
    let consumer = consumer(&topic, "billing");
    handle(&billing, &next(&consumer).await).await;
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
async fn record_of_an_aborted_transaction_is_not_processed() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let topic = topic(&shop, "paid").await;
    let mut config = kafka::config();
    let producer: FutureProducer = config.set("transactional.id", shop.name("orders")).create().unwrap();
    let propagation = ProducerPropagation::new(orders.propagator.clone());
    producer.init_transactions(PATIENCE).unwrap();
    let transactions = async {
        for body in ["aborted", "committed"] {
            producer.begin_transaction().unwrap();
            propagation.send(&producer, FutureRecord::<str, str>::to(&topic).payload(body), PATIENCE).await.unwrap();
            match body {
                "aborted" => producer.abort_transaction(PATIENCE).unwrap(),
                _ => producer.commit_transaction(PATIENCE).unwrap(),
            }
        }
    };
    orders.on(&request(), transactions).await;
    let consumer = consumer(&topic, "billing");
    let message = next(&consumer).await;
    assert_eq!(message.payload(), Some(&b"committed"[..]));
    handle(&billing, &message).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
    #3 orders · send paid [producer]
      #4 billing · process paid [consumer]
        ↪ #3
",
    )
    .await;
}
