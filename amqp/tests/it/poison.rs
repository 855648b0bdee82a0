//! Malformed headers of other producers, over a broker.

use std::collections::BTreeMap;

use lapin::{BasicProperties, options::BasicPublishOptions, types::AMQPValue};
use propagation_amqp::ConsumerPropagation;
use propagation_core::Propagator;

use crate::{
    carrier::every_type,
    shop::{PARENT, Shop, text},
};

const FORMATS: &str = "tracecontext,baggage,b3,b3multi,jaeger,xray,datadog,gcp,grpc-trace-bin";
/// At least one field name of each format.
const NAMES: [&str; 12] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-sampled",
    "uber-trace-id",
    "uberctx-user",
    "x-amzn-trace-id",
    "x-datadog-trace-id",
    "x-cloud-trace-context",
    "grpc-trace-bin",
];

/// Publishes without the adapter.
async fn publish(shop: &Shop, headers: impl IntoIterator<Item = (&'static str, AMQPValue)>) {
    let headers: BTreeMap<_, _> = headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
    let message = BasicProperties::default().with_headers(headers.into());
    let options = BasicPublishOptions::default();
    shop.channel.basic_publish("shop".into(), "paid".into(), options, b"{}", message).await.unwrap();
}

#[tokio::test]
async fn headers_of_any_type_do_not_stop_a_consumer() {
    let mut shop = Shop::open().await;
    let propagator = Propagator::builder().formats(FORMATS.parse().unwrap()).build();
    let consumer = ConsumerPropagation::new(propagator.clone(), "shipping");
    // A short string is the one that RabbitMQ's dialect of the protocol knows in no table.
    for value in every_type().into_iter().filter(|value| !matches!(value, AMQPValue::ShortString(_))) {
        publish(&shop, NAMES.map(|name| (name, value.clone()))).await;
        publish(&shop, [("traceparent", text(PARENT)), ("x-own", value.clone())]).await;

        let poisoned = shop.next().await;
        let admission = consumer.extract(&poisoned);
        assert!(admission.context.is_empty() && !admission.rejections.is_empty(), "{value:?}: {admission:?}");
        let handled = consumer.process(&poisoned, async { Ok::<_, ()>(propagator.current()) }).await.unwrap();
        assert!(handled.is_empty(), "{value:?}: {handled:?}");

        let next = shop.next().await;
        let handled = consumer.process(&next, async { Ok::<_, ()>(propagator.current()) }).await.unwrap();
        assert_eq!(handled.trace.parent.unwrap().to_string(), PARENT, "{value:?}");
    }
    assert!(shop.connection.status().connected());
}
