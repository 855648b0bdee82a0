//! Rejections of a broker, and whether the channel or the connection closes.

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, QueueBindOptions,
        QueueDeclareOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    close, confirming, connect, consume, declare, declare_shared, delete, get, get_soon, next, open, refusal, send,
    unique,
};

fn headers_of(octets: usize) -> BasicProperties {
    let mut headers = FieldTable::default();
    let value = AMQPValue::LongString(vec![b'x'; octets].into());
    headers.insert("baggage".into(), value);
    BasicProperties::default().with_headers(headers)
}

async fn publish_headers(
    channel: &lapin::Channel,
    queue: &ShortString,
    octets: usize,
) -> lapin::Result<lapin::Confirmation> {
    let options = BasicPublishOptions::default();
    let properties = headers_of(octets);
    channel.basic_publish("".into(), queue.clone(), options, b"", properties).await?.await
}

pub(crate) async fn a_content_header_above_the_frame_limit_closes_the_connection(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let queue = declare(&channel, FieldTable::default()).await;
    let limit = usize::try_from(connection.configuration().frame_max()).expect("fits");

    // A kilobyte for the frame, the other fields and the header's name is more than enough.
    publish_headers(&channel, &queue, limit - 1024).await.expect("fits");
    get_soon(&channel, &queue).await;

    let (code, text) = refusal(publish_headers(&channel, &queue, limit + 1024).await);
    assert_eq!(code, 501, "{text}");
    assert!(text.starts_with("FRAME_ERROR"), "{text}");
    assert!(text.contains("frame_too_large"), "{text}");
    assert!(!connection.status().connected());
    // Everything else on the connection is gone with it.
    assert!(connection.create_channel().await.is_err());
}

pub(crate) async fn the_client_can_agree_on_a_smaller_frame_limit(uri: &str) {
    let connection = connect(&format!("{uri}?frame_max=8192")).await;
    assert_eq!(connection.configuration().frame_max(), 8192);
    let channel = open(&connection).await;
    confirming(&channel).await;
    let queue = declare(&channel, FieldTable::default()).await;
    // Bodies are cut to the limit in both directions.
    send(&channel, &queue, &[7; 20_000]).await;
    assert_eq!(get_soon(&channel, &queue).await.data, [7; 20_000]);
    publish_headers(&channel, &queue, 8000).await.expect("fits");
    let (code, _) = refusal(publish_headers(&channel, &queue, 8192).await);
    assert_eq!(code, 501);
}

pub(crate) async fn an_unknown_exchange_closes_the_channel_only(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let exchange = unique("nowhere");
    let options = BasicPublishOptions::default();
    let publishing = channel
        .basic_publish(exchange.clone(), "key".into(), options, b"body", headers_of(10))
        .await
        .expect("publishes");
    let (code, text) = refusal(publishing.await);
    assert_eq!(code, 404);
    assert_eq!(text, format!("NOT_FOUND - no exchange '{exchange}' in vhost '/'"));
    assert!(!channel.status().connected());
    declare(&open(&connection).await, FieldTable::default()).await;
    close(connection).await;
}

pub(crate) async fn an_unknown_queue_closes_the_channel_only(uri: &str) {
    let connection = connect(uri).await;
    let name = unique("nowhere");
    let expected = (404, format!("NOT_FOUND - no queue '{name}' in vhost '/'"));
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let refused = open(&connection).await.queue_declare(name.clone(), passive, FieldTable::default()).await;
    assert_eq!(refusal(refused), expected);
    let options = BasicConsumeOptions::default();
    let refused = open(&connection).await.basic_consume(name.clone(), "".into(), options, FieldTable::default()).await;
    assert_eq!(refusal(refused), expected);
    let refused = open(&connection).await.basic_get(name.clone(), BasicGetOptions::default()).await;
    assert_eq!(refusal(refused), expected);
    let options = QueueBindOptions::default();
    let refused = open(&connection)
        .await
        .queue_bind(name.clone(), "amq.topic".into(), "#".into(), options, FieldTable::default())
        .await;
    assert_eq!(refusal(refused), expected);
    let refused = open(&connection).await.queue_purge(name, QueuePurgeOptions::default()).await;
    assert_eq!(refusal(refused), expected);
    declare(&open(&connection).await, FieldTable::default()).await;
    close(connection).await;
}

