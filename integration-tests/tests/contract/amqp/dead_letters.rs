//! The headers of dead letters.

use std::time::{SystemTime, UNIX_EPOCH};

use lapin::{
    BasicProperties, Channel, ExchangeKind,
    options::{BasicCancelOptions, BasicRejectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldArray, FieldTable, ShortString},
};

use super::{
    bind, body, close, connect, consume, declare, declare_exchange, delete_exchange, get_soon, next, open, publish,
};

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// A queue whose dead letters go to `exchange`.
async fn declare_mortal(
    channel: &Channel,
    exchange: &str,
    key: Option<&str>,
    more: &[(&str, AMQPValue)],
) -> ShortString {
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), text(exchange));
    if let Some(key) = key {
        arguments.insert("x-dead-letter-routing-key".into(), text(key));
    }
    for (name, value) in more {
        arguments.insert((*name).into(), value.clone());
    }
    declare(channel, arguments).await
}

async fn reject(channel: &Channel, queue: &ShortString) {
    let mut consumer = consume(channel, queue).await;
    let delivery = next(&mut consumer).await;
    delivery.reject(BasicRejectOptions { requeue: false }).await.expect("rejects");
    channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await.expect("cancels");
}

fn headers(properties: &BasicProperties) -> &FieldTable {
    properties.headers().as_ref().expect("has headers")
}

fn deaths(properties: &BasicProperties) -> Vec<FieldTable> {
    let deaths = headers(properties).inner().get("x-death");
    let deaths = deaths.and_then(AMQPValue::as_array).expect("is an array");
    let tables = deaths.as_slice().iter().map(|death| {
        let table = death.as_field_table().expect("is a table");
        table.clone()
    });
    tables.collect()
}

/// Removes the time of a death after checking it, so that the rest can be compared.
fn timeless(death: &FieldTable) -> FieldTable {
    let mut entries = death.inner().clone();
    let time = entries.remove("time").expect("has a time");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("is after 1970");
    let age = now.as_secs().abs_diff(time.as_timestamp().expect("is a timestamp"));
    assert!(age <= 60, "seconds, and about now: {time:?}");
    entries.into()
}

fn death(count: i64, reason: &str, queue: &ShortString, exchange: &str, key: &str) -> FieldTable {
    let mut death = FieldTable::default();
    let keys = FieldArray::from(vec![text(key)]);
    death.insert("count".into(), AMQPValue::LongLongInt(count));
    death.insert("reason".into(), text(reason));
    death.insert("queue".into(), text(queue.as_str()));
    death.insert("exchange".into(), text(exchange));
    death.insert("routing-keys".into(), AMQPValue::FieldArray(keys));
    death
}

pub(crate) async fn a_rejected_message_carries_its_death(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let exchange = declare_exchange(&channel, ExchangeKind::Direct).await;
    let graves = declare_exchange(&channel, ExchangeKind::Fanout).await;
    let grave = declare(&channel, FieldTable::default()).await;
    bind(&channel, &grave, &graves, "").await;
    let queue = declare_mortal(&channel, graves.as_str(), None, &[]).await;
    bind(&channel, &queue, &exchange, "key").await;

    let properties = BasicProperties::default().with_message_id("id".into());
    publish(&channel, &exchange, "key", b"body", properties).await;
    reject(&channel, &queue).await;

    let dead = get_soon(&channel, &grave).await;
    assert_eq!(body(&dead), "body");
    assert_eq!((&dead.exchange, dead.routing_key.as_str()), (&graves, "key"));
    assert!(!dead.redelivered);
    assert_eq!(dead.properties.message_id(), &Some("id".into()));
    let expected = [death(1, "rejected", &queue, exchange.as_str(), "key")];
    let deaths: Vec<_> = deaths(&dead.properties).iter().map(timeless).collect();
    assert_eq!(deaths, expected);
    let headers = headers(&dead.properties).inner();
    assert_eq!(headers.len(), 4, "{headers:?}");
    assert_eq!(headers.get("x-first-death-reason"), Some(&text("rejected")));
    assert_eq!(headers.get("x-first-death-queue"), Some(&text(queue.as_str())));
    assert_eq!(headers.get("x-first-death-exchange"), Some(&text(exchange.as_str())));
    delete_exchange(&channel, &exchange).await;
    delete_exchange(&channel, &graves).await;
    close(connection).await;
}

