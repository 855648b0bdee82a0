//! The loopback double keeps the AMQP contract, and the promises that only a double can make.

#![cfg(feature = "loopback-amqp")]

use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use propagation_testkit::loopback_amqp::LoopbackAmqp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[macro_use]
mod contract {
    #[macro_use]
    pub(crate) mod amqp;
}

async fn broker() -> LoopbackAmqp {
    LoopbackAmqp::start().await.expect("starts")
}

amqp_contract!(broker);

/// The variable that makes [`another_process`] do something.
const URI: &str = "LOOPBACK_AMQP_URI";

async fn connect(uri: &str) -> (Connection, Channel) {
    let connection = Connection::connect(uri, ConnectionProperties::default()).await.expect("connects");
    let channel = connection.create_channel().await.expect("opens");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    (connection, channel)
}

async fn declare(channel: &Channel, name: &str) {
    channel.queue_declare(name.into(), QueueDeclareOptions::default(), FieldTable::default()).await.expect("declares");
}

async fn publish(channel: &Channel, exchange: &str, key: &str, headers: FieldTable) {
    channel
        .basic_publish(
            exchange.into(),
            key.into(),
            BasicPublishOptions::default(),
            b"body",
            BasicProperties::default().with_headers(headers),
        )
        .await
        .expect("publishes")
        .await
        .expect("is confirmed");
}

async fn get(channel: &Channel, queue: &str) -> Option<Delivery> {
    channel
        .basic_get(queue.into(), BasicGetOptions { no_ack: true })
        .await
        .expect("gets")
        .map(|message| message.delivery)
}

fn headers(entries: &[(&str, &str)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), AMQPValue::LongString((*value).into()));
    }
    table
}

#[tokio::test]
async fn a_tap_can_break_the_trace_in_transit() {
    let broker = LoopbackAmqp::builder()
        .tap(|message| {
            assert!(message.remove_header("traceparent").is_some());
            assert!(message.remove_header("no such header").is_none());
            message.insert_header("tapped".into(), AMQPValue::Boolean(true));
            message.set_body(b"other".to_vec());
        })
        .start()
        .await
        .expect("starts");
    let (_connection, channel) = connect(&broker.uri()).await;
    declare(&channel, "q").await;
    let sent = headers(&[("traceparent", "00-"), ("tenant", "acme")]);
    publish(&channel, "", "q", sent).await;
    let delivery = get(&channel, "q").await.expect("arrives");
    let mut expected = headers(&[("tenant", "acme")]);
    expected.insert("tapped".into(), AMQPValue::Boolean(true));
    assert_eq!(delivery.properties.headers(), &Some(expected));
    assert_eq!(delivery.data, b"other");
}

#[tokio::test]
async fn tap_gets_each_message_once_for_any_number_of_queues() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = |name: &'static str| {
        let seen = Arc::clone(&seen);
        move |message: &mut propagation_testkit::loopback_amqp::Published| {
            let header = message.header("k").and_then(AMQPValue::as_long_string);
            let line = format!(
                "{name}: {}/{} k={} {} octets",
                message.exchange(),
                message.routing_key(),
                header.map(ToString::to_string).unwrap_or_default(),
                message.wire_properties().len(),
            );
            seen.lock().expect("not poisoned").push(line);
        }
    };
    let broker = LoopbackAmqp::builder().tap(log("first")).tap(log("second")).start().await.expect("starts");
    let (_connection, channel) = connect(&broker.uri()).await;
    for queue in ["one", "two"] {
        declare(&channel, queue).await;
        let options = QueueBindOptions::default();
        let (exchange, key) = ("amq.fanout".into(), "".into());
        channel.queue_bind(queue.into(), exchange, key, options, FieldTable::default()).await.expect("binds");
    }
    publish(&channel, "amq.fanout", "key", headers(&[("k", "v")])).await;
    publish(&channel, "", "nowhere", headers(&[])).await;
    // Flags, the length of the table, and of its entry: a key with its length, a type, a value with its length.
    let expected = [
        "first: amq.fanout/key k=v 14 octets",
        "second: amq.fanout/key k=v 14 octets",
        "first: /nowhere k= 6 octets",
        "second: /nowhere k= 6 octets",
    ];
    assert_eq!(*seen.lock().expect("not poisoned"), expected);
    assert_eq!((broker.depth("one"), broker.depth("two")), (Some(1), Some(1)));
    assert_eq!(broker.depth("nowhere"), None);
}

