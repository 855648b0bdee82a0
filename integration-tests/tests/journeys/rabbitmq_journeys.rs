//! RabbitMQ's journeys, each with its exact tree and links.

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, Consumer, ExchangeKind,
    message::Delivery,
    options::{
        BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions, BasicRejectOptions,
        ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use propagation_amqp::{ConsumerPropagation, ProducerPropagation};
use propagation_core::{Peer, StoredContext};
use propagation_testkit::trace::{SpanKind, TraceGraph, Value, named, service};

use crate::{
    Failure, rabbitmq,
    service::{Request, Service},
    shop::{PATIENCE, Shop, TENANT},
};

/// One connection, with a channel in confirm mode.
struct Broker {
    connection: Connection,
    channel: Channel,
}

impl Broker {
    async fn open() -> Self {
        let connection = rabbitmq::connect().await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { connection, channel }
    }

    async fn queue(&self, shop: &Shop, name: &str, arguments: FieldTable) -> String {
        let name = shop.name(name);
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.as_str().into(), options, arguments).await.unwrap();
        name
    }

    fn producing(&self, service: &Service, queue: &str) -> ProducerPropagation {
        ProducerPropagation::new(service.propagator.clone(), &self.connection).with_queues([queue])
    }

    /// Publishes to a queue in the context that is current.
    async fn send(&self, service: &Service, queue: &str, properties: BasicProperties) -> Confirmation {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent = self.producing(service, queue);
        sent.publish_confirmed(&self.channel, "".into(), queue.into(), options, b"{}", properties).await.unwrap()
    }

    async fn consumer(&self, queue: &str) -> Consumer {
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        self.channel.basic_consume(queue.into(), "".into(), options, arguments).await.unwrap()
    }
}

fn request() -> Request {
    Request::sampled().baggage(TENANT, "acme")
}

fn consuming(service: &Service, queue: &str) -> ConsumerPropagation {
    ConsumerPropagation::new(service.propagator.clone(), queue)
}

fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

async fn next(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(PATIENCE, consumer.next()).await.expect("no message arrives").unwrap().unwrap()
}

/// Processes a message; the handler succeeds.
async fn handle(service: &Service, queue: &str, delivery: &Delivery) {
    let handler = async {
        let current = service.propagator.current();
        assert_eq!(current.baggage.get(TENANT).as_deref(), Some("acme"));
        Ok::<_, Failure>(())
    };
    consuming(service, queue).process(delivery, handler).await.unwrap();
}

async fn ack(service: &Service, queue: &str, delivery: &Delivery) {
    consuming(service, queue).ack(delivery, Default::default()).await.unwrap();
}

