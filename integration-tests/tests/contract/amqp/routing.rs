//! Routing, returned messages and publisher confirms.

use lapin::{
    BasicProperties, Channel, Confirmation, ExchangeKind,
    options::{
        BasicPublishOptions, ExchangeBindOptions, ExchangeDeclareOptions, QueueDeclareOptions, QueuePurgeOptions,
    },
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    bind, body, close, confirming, connect, consume, declare, declare_exchange, declare_shared, delete,
    delete_exchange, get, get_soon, next, nothing_comes, open, publish, send,
};

pub(crate) async fn the_default_exchange_leads_to_the_queue_of_that_name(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let (one, other) = (declare(&channel, FieldTable::default()).await, declare(&channel, FieldTable::default()).await);
    confirming(&channel).await;
    send(&channel, &one, b"hello").await;
    assert_eq!(body(&get_soon(&channel, &one).await), "hello");
    assert!(get(&channel, &other).await.is_none());
    close(connection).await;
}

pub(crate) async fn direct_fanout_and_topic_exchanges_choose_by_binding(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    for (kind, binding, matching, other) in [
        (ExchangeKind::Direct, "a.b", "a.b", Some("a.c")),
        (ExchangeKind::Fanout, "a.b", "z", None),
        (ExchangeKind::Topic, "a.*", "a.b", Some("a.b.c")),
        (ExchangeKind::Topic, "a.#", "a", Some("b.a")),
        (ExchangeKind::Topic, "#.b", "a.a.b", Some("a.b.a")),
    ] {
        let exchange = declare_exchange(&channel, kind).await;
        let queue = declare(&channel, FieldTable::default()).await;
        bind(&channel, &queue, &exchange, binding).await;
        // Twice the same binding is one binding.
        bind(&channel, &queue, &exchange, binding).await;
        if let Some(other) = other {
            let properties = BasicProperties::default();
            publish(&channel, &exchange, other, b"other", properties).await;
        }
        let properties = BasicProperties::default();
        publish(&channel, &exchange, matching, b"matching", properties).await;
        let delivery = get_soon(&channel, &queue).await;
        assert_eq!(body(&delivery), "matching", "{binding} {matching}");
        assert_eq!(delivery.exchange, exchange);
        assert_eq!(delivery.routing_key.as_str(), matching);
        assert!(get(&channel, &queue).await.is_none(), "comes once");
        delete_exchange(&channel, &exchange).await;
    }
    close(connection).await;
}

