use std::sync::{Arc, Mutex};

use lapin::{
    BasicProperties,
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions},
    types::FieldTable,
};
use opentelemetry::{
    KeyValue,
    trace::{SpanKind, Status},
};
use propagation_amqp::{ConsumerPropagation, ProducerPropagation, ServerAddress};
use propagation_core::{Hop, PropagationContext, SpanKind as Kind, TraceContext, messaging::ExistingContext};

use crate::shop::{PARENT, Shop, headers, text};

fn caller() -> PropagationContext {
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    context.baggage.set("tenant.id", "blue").unwrap();
    context.baggage.set("user.email", "anna").unwrap();
    context
}

async fn publish(shop: &Shop, producer: &ProducerPropagation, properties: BasicProperties) {
    let hop = shop.propagator.start(Hop::remote(Kind::Server, caller()).named("server"));
    let sent = producer.publish(
        &shop.channel,
        "shop".into(),
        "paid".into(),
        BasicPublishOptions::default(),
        b"{}",
        properties,
    );
    hop.scope(sent).await.unwrap();
}

#[tokio::test]
async fn message_carries_its_send_span_to_the_handler() {
    let mut shop = Shop::open().await;
    let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection).with_exchange("shop", ["paid"]);
    let own = BasicProperties::default()
        .with_message_id("m-1".into())
        .with_correlation_id("c-1".into())
        .with_headers([("x-own".into(), text("1"))].into_iter().collect::<std::collections::BTreeMap<_, _>>().into());
    publish(&shop, &producer, own).await;

    let delivery = shop.next().await;
    let seen = headers(&delivery.properties);
    let send = shop.span("send shop:paid");
    assert_eq!(seen["x-own"], "1");
    assert_eq!(seen["baggage"], "tenant.id=blue");
    assert!(seen["traceparent"].contains(&send.span_context.span_id().to_string()));
    assert_eq!(send.span_kind, SpanKind::Producer);

    let consumer = ConsumerPropagation::new(shop.propagator.clone(), "shipping").with_exchange("shop", ["paid"]);
    let propagator = shop.propagator.clone();
    let current = Arc::new(Mutex::new(None));
    let inside = Arc::clone(&current);
    let handled: Result<(), &str> = consumer
        .process(&delivery, async move {
            *inside.lock().unwrap() = Some(propagator.current());
            Err("no such address")
        })
        .await;
    assert!(handled.is_err());
    assert!(shop.propagator.current().is_empty(), "nothing leaks into the next message");

    let process = shop.span("process shop:paid:shipping");
    let current = current.lock().unwrap().take().unwrap();
    assert_eq!(current.baggage.get("tenant.id").as_deref(), Some("blue"));
    assert_eq!(current.trace.span_id().unwrap().to_string(), process.span_context.span_id().to_string());
    assert_eq!((process.span_kind.clone(), process.parent_span_id), (SpanKind::Consumer, send.span_context.span_id()));
    assert_eq!(
        process.links.iter().map(|link| link.span_context.span_id()).collect::<Vec<_>>(),
        [send.span_context.span_id()]
    );
    assert!(matches!(process.status, Status::Error { .. }));
    for attribute in [
        KeyValue::new("messaging.system.name", "rabbitmq"),
        KeyValue::new("messaging.operation.name", "process"),
        KeyValue::new("messaging.operation.type", "process"),
        KeyValue::new("messaging.destination.name", "shop:paid:shipping"),
        KeyValue::new("rabbitmq.destination.routing_key", "paid"),
        KeyValue::new("rabbitmq.message.delivery_tag", 1),
        KeyValue::new("messaging.message.id", "m-1"),
        KeyValue::new("messaging.message.conversation_id", "c-1"),
    ] {
        assert!(process.attributes.contains(&attribute), "{attribute:?}");
    }

    consumer.ack(&delivery, BasicAckOptions::default()).await.unwrap();
    let ack = shop.span("ack shop:paid:shipping");
    assert_eq!((ack.span_kind, ack.links.len()), (SpanKind::Client, 1));
}

#[tokio::test]
async fn existing_context_is_kept_unless_replaced() {
    let mut shop = Shop::open().await;
    let other = PARENT.replace("4bf9", "aaaa");
    for (existing, stays) in [(ExistingContext::Keep, true), (ExistingContext::Replace, false)] {
        let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection).existing(existing);
        let forwarded = [("traceparent".into(), text(&other)), ("baggage".into(), text("tenant.id=red,secret=1"))];
        let table = forwarded.into_iter().collect::<std::collections::BTreeMap<_, _>>().into();
        publish(&shop, &producer, BasicProperties::default().with_headers(table)).await;
        let delivery = shop.next().await;
        let seen = headers(&delivery.properties);
        assert_eq!(seen["traceparent"] == other, stays);
        assert_eq!(seen["baggage"], if stays { "tenant.id=red" } else { "tenant.id=blue" });
        if stays {
            let send = shop.span("send shop");
            assert_eq!(send.span_kind, SpanKind::Client);
            assert_eq!(
                send.links.iter().map(|link| link.span_context.trace_id().to_string()).collect::<Vec<_>>(),
                ["aaaa2f3577b34da6a3ce929d0e0e4736"]
            );
        }
    }
}

