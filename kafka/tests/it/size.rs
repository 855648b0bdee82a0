//! Added fields never make a send fail that would succeed without them.

use opentelemetry::trace::Status;
use propagation_core::{Direction, PropagationContext, RejectReason, TraceContext, TraceState};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer},
};

use crate::shop::{PARENT, Shop, TOPIC, WAIT, headers, shown, value};

const LIMIT: usize = 1_000;
/// A `traceparent` with its name, and two bytes of lengths.
const IDS: usize = 11 + 55 + 2;

/// The largest payload of a record without headers, less librdkafka's own overhead.
fn largest(shop: &Shop) -> usize {
    let producer: BaseProducer =
        small(shop).set("bootstrap.servers", "127.0.0.1:1").set("log_level", "0").create().unwrap();
    let takes = |size: &usize| producer.send(BaseRecord::<[u8], [u8]>::to(TOPIC).payload(&vec![b'x'; *size])).is_ok();
    let largest = (0..=LIMIT).rev().find(takes).unwrap();
    assert!(largest > LIMIT - 100, "{largest}");
    largest
}

fn small(shop: &Shop) -> rdkafka::ClientConfig {
    let mut config = shop.config();
    config.remove("group.id").remove("enable.auto.commit").set("message.max.bytes", LIMIT.to_string());
    config
}

#[tokio::test]
async fn record_near_the_limit_is_sent_with_fitting_fields() {
    for (spare, written, left_out) in [
        (200, ["traceparent", "baggage"].as_slice(), 0),
        (IDS + 1, &["traceparent"], 1),
        (IDS - 1, &[], 2),
        (0, &[], 2),
    ] {
        let shop = Shop::open();
        let payload = vec![b'x'; largest(&shop) - spare];
        let producer: FutureProducer = small(&shop).create().unwrap();
        let record = FutureRecord::<[u8], [u8]>::to(TOPIC).payload(&payload);
        shop.request("request", "blue", shop.producing().send(&producer, record, WAIT)).await.unwrap();

        let consumer = shop.consumer();
        let received = consumer.recv().await.unwrap();
        let names: Vec<String> =
            shown(rdkafka::Message::headers(&received)).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, written, "{spare}");
        assert_eq!(shop.counted(Direction::Outbound, RejectReason::TooLarge), left_out, "{spare}");
        assert_eq!(shop.span("send orders").status, Status::Unset, "and one span");
    }
}

#[tokio::test]
async fn baggage_is_dropped_before_tracestate_before_ids() {
    const STATE: &str = "congo=t61rcWkgMzE";
    let state = "tracestate".len() + STATE.len() + 2;
    for (spare, written) in
        [(IDS + state + 1, ["traceparent", "tracestate"].as_slice()), (IDS + 1, &["traceparent"]), (IDS - 1, &[])]
    {
        let shop = Shop::open();
        let payload = vec![b'x'; largest(&shop) - spare];
        let trace = TraceContext::new(PARENT.parse().unwrap()).with_state(TraceState::parse(STATE.as_bytes()).unwrap());
        let mut context = PropagationContext::new(trace);
        context.baggage.set("tenant.id", "blue").unwrap();
        let hop = shop.propagator.continue_from(context);
        let producer: FutureProducer = small(&shop).create().unwrap();
        let record = FutureRecord::<[u8], [u8]>::to(TOPIC).payload(&payload);
        hop.scope(shop.producing().send(&producer, record, WAIT)).await.unwrap();
        let consumer = shop.consumer();
        let received = consumer.recv().await.unwrap();
        let names: Vec<String> =
            shown(rdkafka::Message::headers(&received)).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, written, "{spare}");
    }
}

#[tokio::test]
async fn oversized_record_fails_and_is_returned_unchanged() {
    let shop = Shop::open();
    let payload = vec![b'x'; LIMIT + 1];
    let producer: FutureProducer = small(&shop).create().unwrap();
    let stored = headers(&[("traceparent", Some(PARENT.as_bytes())), ("baggage", Some(b"secret=1"))]);
    let record = FutureRecord::<[u8], [u8]>::to(TOPIC).payload(&payload).headers(stored.clone());
    let (error, message) = shop.producing().send(&producer, record, WAIT).await.unwrap_err();
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge));
    assert_eq!(shown(rdkafka::Message::headers(&message)), shown(Some(&stored)));

    let record = FutureRecord::<[u8], [u8]>::to(TOPIC).payload(&payload).headers(stored.clone());
    let Err((_, record)) = shop.producing().send_result(&producer, record) else { panic!("it went") };
    assert_eq!(shown(record.headers.as_ref()), shown(Some(&stored)));
}

#[tokio::test]
async fn dropping_fields_never_sends_blocked_values() {
    let shop = Shop::open();
    let stored = headers(&[("baggage", Some(b"secret=1"))]);
    let payload = vec![b'x'; largest(&shop)];
    let producer: BaseProducer = small(&shop).create().unwrap();
    let record = BaseRecord::<[u8], [u8]>::to(TOPIC).payload(&payload).headers(stored);
    shop.producing().enqueue(&producer, record).map_err(|(error, _)| error).unwrap();
    producer.flush(WAIT).unwrap();

    let consumer = shop.consumer();
    let received = consumer.recv().await.unwrap();
    assert_eq!(value(&received, "baggage"), None);
    assert_eq!(value(&received, "traceparent"), None);
}

#[tokio::test]
async fn record_too_large_for_the_broker_is_sent_with_less() {
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    for (refusals, written) in [(1, ["traceparent"].as_slice()), (2, &[])] {
        let shop = Shop::open();
        let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        shop.cluster.request_errors(RDKafkaApiKey::Produce, &vec![too_large; refusals]);
        let record = FutureRecord::to(TOPIC).key("4711").payload("{}");
        shop.request("request", "blue", shop.producing().send(&shop.producer(), record, WAIT)).await.unwrap();
        let consumer = shop.consumer();
        let received = consumer.recv().await.unwrap();
        let names: Vec<String> =
            shown(rdkafka::Message::headers(&received)).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, written);
        assert_eq!(shop.span("send orders").status, Status::Unset);
    }
}