pub(crate) async fn an_exchange_bound_to_another_passes_messages_on_once(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let first = declare_exchange(&channel, ExchangeKind::Topic).await;
    let second = declare_exchange(&channel, ExchangeKind::Fanout).await;
    let queue = declare(&channel, FieldTable::default()).await;
    for (destination, source) in [(&second, &first), (&first, &second)] {
        channel
            .exchange_bind(
                destination.clone(),
                source.clone(),
                "#".into(),
                ExchangeBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .expect("binds");
    }
    bind(&channel, &queue, &first, "#").await;
    bind(&channel, &queue, &second, "#").await;
    publish(&channel, &first, "k", b"on", BasicProperties::default()).await;
    let delivery = get_soon(&channel, &queue).await;
    assert_eq!(body(&delivery), "on");
    assert_eq!(delivery.exchange, first, "the one it was published to");
    assert!(get(&channel, &queue).await.is_none(), "comes once");
    delete_exchange(&channel, &first).await;
    delete_exchange(&channel, &second).await;
    close(connection).await;
}

pub(crate) async fn an_unbound_queue_gets_nothing_more(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let exchange = declare_exchange(&channel, ExchangeKind::Direct).await;
    let queue = declare(&channel, FieldTable::default()).await;
    bind(&channel, &queue, &exchange, "a").await;
    bind(&channel, &queue, &exchange, "b").await;
    for _ in 0..2 {
        // The second time there is nothing to unbind, and nothing wrong with that.
        channel
            .queue_unbind(queue.clone(), exchange.clone(), "a".into(), FieldTable::default())
            .await
            .expect("unbinds");
    }
    publish(&channel, &exchange, "a", b"a", BasicProperties::default()).await;
    publish(&channel, &exchange, "b", b"b", BasicProperties::default()).await;
    assert_eq!(body(&get_soon(&channel, &queue).await), "b");
    assert!(get(&channel, &queue).await.is_none());
    delete_exchange(&channel, &exchange).await;
    close(connection).await;
}

pub(crate) async fn a_server_named_queue_can_be_used_by_its_name(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let mut names = Vec::new();
    for _ in 0..2 {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.expect("declares a queue");
        names.push(queue.name().clone());
    }
    let [one, other] = [&names[0], &names[1]];
    assert!(one.as_str().starts_with("amq.gen-"), "{one}");
    assert_ne!(one, other);
    send(&channel, one, b"one").await;
    assert_eq!(body(&get_soon(&channel, one).await), "one");
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let again = channel.queue_declare(other.clone(), passive, FieldTable::default()).await.expect("is there");
    assert_eq!((again.name(), again.message_count()), (other, 0));
    close(connection).await;
}

pub(crate) async fn purge_and_delete_say_how_much_was_lost(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let queue = declare_shared(&channel).await;
    for _ in 0..3 {
        send(&channel, &queue, b"").await;
    }
    let purged = channel.queue_purge(queue.clone(), QueuePurgeOptions::default()).await.expect("purges");
    assert_eq!(purged, 3);
    send(&channel, &queue, b"").await;
    assert_eq!(delete(&channel, &queue).await, 1);
    assert_eq!(delete(&channel, &queue).await, 0, "again, and no error");
    close(connection).await;
}

/// Publishes through the default exchange, and waits for the broker to take the message, or to hand it back.
async fn acknowledged(
    channel: &Channel,
    queue: ShortString,
    options: BasicPublishOptions,
    payload: &[u8],
    properties: BasicProperties,
) -> Confirmation {
    let confirm = channel.basic_publish("".into(), queue, options, payload, properties).await.expect("publishes");
    let confirmation = confirm.await.expect("is confirmed");
    assert!(confirmation.is_ack());
    confirmation
}

pub(crate) async fn unroutable_mandatory_message_is_returned_and_confirmed(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), AMQPValue::LongString("00-".into()));
    let properties = BasicProperties::default().with_headers(headers);
    let nowhere: ShortString = super::unique("nowhere");
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirmation = acknowledged(&channel, nowhere.clone(), options, b"back", properties.clone()).await;
    let returned = confirmation.take_message().expect("came back");
    assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
    let error = returned.error().expect("is an error");
    assert_eq!(error.kind(), &AMQPErrorKind::Soft(AMQPSoftError::NOROUTE));
    assert_eq!(returned.delivery.properties, properties);
    assert_eq!(body(&returned.delivery), "back");
    assert_eq!(returned.delivery.routing_key, nowhere);

    // A routable message is not returned.
    let queue = declare(&channel, FieldTable::default()).await;
    let confirmation = acknowledged(&channel, queue, options, b"", properties).await;
    assert_eq!(confirmation.take_message(), None);
    close(connection).await;
}

pub(crate) async fn unroutable_message_is_only_confirmed(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let confirmation = acknowledged(&channel, super::unique("nowhere"), options, b"lost", properties).await;
    assert_eq!(confirmation.take_message(), None);
    close(connection).await;
}

pub(crate) async fn every_publish_on_a_confirming_channel_is_confirmed(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare(&channel, FieldTable::default()).await;
    // Not confirmed, and not counted: this channel did not ask yet.
    send(&channel, &queue, b"before").await;
    confirming(&channel).await;
    let mut pending = Vec::new();
    for number in 0..50u8 {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        let confirm =
            channel.basic_publish("".into(), queue.clone(), options, &[number], properties).await.expect("publishes");
        pending.push(confirm);
    }
    for confirm in pending {
        assert!(confirm.await.expect("is confirmed").is_ack());
    }
    let mut consumer = consume(&channel, &queue).await;
    assert_eq!(body(&next(&mut consumer).await), "before");
    for number in 0..50u8 {
        assert_eq!(next(&mut consumer).await.data, [number], "in order");
    }
    nothing_comes(&mut consumer).await;
    // A predeclared exchange is there without being declared.
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare("amq.topic".into(), ExchangeKind::Topic, passive, FieldTable::default())
        .await
        .expect("is there");
    close(connection).await;
}