#[tokio::test]
async fn redelivered_message_has_the_same_context() {
    let mut shop = Shop::open().await;
    let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection);
    publish(&shop, &producer, BasicProperties::default()).await;
    let consumer = ConsumerPropagation::new(shop.propagator.clone(), "shipping");
    let first = shop.next().await;
    consumer.nack(&first, BasicNackOptions { requeue: true, multiple: false }).await.unwrap();
    let again = shop.next().await;
    assert!(again.redelivered);
    assert_eq!(consumer.extract(&first).context, consumer.extract(&again).context);
    let by_hand = propagation_amqp::DeliveryExt::extract(&first, &shop.propagator, "shipping").context;
    assert!(by_hand.trace.has_ids() && by_hand == consumer.extract(&first).context);
}

#[tokio::test]
async fn headers_at_the_frame_limit_keep_the_connection() {
    let mut shop = Shop::open().await;
    let limit = shop.connection.configuration().frame_max();
    let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection);
    // Grows the user's own header through every size at which something stops to fit.
    for size in (limit - 400..limit - 40).step_by(20) {
        let own = [("x-own".into(), text(&"x".repeat(size as usize)))];
        let table = own.into_iter().collect::<std::collections::BTreeMap<_, _>>().into();
        publish(&shop, &producer, BasicProperties::default().with_headers(table)).await;
        let delivery = shop.next().await;
        assert_eq!(headers(&delivery.properties)["x-own"].len(), size as usize);
    }
    assert!(shop.connection.status().connected());
}

#[tokio::test]
async fn failed_publish_returns_the_clients_error() {
    let shop = Shop::open().await;
    let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection);
    shop.channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let sent = producer.publish_confirmed(
        &shop.channel,
        "no such exchange".into(),
        "paid".into(),
        BasicPublishOptions::default(),
        b"{}",
        BasicProperties::default(),
    );
    assert!(sent.await.is_err());
    assert!(matches!(shop.span("send no such exchange").status, Status::Error { .. }));
    drop(shop.broker);
}

#[tokio::test]
async fn concurrent_handlers_see_only_their_own_message() {
    let mut shop = Shop::open().await;
    let propagator = shop.propagator.clone();
    let producer = ProducerPropagation::new(propagator.clone(), &shop.connection);
    let mut handlers = Vec::new();
    for _ in 0..50 {
        publish(&shop, &producer, BasicProperties::default()).await;
        let delivery = shop.next().await;
        let (consumer, propagator) = (ConsumerPropagation::new(propagator.clone(), "shipping"), propagator.clone());
        handlers.push(tokio::spawn(async move {
            let sent = headers(&delivery.properties)["traceparent"].clone();
            let hop = consumer.start(&delivery);
            let own = hop.context().trace.clone();
            assert_eq!(own.trace_id().unwrap().to_string(), sent[3..35]);
            hop.scope(async {
                for _ in 0..10 {
                    assert_eq!(propagator.current().trace, own);
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }));
    }
    for handler in handlers {
        handler.await.unwrap();
    }
}

#[tokio::test]
async fn generated_queue_is_in_no_span_name() {
    let shop = Shop::open().await;
    let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection);
    for queue in ["amq.gen-JzTY20BRgKO-HjmUJj0wLg", "amq.rabbitmq.reply-to.g1h2AA5yZXBseUAy"] {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        producer.publish(&shop.channel, "".into(), queue.into(), options, b"{}", properties).await.unwrap();
    }
    let send = shop.span("send amq.default");
    for key in ["messaging.destination.temporary", "messaging.destination.anonymous"] {
        assert!(send.attributes.contains(&KeyValue::new(key, true)), "{key}");
    }
    let declare = lapin::options::QueueDeclareOptions::default();
    shop.channel.queue_declare("replies-4711".into(), declare, FieldTable::default()).await.unwrap();
    let consumer = ConsumerPropagation::new(shop.propagator.clone(), "replies-4711").with_temporary_queue(true);
    consumer.get(&shop.channel, BasicGetOptions::default()).await.unwrap();
    let receive = shop.span("receive");
    assert!(receive.attributes.contains(&KeyValue::new("messaging.destination.temporary", true)));
    assert!(!format!("{:?}", receive.attributes).contains("replies"));
}

#[tokio::test]
async fn panic_in_a_handler_is_an_error_of_its_message() {
    fn panics() -> Result<(), ()> {
        panic!("on purpose")
    }
    let mut shop = Shop::open().await;
    let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection);
    publish(&shop, &producer, BasicProperties::default()).await;
    let delivery = shop.next().await;
    let consumer = ConsumerPropagation::new(shop.propagator.clone(), "shipping").with_exchange("shop", ["paid"]);
    let broken = consumer.process(&delivery, async { panics() });
    assert!(futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(broken)).await.is_err());
    let span = shop.span("process shop:paid:shipping");
    assert!(
        span.attributes.contains(&KeyValue::new("error.type", "panic")) && matches!(span.status, Status::Error { .. })
    );
}