pub(crate) async fn a_second_death_in_the_same_queue_counts_up(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let grave = declare(&channel, FieldTable::default()).await;
    let queue = declare_mortal(&channel, "", Some(grave.as_str()), &[]).await;
    let nowhere = "".into();
    publish(&channel, &nowhere, queue.as_str(), b"", BasicProperties::default()).await;
    reject(&channel, &queue).await;
    let first = get_soon(&channel, &grave).await;
    assert_eq!(first.routing_key, grave);
    // It is published again, as by a retry.
    publish(&channel, &nowhere, queue.as_str(), b"", first.properties.clone()).await;
    reject(&channel, &queue).await;
    let second = get_soon(&channel, &grave).await;
    let deaths: Vec<_> = deaths(&second.properties).iter().map(timeless).collect();
    assert_eq!(deaths, [death(2, "rejected", &queue, "", queue.as_str())]);
    close(connection).await;
}

pub(crate) async fn a_death_in_another_queue_comes_first_in_the_list(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let grave = declare(&channel, FieldTable::default()).await;
    let second = declare_mortal(&channel, "", Some(grave.as_str()), &[]).await;
    let first = declare_mortal(&channel, "", Some(second.as_str()), &[]).await;
    let properties = BasicProperties::default();
    publish(&channel, &"".into(), first.as_str(), b"", properties).await;
    reject(&channel, &first).await;
    reject(&channel, &second).await;
    let dead = get_soon(&channel, &grave).await;
    let expected =
        [death(1, "rejected", &second, "", second.as_str()), death(1, "rejected", &first, "", first.as_str())];
    let deaths: Vec<_> = deaths(&dead.properties).iter().map(timeless).collect();
    assert_eq!(deaths, expected);
    let headers = headers(&dead.properties).inner();
    assert_eq!(headers.get("x-first-death-queue"), Some(&text(first.as_str())));
    close(connection).await;
}

pub(crate) async fn a_message_that_expires_loses_its_expiration(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let grave = declare(&channel, FieldTable::default()).await;
    let queue = declare_mortal(&channel, "", Some(grave.as_str()), &[]).await;
    let properties = BasicProperties::default().with_expiration("1".into()).with_app_id("app".into());
    publish(&channel, &"".into(), queue.as_str(), b"late", properties).await;
    let dead = get_soon(&channel, &grave).await;
    assert_eq!(body(&dead), "late");
    assert_eq!(dead.properties.expiration(), &None);
    assert_eq!(dead.properties.app_id(), &Some("app".into()));
    let mut expected = death(1, "expired", &queue, "", queue.as_str());
    expected.insert("original-expiration".into(), text("1"));
    let deaths: Vec<_> = deaths(&dead.properties).iter().map(timeless).collect();
    assert_eq!(deaths, [expected]);
    close(connection).await;
}

pub(crate) async fn a_queue_can_limit_the_time_to_live(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let grave = declare(&channel, FieldTable::default()).await;
    let ttl = [("x-message-ttl", AMQPValue::LongInt(1))];
    let queue = declare_mortal(&channel, "", Some(grave.as_str()), &ttl).await;
    // The shorter of the two counts.
    let properties = BasicProperties::default().with_expiration("600000".into());
    publish(&channel, &"".into(), queue.as_str(), b"late", properties).await;
    let dead = get_soon(&channel, &grave).await;
    assert_eq!(body(&dead), "late");
    let reason = deaths(&dead.properties).first().and_then(|death| death.inner().get("reason").cloned());
    assert_eq!(reason, Some(text("expired")));

    // Back in the first queue by itself, it would go round for ever: it is dropped instead.
    let circle = super::unique("circle");
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(1));
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(circle.clone(), options, arguments).await.expect("declares");
    publish(&channel, &"".into(), circle.as_str(), b"round", BasicProperties::default()).await;
    tokio::time::sleep(super::SILENCE).await;
    assert!(super::get(&channel, &circle).await.is_none());
    close(connection).await;
}

pub(crate) async fn headers_survive_dead_lettering(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let grave = declare(&channel, FieldTable::default()).await;
    let queue = declare_mortal(&channel, "", Some(grave.as_str()), &[]).await;
    let mut sent = FieldTable::default();
    for (key, value) in [
        ("traceparent", text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
        ("zebra", AMQPValue::Boolean(false)),
        ("octets", AMQPValue::ByteArray(vec![0xff].into())),
        ("number", AMQPValue::ShortShortUInt(7)),
    ] {
        sent.insert(key.into(), value);
    }
    let properties = BasicProperties::default().with_headers(sent.clone());
    publish(&channel, &"".into(), queue.as_str(), b"", properties).await;
    reject(&channel, &queue).await;
    let dead = get_soon(&channel, &grave).await;
    let received = headers(&dead.properties).inner();
    for (key, value) in sent.inner() {
        assert_eq!(received.get(key), Some(value), "{key}");
    }
    assert_eq!(received.len(), sent.inner().len() + 4);
    close(connection).await;
}
