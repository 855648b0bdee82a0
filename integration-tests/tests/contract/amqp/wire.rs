//! Contracts that need hand-written frames.

use amq_protocol::{
    frame::{AMQPFrame, WriteContext, gen_frame},
    protocol::{AMQPClass, basic, channel, connection, parse_class, queue},
    types::FieldTable,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::unique;

/// A client without automatic behaviour.
struct Raw(TcpStream);

/// The types of frame that carry something.
const METHOD: u8 = 1;
const HEADER: u8 = 2;

impl Raw {
    async fn dial(uri: &str) -> Self {
        let (_, rest) = uri.split_once('@').expect("has a user");
        let (host, _) = rest.split_once('/').expect("has a virtual host");
        Self(TcpStream::connect(host).await.expect("connects"))
    }

    /// Logs in, accepts the offered parameters, and opens channel 1. Returns the frame limit.
    async fn open(uri: &str) -> (Self, usize) {
        Self::open_beating(uri, 0).await
    }

    /// Like [`Self::open`], with a heartbeat of this number of seconds.
    async fn open_beating(uri: &str, heartbeat: u16) -> (Self, usize) {
        let (mut raw, tune) = Self::log_in(uri).await;
        raw.agree(connection::TuneOk { channel_max: tune.channel_max, frame_max: tune.frame_max, heartbeat }).await;
        let open = connection::Open { virtual_host: "/".into() };
        raw.send(0, AMQPClass::Connection(connection::AMQPMethod::Open(open))).await;
        raw.method(0).await;
        raw.send(1, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await;
        raw.method(1).await;
        (raw, usize::try_from(tune.frame_max).expect("fits"))
    }

    /// Logs in. Returns the broker's offered parameters.
    async fn log_in(uri: &str) -> (Self, connection::Tune) {
        let mut raw = Self::dial(uri).await;
        raw.write(b"AMQP\0\0\x09\x01").await;
        raw.method(0).await;
        let start_ok = connection::StartOk {
            client_properties: FieldTable::default(),
            mechanism: "PLAIN".into(),
            response: "\0guest\0guest".into(),
            locale: "en_US".into(),
        };
        raw.send(0, AMQPClass::Connection(connection::AMQPMethod::StartOk(start_ok))).await;
        match raw.method(0).await {
            AMQPClass::Connection(connection::AMQPMethod::Tune(tune)) => (raw, tune),
            other => panic!("not tuned: {other:?}"),
        }
    }

    async fn agree(&mut self, tune_ok: connection::TuneOk) {
        self.send(0, AMQPClass::Connection(connection::AMQPMethod::TuneOk(tune_ok))).await;
    }

    async fn write(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.expect("writes");
    }

    async fn send(&mut self, channel: u16, method: AMQPClass) {
        let frame = AMQPFrame::Method(channel, method);
        let context = gen_frame(&frame)(WriteContext::from(Vec::new())).expect("encodes");
        self.write(&context.into_inner().0).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("fits");
        let mut frame = vec![kind];
        frame.extend_from_slice(&channel.to_be_bytes());
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(payload);
        frame.push(206);
        self.write(&frame).await;
    }

    /// The payload of the next frame of this kind on this channel; heartbeats aside, it must be the next of all.
    async fn read(&mut self, kind: u8, channel: u16) -> Vec<u8> {
        loop {
            let found = (self.0.read_u8().await.expect("a frame comes"), self.0.read_u16().await.expect("a channel"));
            let length = self.0.read_u32().await.expect("a length");
            let mut payload = vec![0; usize::try_from(length).expect("fits")];
            self.0.read_exact(&mut payload).await.expect("a payload");
            assert_eq!(self.0.read_u8().await.expect("an end"), 206);
            if found != (8, 0) {
                assert_eq!(found, (kind, channel));
                return payload;
            }
        }
    }

    async fn method(&mut self, channel: u16) -> AMQPClass {
        let payload = self.read(METHOD, channel).await;
        let (rest, method) = parse_class(payload.as_slice()).expect("decodes");
        assert!(rest.is_empty());
        method
    }

    async fn declare(&mut self) -> String {
        let name = unique("wire").to_string();
        let declare = queue::Declare {
            queue: name.as_str().into(),
            passive: false,
            durable: false,
            exclusive: true,
            auto_delete: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        self.send(1, AMQPClass::Queue(queue::AMQPMethod::Declare(declare))).await;
        self.method(1).await;
        name
    }

    /// Publishes an empty body with this property list, flags first.
    async fn publish(&mut self, key: &str, properties: &[u8]) {
        let publish =
            basic::Publish { exchange: "".into(), routing_key: key.into(), mandatory: false, immediate: false };
        self.send(1, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))).await;
        let mut payload = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        payload.extend_from_slice(properties);
        self.frame(HEADER, 1, &payload).await;
    }

    /// Gets a message and returns its property list, flags first.
    async fn get(&mut self, queue: &str) -> Vec<u8> {
        let get = basic::Get { queue: queue.into(), no_ack: true };
        self.send(1, AMQPClass::Basic(basic::AMQPMethod::Get(get))).await;
        let AMQPClass::Basic(basic::AMQPMethod::GetOk(_)) = self.method(1).await else {
            panic!("nothing to get");
        };
        self.read(HEADER, 1).await.split_off(12)
    }

    /// The code with which the broker closes the connection.
    async fn closed(&mut self) -> u16 {
        match self.method(0).await {
            AMQPClass::Connection(connection::AMQPMethod::Close(close)) => close.reply_code,
            other => panic!("not closed: {other:?}"),
        }
    }

    async fn leave(mut self) {
        let close = connection::Close { reply_code: 200, reply_text: "done".into(), class_id: 0, method_id: 0 };
        self.send(0, AMQPClass::Connection(connection::AMQPMethod::Close(close))).await;
        match self.method(0).await {
            AMQPClass::Connection(connection::AMQPMethod::CloseOk(_)) => {}
            other => panic!("not closed: {other:?}"),
        }
    }
}

/// A property list with nothing in it but this header table.
fn headers(entries: &[u8]) -> Vec<u8> {
    let mut properties = vec![0x20, 0];
    let length = u32::try_from(entries.len()).expect("fits");
    properties.extend_from_slice(&length.to_be_bytes());
    properties.extend_from_slice(entries);
    properties
}

fn entry(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut entry = vec![u8::try_from(key.len()).expect("is short")];
    entry.extend_from_slice(key);
    entry.extend_from_slice(value);
    entry
}

pub(crate) async fn a_header_table_is_carried_octet_for_octet(uri: &str) {
    let (mut raw, _) = Raw::open(uri).await;
    let queue = raw.declare().await;
    let parts = [
        // Not sorted, one key twice, and the old name of a type: a codec that decodes and encodes would show.
        entry(b"zebra", b"S\0\0\0\x01z"),
        entry(b"traceparent", b"S\0\0\0\x01a"),
        entry(b"traceparent", b"S\0\0\0\x01b"),
        entry(b"ant", b"x\0\0\0\x01\xff"),
        entry(b"", b"V"),
        entry(b"big", b"L\0\0\0\0\0\0\0\x07"),
        entry(b"true", b"t\x02"),
    ];
    // Brokers may not know all of these types: unknown types must be rejected, others kept unchanged.
    let known = headers(&[&parts[..5], &parts[6..]].concat().concat());
    raw.publish(&queue, &known).await;
    assert_eq!(raw.get(&queue).await, known);
    let all = headers(&parts.concat());
    raw.publish(&queue, &all).await;
    assert_eq!(raw.get(&queue).await, all);
    raw.leave().await;
}

pub(crate) async fn a_frame_one_octet_above_the_limit_is_the_first_to_be_refused(uri: &str) {
    let (mut raw, limit) = Raw::open(uri).await;
    let queue = raw.declare().await;
    // 12 octets of header, 2 of flags, 4 of table length, 2 of key, 5 of type and length. The broker counts the
    // payload only.
    for (over, fits) in [(0, true), (1, false)] {
        let length = limit - 12 - 2 - 4 - 2 - 5 + over;
        let mut value = b"S".to_vec();
        value.extend_from_slice(&u32::try_from(length).expect("fits").to_be_bytes());
        value.resize(5 + length, b'x');
        let properties = headers(&entry(b"k", &value));
        raw.publish(&queue, &properties).await;
        if fits {
            assert_eq!(raw.get(&queue).await, properties);
        } else {
            assert_eq!(raw.closed().await, 501);
        }
    }
}

pub(crate) async fn a_property_list_that_cannot_be_read_closes_the_connection(uri: &str) {
    for entries in [
        // An unknown type; the short string that some codecs write; a value longer than the table.
        entry(b"k", b"?\0\0\0\0"),
        entry(b"k", b"_\x01x"),
        entry(b"k", b"S\0\0\xff\xffx"),
    ] {
        let (mut raw, _) = Raw::open(uri).await;
        let queue = raw.declare().await;
        raw.publish(&queue, &headers(&entries)).await;
        assert_eq!(raw.closed().await, 541, "{entries:?}");
    }
}

pub(crate) async fn a_frame_without_its_end_marker_closes_the_connection(uri: &str) {
    let (mut raw, _) = Raw::open(uri).await;
    // A `basic.recover` that would be in order.
    raw.write(&[METHOD, 0, 1, 0, 0, 0, 5, 0, 60, 0, 110, 1, 0]).await;
    assert_eq!(raw.closed().await, 501);
}

pub(crate) async fn a_method_on_a_channel_that_is_not_open_closes_the_connection(uri: &str) {
    let (mut raw, _) = Raw::open(uri).await;
    let select = AMQPClass::Basic(basic::AMQPMethod::Recover(basic::Recover { requeue: true }));
    raw.send(2, select).await;
    assert_eq!(raw.closed().await, 504);
}

pub(crate) async fn a_client_cannot_ask_for_more_than_is_offered_nor_for_too_little(uri: &str) {
    let (_, offered) = Raw::log_in(uri).await;
    for (frame_max, channel_max) in [
        (offered.frame_max + 1, offered.channel_max),
        (0, offered.channel_max),
        (4095, offered.channel_max),
        (offered.frame_max, offered.channel_max + 1),
        (offered.frame_max, 0),
    ] {
        let (mut raw, _) = Raw::log_in(uri).await;
        raw.agree(connection::TuneOk { channel_max, frame_max, heartbeat: 0 }).await;
        // Not even a reason: the end, or a reset.
        assert!(raw.0.read_u8().await.is_err(), "{frame_max} {channel_max}");
    }
}

pub(crate) async fn an_idle_connection_gets_heartbeats(uri: &str) {
    let (mut raw, _) = Raw::open_beating(uri, 1).await;
    for _ in 0..2 {
        let mut frame = [0; 8];
        raw.0.read_exact(&mut frame).await.expect("a frame comes");
        assert_eq!(frame, [8, 0, 0, 0, 0, 0, 0, 206]);
    }
}

pub(crate) async fn another_protocol_is_answered_with_the_one_that_is_spoken(uri: &str) {
    for hello in [b"AMQP\0\x02\x07\0", b"GET / HT", b"\0\0\0\0\0\0\0\0"] {
        let mut raw = Raw::dial(uri).await;
        raw.write(hello).await;
        let mut answer = [0; 8];
        raw.0.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"AMQP\0\0\x09\x01");
        // The end, or a reset, but nothing more.
        assert!(raw.0.read_u8().await.is_err());
    }
}