/// Processes a message; the handler fails.
async fn fail(service: &Service, queue: &str, delivery: &Delivery) {
    let handler = async { Err::<(), Failure>("declined".into()) };
    consuming(service, queue).process(delivery, handler).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn single_message() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let broker = Broker::open().await;
    let queue = broker.queue(&shop, "paid", FieldTable::default()).await;
    orders.on(&request(), broker.send(&orders, &queue, BasicProperties::default())).await;
    let delivery = next(&mut broker.consumer(&queue).await).await;
    handle(&billing, &queue, &delivery).await;
    ack(&billing, &queue, &delivery).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 billing · process paid [consumer]
        ↪ #2
        #4 billing · ack paid [client]
          ↪ #2
",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_of_500_messages() {
    const BATCH: usize = 500;
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let broker = Broker::open().await;
    let queue = broker.queue(&shop, "paid", FieldTable::default()).await;
    let sends = (0..BATCH).map(|_| broker.send(&orders, &queue, BasicProperties::default()));
    orders.on(&request(), futures_util::future::join_all(sends)).await;
    let mut consumer = broker.consumer(&queue).await;
    let mut batch = Vec::new();
    while batch.len() < BATCH {
        batch.push(next(&mut consumer).await);
    }
    consuming(&billing, &queue).process_batch(&batch, async { Ok::<_, Failure>(()) }).await.unwrap();
    // A request, 500 sends, and 4 process spans of at most 128 links.
    let graph = shop.spans(1 + BATCH + 4).await;
    assert_eq!(graph.len(), 1 + BATCH + 4);
    let processed: Vec<_> = graph.find(service("billing").kind(SpanKind::Consumer)).collect();
    let links = processed.iter().flat_map(|span| &span.links);
    let tags = links.map(|link| link.attributes.get("rabbitmq.message.delivery_tag"));
    let mut tags: Vec<i64> = tags.map(|tag| tag.and_then(Value::as_int).unwrap()).collect();
    tags.sort_unstable();
    assert!(tags.into_iter().eq(1..=500), "a link for each message, with its delivery tag");
    assert!(processed.iter().all(|span| span.links.len() <= 128 && span.trace_id == processed[0].trace_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_message_keeps_its_creation_context() {
    let shop = Shop::open().await;
    let (orders, billing, audit) = (shop.service("orders"), shop.service("billing"), shop.service("audit"));
    let broker = Broker::open().await;
    let paid = broker.queue(&shop, "paid", FieldTable::default()).await;
    let audited = broker.queue(&shop, "audited", FieldTable::default()).await;
    orders.on(&request(), broker.send(&orders, &paid, BasicProperties::default())).await;
    let delivery = next(&mut broker.consumer(&paid).await).await;
    let forward = async {
        broker.send(&billing, &audited, delivery.properties.clone()).await;
        Ok::<_, Failure>(())
    };
    consuming(&billing, &paid).process(&delivery, forward).await.unwrap();
    let delivery = next(&mut broker.consumer(&audited).await).await;
    handle(&audit, &audited, &delivery).await;
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

/// Retries from a queue of this type; returns the graph.
async fn retried_three_times(queue_type: &str) -> (Shop, TraceGraph) {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let broker = Broker::open().await;
    let queue = broker.queue(&shop, "paid", table(&[("x-queue-type", text(queue_type))])).await;
    orders.on(&request(), broker.send(&orders, &queue, BasicProperties::default())).await;
    let mut consumer = broker.consumer(&queue).await;
    for _ in 0..3 {
        let delivery = next(&mut consumer).await;
        fail(&billing, &queue, &delivery).await;
        let again = BasicNackOptions { requeue: true, multiple: false };
        consuming(&billing, &queue).nack(&delivery, again).await.unwrap();
    }
    let delivery = next(&mut consumer).await;
    assert!(delivery.redelivered);
    handle(&billing, &queue, &delivery).await;
    ack(&billing, &queue, &delivery).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 billing · process paid [consumer]
        ↪ #2
        #4 billing · ack paid [client]
          ↪ #2
      #5 billing · process paid [consumer] ✗ error
        ↪ #2
        #6 billing · nack paid [client]
          ↪ #2
      #7 billing · process paid [consumer] ✗ error
        ↪ #2
        #8 billing · nack paid [client]
          ↪ #2
      #9 billing · process paid [consumer] ✗ error
        ↪ #2
        #10 billing · nack paid [client]
          ↪ #2
",
    )
    .await;
    let graph = shop.spans(10).await;
    (shop, graph)
}

/// Returns the number of each delivery, sorted.
fn delivery_counts(graph: &TraceGraph) -> Vec<Option<i64>> {
    let processed = graph.find(service("billing").kind(SpanKind::Consumer));
    let counts = processed.map(|span| span.attribute("propagation.message.delivery_count").and_then(Value::as_int));
    let mut counts: Vec<_> = counts.collect();
    counts.sort_unstable();
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn message_of_a_classic_queue_is_retried() {
    let (_shop, graph) = retried_three_times("classic").await;
    assert_eq!(delivery_counts(&graph), [None; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn message_of_a_quorum_queue_counts_its_deliveries() {
    let (_shop, graph) = retried_three_times("quorum").await;
    // The first delivery has no count.
    assert_eq!(delivery_counts(&graph), [None, Some(2), Some(3), Some(4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_is_redriven_with_its_history() {
    let shop = Shop::open().await;
    let (orders, billing, operator) = (shop.service("orders"), shop.service("billing"), shop.service("operator"));
    let broker = Broker::open().await;
    let dead = broker.queue(&shop, "dead", FieldTable::default()).await;
    let to_dead = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead))];
    let paid = broker.queue(&shop, "paid", table(&to_dead)).await;
    orders.on(&request(), broker.send(&orders, &paid, BasicProperties::default())).await;
    let mut consumer = broker.consumer(&paid).await;
    let delivery = next(&mut consumer).await;
    fail(&billing, &paid, &delivery).await;
    consuming(&billing, &paid).reject(&delivery, BasicRejectOptions { requeue: false }).await.unwrap();
    let letter = next(&mut broker.consumer(&dead).await).await;
    let death = |delivery: &Delivery| {
        delivery.properties.headers().as_ref().and_then(|headers| headers.inner().get("x-death").cloned())
    };
    assert!(matches!(death(&letter), Some(AMQPValue::FieldArray(_))), "the broker notes why it died");
    let redrive = async {
        broker.send(&operator, &paid, letter.properties.clone()).await;
        Ok::<_, Failure>(())
    };
    consuming(&operator, &dead).process(&letter, redrive).await.unwrap();
    let again = next(&mut consumer).await;
    assert_eq!(death(&again), death(&letter), "the history survives the adapter");
    handle(&billing, &paid, &again).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 billing · process paid [consumer]
        ↪ #2
      #4 billing · process paid [consumer] ✗ error
        ↪ #2
        #5 billing · reject paid [client]
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
async fn unacknowledged_message_is_delivered_again() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let broker = Broker::open().await;
    let queue = broker.queue(&shop, "paid", FieldTable::default()).await;
    orders.on(&request(), broker.send(&orders, &queue, BasicProperties::default())).await;
    for _ in 0..2 {
        let away = Broker::open().await;
        handle(&billing, &queue, &next(&mut away.consumer(&queue).await).await).await;
        away.connection.close(200, "gone".into()).await.unwrap();
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
async fn fanout_exchange_reaches_two_queues_in_one_trace() {
    let shop = Shop::open().await;
    let (orders, billing, audit) = (shop.service("orders"), shop.service("billing"), shop.service("audit"));
    let broker = Broker::open().await;
    let exchange = shop.name("shop");
    let (options, none) = (ExchangeDeclareOptions::default(), FieldTable::default());
    let declared =
        broker.channel.exchange_declare(exchange.as_str().into(), ExchangeKind::Fanout, options, none.clone());
    declared.await.unwrap();
    let mut queues = Vec::new();
    for name in ["billing", "audit"] {
        let queue = broker.queue(&shop, name, none.clone()).await;
        let (options, exchange) = (QueueBindOptions::default(), exchange.as_str().into());
        broker.channel.queue_bind(queue.as_str().into(), exchange, "".into(), options, none.clone()).await.unwrap();
        queues.push(queue);
    }
    let sent = ProducerPropagation::new(orders.propagator.clone(), &broker.connection);
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let publish =
        sent.publish_confirmed(&broker.channel, exchange.as_str().into(), "paid".into(), options, b"{}", properties);
    orders.on(&request(), publish).await.unwrap();
    for (service, queue) in [&billing, &audit].into_iter().zip(&queues) {
        handle(service, queue, &next(&mut broker.consumer(queue).await).await).await;
    }
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send shop [producer]
      #3 audit · process shop:audit [consumer]
        ↪ #2
      #4 billing · process shop:billing [consumer]
        ↪ #2
",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_and_reply_share_a_conversation() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let broker = Broker::open().await;
    let quotes = broker.queue(&shop, "quotes", FieldTable::default()).await;
    // A queue whose name the broker generates, for this client alone.
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let replies = broker.channel.queue_declare("".into(), exclusive, FieldTable::default()).await.unwrap();
    let replies = replies.name().as_str().to_owned();
    let mut answers = broker.consumer(&replies).await;
    let asked = BasicProperties::default().with_correlation_id("quote-1".into()).with_reply_to(replies.as_str().into());
    orders.on(&request(), broker.send(&orders, &quotes, asked)).await;
    let delivery = next(&mut broker.consumer(&quotes).await).await;
    let reply = async {
        let to = delivery.properties.reply_to().clone().unwrap();
        let properties = BasicProperties::default();
        let properties = properties.with_correlation_id(delivery.properties.correlation_id().clone().unwrap());
        let sent = ProducerPropagation::new(billing.propagator.clone(), &broker.connection);
        let options = BasicPublishOptions::default();
        sent.publish_confirmed(&broker.channel, "".into(), to, options, b"{}", properties).await?;
        Ok::<_, Failure>(())
    };
    consuming(&billing, &quotes).process(&delivery, reply).await.unwrap();
    let answer = next(&mut answers).await;
    handle(&orders, &replies, &answer).await;
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send quotes [producer]
      #3 billing · process quotes [consumer]
        ↪ #2
        #4 billing · send amq.default [producer]
          #5 orders · process amq.default [consumer]
            ↪ #4
",
    )
    .await;
    let graph = shop.spans(5).await;
    let talks = graph.spans().filter(|span| span.name != "POST /orders");
    for span in talks {
        let conversation = span.attribute("messaging.message.conversation_id").and_then(Value::as_str);
        assert_eq!(conversation, Some("quote-1"), "{}", span.label());
    }
    for span in graph.find(named("send amq.default")).chain(graph.find(named("process amq.default"))) {
        assert_eq!(span.attribute("messaging.destination.temporary").and_then(Value::as_bool), Some(true));
        assert_eq!(span.attribute("messaging.destination.anonymous").and_then(Value::as_bool), Some(true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outbox_row_is_published_in_its_trace() {
    let shop = Shop::open().await;
    let (orders, relay, billing) = (shop.service("orders"), shop.service("relay"), shop.service("billing"));
    let broker = Broker::open().await;
    let queue = broker.queue(&shop, "paid", FieldTable::default()).await;
    let row = orders
        .on(&request(), async {
            let mut stored = StoredContext::new();
            orders.propagator.inject(&Peer::process("outbox"), &orders.propagator.current(), &mut stored);
            stored.to_string()
        })
        .await;
    let sent = broker.producing(&relay, &queue).with_stored(row.parse().unwrap());
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    sent.publish_confirmed(&broker.channel, "".into(), queue.as_str().into(), options, b"{}", properties)
        .await
        .unwrap();
    handle(&billing, &queue, &next(&mut broker.consumer(&queue).await).await).await;
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
async fn message_of_a_transaction_rolled_back_is_not_processed() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let broker = Broker::open().await;
    let queue = broker.queue(&shop, "paid", FieldTable::default()).await;
    let channel = broker.connection.create_channel().await.unwrap();
    channel.tx_select().await.unwrap();
    let sent = broker.producing(&orders, &queue);
    let transactions = async {
        for body in ["rolled back", "committed"] {
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let key = queue.as_str().into();
            sent.publish(&channel, "".into(), key, options, body.as_bytes(), properties).await.unwrap();
            match body {
                "committed" => channel.tx_commit().await.unwrap(),
                _ => channel.tx_rollback().await.unwrap(),
            }
        }
    };
    orders.on(&request(), transactions).await;
    let delivery = next(&mut broker.consumer(&queue).await).await;
    assert_eq!(delivery.data, b"committed");
    handle(&billing, &queue, &delivery).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn returned_message_is_an_error_of_its_send() {
    let shop = Shop::open().await;
    let orders = shop.service("orders");
    let broker = Broker::open().await;
    let nowhere = shop.name("nowhere");
    let returned = orders.on(&request(), broker.send(&orders, &nowhere, BasicProperties::default())).await;
    assert!(matches!(returned, Confirmation::Ack(Some(_))), "{returned:?}");
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send nowhere [producer] ✗ error
",
    )
    .await;
    let graph = shop.spans(2).await;
    let sent = graph.find(service("orders").kind(SpanKind::Producer)).next().unwrap();
    assert_eq!(sent.attribute("error.type").and_then(Value::as_str), Some("312"), "NO_ROUTE");
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_is_read_from_its_start_by_two_services() {
    let shop = Shop::open().await;
    let (orders, billing, audit) = (shop.service("orders"), shop.service("billing"), shop.service("audit"));
    let broker = Broker::open().await;
    let stream = broker.queue(&shop, "paid", table(&[("x-queue-type", text("stream"))])).await;
    let own = table(&[("x-own", AMQPValue::LongLongInt(7))]);
    orders.on(&request(), broker.send(&orders, &stream, BasicProperties::default().with_headers(own))).await;
    for service in [&billing, &audit] {
        let channel = broker.connection.create_channel().await.unwrap();
        channel.basic_qos(10, BasicQosOptions::default()).await.unwrap();
        let (options, from) = (BasicConsumeOptions::default(), table(&[("x-stream-offset", text("first"))]));
        let mut consumer = channel.basic_consume(stream.as_str().into(), "".into(), options, from).await.unwrap();
        let delivery = next(&mut consumer).await;
        handle(service, &stream, &delivery).await;
        ack(service, &stream, &delivery).await;
    }
    shop.assert_drawn(
        "\
trace 1
  #1 orders · POST /orders [server]
    #2 orders · send paid [producer]
      #3 audit · process paid [consumer]
        ↪ #2
        #4 audit · ack paid [client]
          ↪ #2
      #5 billing · process paid [consumer]
        ↪ #2
        #6 billing · ack paid [client]
          ↪ #2
",
    )
    .await;
}