pub(crate) async fn an_unknown_delivery_tag_closes_the_channel_only(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare(&channel, FieldTable::default()).await;
    let mut consumer = consume(&channel, &queue).await;
    send(&channel, &queue, b"").await;
    let held = next(&mut consumer).await;
    let options = BasicAckOptions::default();
    channel.basic_ack(17, options).await.expect("is sent");
    let error =
        futures_util::StreamExt::next(&mut consumer).await.expect("hears of it").map(|delivery| delivery.delivery_tag);
    let (code, text) = refusal(error);
    assert_eq!(code, 406);
    assert_eq!(text, "PRECONDITION_FAILED - unknown delivery tag 17");
    assert!(!channel.status().connected());
    drop(held);
    // The connection is as good as before, and so is the message.
    let channel = open(&connection).await;
    assert!(get_soon(&channel, &queue).await.redelivered);
    close(connection).await;
}

pub(crate) async fn a_queue_cannot_be_declared_again_differently(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare_shared(&channel).await;
    let again = QueueDeclareOptions::default();
    channel.queue_declare(queue.clone(), again, FieldTable::default()).await.expect("the same again is fine");
    let durable = QueueDeclareOptions::durable();
    let (code, text) =
        refusal(open(&connection).await.queue_declare(queue.clone(), durable, FieldTable::default()).await);
    assert_eq!(code, 406);
    assert_eq!(
        text,
        format!(
            "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{queue}' in vhost '/': received 'true' but \
             current is 'false'"
        )
    );
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    let (code, text) = refusal(open(&connection).await.queue_declare(queue.clone(), again, arguments).await);
    assert_eq!(code, 406);
    assert!(text.contains("inequivalent arg 'x-dead-letter-exchange'"), "{text}");
    delete(&channel, &queue).await;
    close(connection).await;
}

pub(crate) async fn an_exclusive_queue_is_for_one_connection_and_dies_with_it(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare(&channel, FieldTable::default()).await;
    let other = connect(uri).await;
    let options = BasicConsumeOptions::default();
    let (code, text) =
        refusal(open(&other).await.basic_consume(queue.clone(), "".into(), options, FieldTable::default()).await);
    assert_eq!(code, 405, "{text}");
    assert!(text.starts_with("RESOURCE_LOCKED"), "{text}");
    // Nor can its own connection make it anything else.
    let options = QueueDeclareOptions::default();
    let refused = open(&connection).await.queue_declare(queue.clone(), options, FieldTable::default()).await;
    assert_eq!(refusal(refused).0, 405);
    close(connection).await;
    let refused = open(&other).await.basic_get(queue, BasicGetOptions::default()).await;
    assert_eq!(refusal(refused).0, 404);
    close(other).await;
}

pub(crate) async fn reserved_names_are_refused(uri: &str) {
    let connection = connect(uri).await;
    let name: ShortString = format!("amq.{}", unique("mine")).into();
    let options = QueueDeclareOptions::default();
    let (code, text) =
        refusal(open(&connection).await.queue_declare(name.clone(), options, FieldTable::default()).await);
    assert_eq!(code, 403);
    assert_eq!(text, format!("ACCESS_REFUSED - queue name '{name}' contains reserved prefix 'amq.*'"));
    close(connection).await;
}

pub(crate) async fn a_wrong_password_or_virtual_host_is_refused(uri: &str) {
    let wrong = uri.replacen("guest:guest", "guest:wrong", 1);
    assert_ne!(wrong, uri);
    let refused = Connection::connect(&wrong, ConnectionProperties::default()).await;
    let (code, text) = refusal(refused);
    assert_eq!(code, 403);
    assert!(text.starts_with("ACCESS_REFUSED - Login was refused"), "{text}");

    let elsewhere = uri.replacen("/%2f", "/elsewhere", 1);
    assert_ne!(elsewhere, uri);
    let refused = Connection::connect(&elsewhere, ConnectionProperties::default()).await;
    let (code, text) = refusal(refused);
    assert_eq!((code, text.as_str()), (530, "NOT_ALLOWED - vhost elsewhere not found"));
}

pub(crate) async fn an_expiration_that_is_no_number_is_refused(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let queue = declare(&channel, FieldTable::default()).await;
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_expiration("soon".into());
    let publishing =
        channel.basic_publish("".into(), queue.clone(), options, b"", properties).await.expect("publishes");
    let (code, text) = refusal(publishing.await);
    assert_eq!(code, 406);
    assert!(text.starts_with("PRECONDITION_FAILED - invalid expiration 'soon'"), "{text}");
    assert!(get(&open(&connection).await, &queue).await.is_none());
    close(connection).await;
}
