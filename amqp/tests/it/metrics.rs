//! Standard metrics of messages.

use std::collections::BTreeMap;

use lapin::{
    BasicProperties,
    options::{BasicAckOptions, BasicCancelOptions, BasicGetOptions, BasicPublishOptions},
};
use propagation_amqp::{ConsumerPropagation, ProducerPropagation};
use propagation_core::{NoBridge, Propagator};
use propagation_opentelemetry::metrics::HopMetrics;
use propagation_testkit::in_memory::InMemoryMetrics;

use crate::shop::Shop;

#[tokio::test]
async fn pushed_and_fetched_messages_are_counted_once() {
    let mut shop = Shop::open().await;
    let metrics = InMemoryMetrics::new();
    let propagator = Propagator::builder().bridge(HopMetrics::new(&metrics.meter("shop"), NoBridge)).build();
    let producer = ProducerPropagation::new(propagator.clone(), &shop.connection).with_exchange("shop", ["paid"]);
    let consumer = ConsumerPropagation::new(propagator.clone(), "shipping").with_exchange("shop", ["paid"]);
    let send = || {
        let (exchange, key, properties) = ("shop".into(), "paid".into(), BasicProperties::default());
        producer.publish(&shop.channel, exchange, key, BasicPublishOptions::default(), b"{}", properties)
    };
    send().await.unwrap();
    send().await.unwrap();
    for _ in 0..2 {
        let delivery = futures_util::StreamExt::next(&mut shop.messages).await.unwrap().unwrap();
        consumer.process(&delivery, async { Ok::<_, ()>(()) }).await.unwrap();
        consumer.ack(&delivery, BasicAckOptions::default()).await.unwrap();
    }
    let consumed = "messaging.client.consumed.messages";
    let place = "messaging.destination.name=shop:paid";
    let system = "messaging.system.name=rabbitmq";
    let process = format!("{place}:shipping messaging.operation.name=process {system}");
    assert_eq!(metrics.series(consumed), BTreeMap::from([(process.clone(), 2)]));

    shop.channel.basic_cancel("test".into(), BasicCancelOptions::default()).await.unwrap();
    send().await.unwrap();
    let fetched = consumer.get(&shop.channel, BasicGetOptions::default()).await.unwrap().unwrap();
    assert!(consumer.get(&shop.channel, BasicGetOptions::default()).await.unwrap().is_none());
    consumer.process(&fetched.delivery, async { Err::<(), _>(std::fmt::Error) }).await.unwrap_err();

    let receive = format!("messaging.destination.name=shipping messaging.operation.name=receive {system}");
    let expected = BTreeMap::from([(process.clone(), 2), (receive, 1)]);
    assert_eq!(metrics.series(consumed), expected, "nothing is counted for a queue that was empty");
    let failed = format!("error.type=core::fmt::Error {process}");
    assert_eq!(metrics.series("messaging.process.duration"), BTreeMap::from([(process, 2), (failed, 1)]));
    let sent = format!("{place} messaging.operation.name=send {system}");
    assert_eq!(metrics.series("messaging.client.sent.messages"), BTreeMap::from([(sent, 3)]));
    let operations = metrics.series("messaging.client.operation.duration");
    let count = |kind: &str| {
        let kind = format!("messaging.operation.type={kind} ");
        operations.iter().filter(|(labels, _)| labels.contains(&kind)).map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!((count("send"), count("receive"), count("settle")), (3, 2, 2));
}

#[tokio::test]
async fn messages_of_a_temporary_queue_are_counted_once() {
    let shop = Shop::open().await;
    shop.channel.basic_cancel("test".into(), BasicCancelOptions::default()).await.unwrap();
    let metrics = InMemoryMetrics::new();
    let propagator = Propagator::builder().bridge(HopMetrics::new(&metrics.meter("shop"), NoBridge)).build();
    let producer = ProducerPropagation::new(propagator.clone(), &shop.connection).with_exchange("shop", ["paid"]);
    // Its name is in no span and on no metric; receive and process spans name different destinations.
    let consumer = ConsumerPropagation::new(propagator, "shipping").with_exchange("shop", ["paid"]);
    let consumer = consumer.with_temporary_queue(true);
    let (exchange, key, properties) = ("shop".into(), "paid".into(), BasicProperties::default());
    producer.publish(&shop.channel, exchange, key, BasicPublishOptions::default(), b"{}", properties).await.unwrap();
    let fetched = consumer.get(&shop.channel, BasicGetOptions::default()).await.unwrap().unwrap();
    consumer.process(&fetched.delivery, async { Ok::<_, ()>(()) }).await.unwrap();
    let consumed = metrics.series("messaging.client.consumed.messages");
    assert_eq!(consumed.values().sum::<u64>(), 1, "{consumed:?}");
}

#[tokio::test]
async fn undeclared_routing_keys_make_no_series() {
    let shop = Shop::open().await;
    let metrics = InMemoryMetrics::new();
    let propagator = Propagator::builder().bridge(HopMetrics::new(&metrics.meter("shop"), NoBridge)).build();
    let producer = ProducerPropagation::new(propagator, &shop.connection)
        .with_exchange("shop", ["orders.*"])
        .with_queues(["shipping"]);
    for n in 0..20 {
        for (exchange, key) in [
            ("shop", format!("user-{n}@example.com")),
            ("shop", format!("orders.{n}")),
            ("", format!("amq.gen-{n}")),
            ("", format!("reply-{n}")),
            ("", "shipping".to_owned()),
        ] {
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let key = key.as_str().into();
            producer.publish(&shop.channel, exchange.into(), key, options, b"{}", properties).await.unwrap();
        }
    }
    let common = "messaging.operation.name=send messaging.system.name=rabbitmq";
    let series = |name: &str, more: &str| format!("messaging.destination.name={name} {more}{common}");
    let expected = [
        (series("shop", ""), 20),
        (series("shop", "messaging.destination.template=shop:orders.* "), 20),
        (series("amq.default", ""), 40),
        (series("shipping", ""), 20),
    ];
    assert_eq!(metrics.series("messaging.client.sent.messages"), BTreeMap::from(expected));
}
