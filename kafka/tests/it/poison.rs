//! No content of a record's headers makes a consumer fail or stop.

use propagation_core::{Direction, RejectReason};
use propagation_kafka::{HeadersExt, OwnedHeadersExt, RawHeader};
use rdkafka::{Message, message::OwnedHeaders, producer::FutureRecord};

use crate::shop::{OTHER, PARENT, Shop, TOPIC, WAIT, headers, ids, value};

/// Records of other producers, and the parent that is extracted from each.
fn poison() -> Vec<(&'static str, OwnedHeaders, Option<&'static str>)> {
    let commas = vec![b','; 900_000];
    let raw = |entries: &[(&[u8], Option<&[u8]>)]| {
        let mut headers = OwnedHeaders::new();
        for (name, value) in entries {
            assert!(headers.raw_append(RawHeader::new(name, *value)));
        }
        headers
    };
    let parent = PARENT.as_bytes();
    let mut many = OwnedHeaders::new();
    for _ in 0..20_000 {
        many.raw_append(RawHeader::new(b"traceparent", Some(b"00")));
    }
    vec![
        ("null", raw(&[(b"traceparent", None), (b"tracestate", None), (b"baggage", None)]), None),
        ("empty", raw(&[(b"traceparent", Some(b"")), (b"baggage", Some(b""))]), None),
        ("value not UTF-8", raw(&[(b"traceparent", Some(b"\xff\xfe\x00")), (b"baggage", Some(b"\xc3="))]), None),
        ("name not UTF-8", raw(&[(b"\xff\xfe", Some(b"1")), (b"traceparent", Some(parent))]), Some(PARENT)),
        (
            "name cut short",
            raw(&[(b"trace\xc3", None), (b"", Some(b"")), (b"traceparent", Some(parent))]),
            Some(PARENT),
        ),
        ("zero byte in a name", raw(&[(b"x\0traceparent", Some(b"1")), (b"traceparent", Some(parent))]), Some(PARENT)),
        (
            "commas",
            raw(&[
                (b"traceparent", Some(parent)),
                (b"tracestate", Some(&commas[..1_000])),
                (b"baggage", Some(&commas)),
            ]),
            Some(PARENT),
        ),
        ("commas for a parent", raw(&[(b"traceparent", Some(&commas))]), None),
        ("duplicates", raw(&[(b"traceparent", Some(parent)), (b"traceparent", Some(OTHER.as_bytes()))]), Some(OTHER)),
        ("a flood of one name", many, None),
    ]
}

#[tokio::test]
async fn a_consumer_goes_on_over_every_kind_of_poison() {
    let shop = Shop::open();
    let producer = shop.producer();
    for (_, headers, _) in poison() {
        shop.foreign(&producer, Some(headers)).await;
    }
    let last = FutureRecord::to(TOPIC).key("4711").payload("last");
    shop.producing().send(&producer, last, WAIT).await.unwrap();

    let consumer = shop.consumer();
    let consuming = shop.consuming();
    for (case, headers, expected) in poison() {
        let message = consumer.recv().await.unwrap();
        assert!(message.headers().unwrap().raw_iter().len() == headers.raw_iter().len(), "{case}");
        let seen = consuming.process(&message, async { Ok::<_, ()>(consuming.extract(&message)) }).await.unwrap();
        assert_eq!(seen.context.trace.parent.map(|parent| parent.to_string()).as_deref(), expected, "{case}");
        consuming.receive(&[message]).end(&propagation_core::Outcome::Unset);
    }
    let message = consumer.recv().await.unwrap();
    let trace = consuming.process(&message, async { Ok::<_, ()>(shop.propagator.current().trace) }).await.unwrap();
    assert_eq!(trace.trace_id().unwrap().to_string(), ids(&value(&message, "traceparent").unwrap())[..32]);
}

#[tokio::test]
async fn last_of_two_traceparents_is_used_and_counted() {
    let shop = Shop::open();
    let twice = [("traceparent", Some(PARENT.as_bytes())), ("x", None), ("traceparent", Some(OTHER.as_bytes()))];
    shop.foreign(&shop.producer(), Some(headers(&twice))).await;
    let consumer = shop.consumer();
    let message = consumer.recv().await.unwrap();
    shop.consuming().process(&message, async { Ok::<_, ()>(()) }).await.unwrap();
    assert_eq!(shop.span("process orders").parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(shop.counted(Direction::Inbound, RejectReason::Duplicate), 1);
}

#[tokio::test]
async fn a_poisoned_record_is_sent_on_with_one_sound_context() {
    let shop = Shop::open();
    let producer = shop.producer();
    let consumer = shop.consumer();
    for (case, headers, expected) in poison() {
        let others: Vec<Vec<u8>> = headers
            .raw_iter()
            .map(|header| header.name.to_vec())
            .filter(|name| !["traceparent", "tracestate", "baggage"].iter().any(|ours| name == ours.as_bytes()))
            .collect();
        let record = FutureRecord::<str, str>::to(TOPIC).payload("{}").headers(headers);
        shop.producing().send(&producer, record, WAIT).await.unwrap_or_else(|(error, _)| panic!("{case}: {error}"));
        let message = consumer.recv().await.unwrap();
        let parent = value(&message, "traceparent").unwrap();
        assert!(expected.is_none_or(|expected| expected == parent), "{case}");
        assert_eq!(value(&message, "baggage"), None, "{case}");
        let kept: Vec<Vec<u8>> = message.headers().unwrap().raw_iter().map(|header| header.name.to_vec()).collect();
        assert_eq!(kept[..kept.len() - 1], others, "{case}");
    }
}