#[tokio::test]
async fn sync_handler_runs_in_the_process_span() {
    let mut shop = Shop::open().await;
    let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection);
    publish(&shop, &producer, BasicProperties::default()).await;
    let delivery = shop.next().await;
    let consumer = ConsumerPropagation::new(shop.propagator.clone(), "shipping");
    let current = consumer.process_sync(&delivery, || Ok::<_, std::fmt::Error>(shop.propagator.current())).unwrap();
    let process = shop.span("process shop:shipping");
    assert_eq!(current.trace.span_id().unwrap().to_string(), process.span_context.span_id().to_string());
    assert_eq!(process.status, Status::Unset);

    consumer.process_sync(&delivery, || Err::<(), _>(std::fmt::Error)).unwrap_err();
    let failed = shop.spans("process shop:shipping").pop().unwrap();
    assert!(matches!(failed.status, Status::Error { .. }));
}

#[tokio::test]
async fn batch_span_links_to_every_message() {
    let mut shop = Shop::open().await;
    let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection).with_exchange("shop", ["paid"]);
    for _ in 0..2 {
        publish(&shop, &producer, BasicProperties::default().with_message_id("m-1".into())).await;
    }
    let deliveries = [shop.next().await, shop.next().await];
    let consumer = ConsumerPropagation::new(shop.propagator.clone(), "shipping").with_exchange("shop", ["paid"]);
    let propagator = shop.propagator.clone();
    let handler = async { Ok::<_, std::fmt::Error>(propagator.current()) };
    let current = consumer.process_batch(&deliveries, handler).await.unwrap();

    let process = shop.span("process shop:paid:shipping");
    assert_eq!(process.span_kind, SpanKind::Consumer);
    assert_eq!(current.trace.span_id().unwrap().to_string(), process.span_context.span_id().to_string());
    let sent = shop.spans("send shop:paid").into_iter().map(|span| span.span_context.span_id());
    let linked = process.links.iter().map(|link| link.span_context.span_id());
    assert_eq!(linked.collect::<Vec<_>>(), sent.collect::<Vec<_>>());
    let described = process.links.iter().map(|link| link.attributes.clone()).collect::<Vec<_>>();
    let tag = |tag: i64| KeyValue::new("rabbitmq.message.delivery_tag", tag);
    let id = KeyValue::new("messaging.message.id", "m-1");
    assert_eq!(described, [vec![tag(1), id.clone()], vec![tag(2), id]]);
    assert!(process.attributes.contains(&KeyValue::new("messaging.batch.message_count", 2)));
}

#[tokio::test]
async fn batch_of_several_routing_keys_is_named_by_its_queue() {
    let mut shop = Shop::open().await;
    let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection);
    for _ in 0..2 {
        publish(&shop, &producer, BasicProperties::default()).await;
    }
    let mut deliveries = [shop.next().await, shop.next().await];
    deliveries[1].routing_key = "refunded".into();
    let consumer = ConsumerPropagation::new(shop.propagator.clone(), "shipping");
    consumer.process_batch(&deliveries, async { Ok::<_, std::fmt::Error>(()) }).await.unwrap();
    let process = shop.span("process shipping");
    assert!(process.attributes.iter().all(|attribute| !attribute.key.as_str().ends_with("routing_key")));
}

#[tokio::test]
async fn spans_have_the_declared_server() {
    let mut shop = Shop::open().await;
    let uri: lapin::uri::AMQPUri = "amqp://user:secret@rabbitmq.example.com:5671/%2f".parse().unwrap();
    let producer = ProducerPropagation::new(shop.propagator.clone(), &shop.connection).with_server(&uri);
    let consumer = ConsumerPropagation::new(shop.propagator.clone(), "shipping")
        .with_server(ServerAddress::new("[2001:db8::1]", 5672));
    publish(&shop, &producer, BasicProperties::default()).await;
    let delivery = shop.next().await;
    consumer.process(&delivery, async { Ok::<_, ()>(()) }).await.unwrap();
    consumer.ack(&delivery, BasicAckOptions::default()).await.unwrap();
    for (name, host, port) in [
        ("send shop", "rabbitmq.example.com", 5671),
        ("process shop:shipping", "2001:db8::1", 5672),
        ("ack shop:shipping", "2001:db8::1", 5672),
    ] {
        let span = shop.span(name);
        for attribute in [KeyValue::new("server.address", host), KeyValue::new("server.port", port)] {
            assert!(span.attributes.contains(&attribute), "{name}: {attribute:?}");
        }
    }
}
