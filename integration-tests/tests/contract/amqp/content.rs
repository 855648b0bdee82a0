//! Messages arrive as they were sent.

use lapin::{
    BasicProperties,
    types::{AMQPValue, DecimalValue, FieldArray, FieldTable},
};

use super::{close, connect, consume, declare, next, open, publish};

pub(crate) async fn properties_headers_of_every_type_and_body_arrive_as_they_were_sent(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare(&channel, FieldTable::default()).await;
    let mut consumer = consume(&channel, &queue).await;

    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(every_type())
        .with_delivery_mode(2)
        .with_priority(7)
        .with_correlation_id("correlation".into())
        .with_reply_to("reply".into())
        .with_expiration("600000".into())
        .with_message_id("message".into())
        .with_timestamp(1_700_000_000)
        .with_type("kind".into())
        .with_user_id("guest".into())
        .with_app_id("app".into())
        .with_cluster_id("cluster".into());
    let body = [0, 1, 206, 255];
    publish(&channel, &"".into(), queue.as_str(), &body, properties.clone()).await;

    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.properties, properties);
    assert_eq!(delivery.data, body);
    assert_eq!(delivery.exchange.as_str(), "");
    assert_eq!(delivery.routing_key, queue);
    assert_eq!((delivery.delivery_tag, delivery.redelivered), (1, false));
    close(connection).await;
}

/// A table with each type that RabbitMQ knows; `ShortString` is none of them.
fn every_type() -> FieldTable {
    let mut inner = FieldTable::default();
    inner.insert("deeper".into(), AMQPValue::FieldTable(FieldTable::default()));
    let array = FieldArray::from(vec![
        AMQPValue::Void,
        AMQPValue::FieldTable(inner.clone()),
        AMQPValue::FieldArray(FieldArray::default()),
    ]);
    let decimal = DecimalValue { scale: 2, value: 314 };
    let mut table = FieldTable::default();
    for (key, value) in [
        ("boolean", AMQPValue::Boolean(true)),
        ("i8", AMQPValue::ShortShortInt(i8::MIN)),
        ("u8", AMQPValue::ShortShortUInt(u8::MAX)),
        ("i16", AMQPValue::ShortInt(i16::MIN)),
        ("u16", AMQPValue::ShortUInt(u16::MAX)),
        ("i32", AMQPValue::LongInt(i32::MIN)),
        ("u32", AMQPValue::LongUInt(u32::MAX)),
        ("i64", AMQPValue::LongLongInt(i64::MIN)),
        ("f32", AMQPValue::Float(1.5)),
        ("f64", AMQPValue::Double(-2.25)),
        ("decimal", AMQPValue::DecimalValue(decimal)),
        ("text", AMQPValue::LongString("grüße".into())),
        ("not text", AMQPValue::LongString(vec![0xff, 0x00].into())),
        ("octets", AMQPValue::ByteArray(vec![0xff, 0x00].into())),
        ("array", AMQPValue::FieldArray(array)),
        ("table", AMQPValue::FieldTable(inner)),
        ("time", AMQPValue::Timestamp(1_700_000_000)),
        ("void", AMQPValue::Void),
    ] {
        table.insert(key.into(), value);
    }
    table
}

pub(crate) async fn a_body_of_many_frames_or_none_arrives_whole(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare(&channel, FieldTable::default()).await;
    let mut consumer = consume(&channel, &queue).await;
    let frame = usize::try_from(connection.configuration().frame_max()).expect("fits") - 8;
    for length in [0, 1, frame, frame + 1, 3 * frame + 17] {
        let body: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
        let properties = BasicProperties::default();
        publish(&channel, &"".into(), queue.as_str(), &body, properties).await;
        assert!(next(&mut consumer).await.data == body, "of {length} octets");
    }
    close(connection).await;
}

pub(crate) async fn an_empty_header_table_stays_one_and_none_stays_none(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare(&channel, FieldTable::default()).await;
    let mut consumer = consume(&channel, &queue).await;
    for properties in [BasicProperties::default(), BasicProperties::default().with_headers(FieldTable::default())] {
        publish(&channel, &"".into(), queue.as_str(), b"", properties.clone()).await;
        assert_eq!(next(&mut consumer).await.properties, properties);
    }
    close(connection).await;
}