#[tokio::test]
async fn the_offered_frame_limit_is_the_builders() {
    let broker = LoopbackAmqp::builder().frame_max(16_384).start().await.expect("starts");
    let (connection, channel) = connect(&broker.uri()).await;
    assert_eq!(connection.configuration().frame_max(), 16_384);
    let long = "x".repeat(16_384);
    let error = channel
        .basic_publish(
            "".into(),
            "q".into(),
            BasicPublishOptions::default(),
            b"",
            BasicProperties::default().with_headers(headers(&[("baggage", &long)])),
        )
        .await
        .expect("publishes")
        .await
        .expect_err("is refused");
    assert!(error.is_amqp_hard_error(), "{error}");
}

#[tokio::test]
async fn a_cut_connection_ends_without_a_goodbye_and_the_queues_stay() {
    let broker = broker().await;
    let (connection, channel) = connect(&broker.uri()).await;
    declare(&channel, "q").await;
    publish(&channel, "", "q", headers(&[])).await;
    assert_eq!(broker.connections(), 1);
    broker.cut_connections();
    while connection.status().connected() || broker.connections() > 0 {
        tokio::task::yield_now().await;
    }
    let (_connection, channel) = connect(&broker.uri()).await;
    assert!(get(&channel, "q").await.is_some());
}

#[tokio::test]
async fn a_stopped_double_frees_its_port_and_forgets_everything() {
    let first = broker().await;
    let addr = first.addr();
    let (connection, channel) = connect(&first.uri()).await;
    declare(&channel, "q").await;
    first.stop().await;
    while connection.status().connected() {
        tokio::task::yield_now().await;
    }
    let second = LoopbackAmqp::builder().addr(addr).start().await.expect("starts at the same place");
    assert_eq!(second.addr(), addr);
    connect(&second.uri()).await;
    assert_eq!(second.depth("q"), None);
    // Dropping is stopping, a little later.
    drop(second);
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_the_loopback_interface_is_listened_on() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = LoopbackAmqp::builder().addr(everywhere).start().await;
    let kind = refused.expect_err("is refused").kind();
    assert_eq!(kind, std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn no_octets_bring_it_down() {
    let broker = broker().await;
    let hello = b"AMQP\0\0\x09\x01";
    // A small linear congruential generator: reproducible, and without a dependency.
    let mut state = 7u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    for round in 0..200usize {
        let mut octets: Vec<u8> = (0..round).map(|_| next()).collect();
        if round % 4 != 0 {
            octets.splice(0..0, *hello);
        }
        if round % 4 == 2 {
            // A frame's beginning that is in order.
            octets.splice(8..8, [1, 0, 0, 0, 0, 0, 16, 0, 10, 0, 11]);
        }
        let mut stream = TcpStream::connect(broker.addr()).await.expect("connects");
        // Either may fail: the double may have closed already.
        let _ = stream.write_all(&octets).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    let (_connection, channel) = connect(&broker.uri()).await;
    declare(&channel, "q").await;
    assert_eq!(broker.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_another_process_publishes() {
    let broker = broker().await;
    let (_connection, channel) = connect(&broker.uri()).await;
    declare(&channel, "q").await;
    let uri = broker.uri();
    let status = tokio::task::spawn_blocking(|| {
        Command::new(std::env::current_exe().expect("runs"))
            .args(["--exact", "--ignored", "another_process"])
            .env(URI, uri)
            .status()
    });
    let status = status.await.expect("joins").expect("starts");
    assert!(status.success());
    let delivery = get(&channel, "q").await.expect("arrives");
    let expected = headers(&[("process", "another")]);
    assert_eq!(delivery.properties.headers(), &Some(expected));
}

#[tokio::test]
#[ignore = "is the other half of a_client_in_another_process_publishes"]
async fn another_process() {
    let Ok(uri) = std::env::var(URI) else { return };
    let (_connection, channel) = connect(&uri).await;
    publish(&channel, "", "q", headers(&[("process", "another")])).await;
}
