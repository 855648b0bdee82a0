use opentelemetry::trace::{SpanKind, Status};
use propagation_core::{Direction, RejectReason, messaging::ExistingContext};
use propagation_kafka::ProducerPropagation;
use rdkafka::{
    Message,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord, Producer},
    types::RDKafkaRespErr,
};

use crate::shop::{OTHER, PARENT, Shop, TOPIC, WAIT, headers, ids, links, parent_of, shown, text, value};

/// Sends a record with a key and a header in a request.
async fn send_in_a_request(shop: &Shop) {
    let record = FutureRecord::to(TOPIC).key("4711").payload("{}").headers(headers(&[("x-mine", Some(b"1"))]));
    shop.request("request", "blue", shop.producing().send(&shop.producer(), record, WAIT)).await.unwrap();
}

#[tokio::test]
async fn record_carries_its_send_span_and_allowed_baggage() {
    let shop = Shop::open();
    send_in_a_request(&shop).await;
    let consumer = shop.consumer();
    let received = consumer.recv().await.unwrap();
    assert_eq!(ids(&value(&received, "traceparent").unwrap()), parent_of(&shop.span("send orders")));
    assert_eq!(value(&received, "baggage").unwrap(), "tenant.id=blue", "and no e-mail address");
    assert_eq!(value(&received, "x-mine").unwrap(), "1");
}

#[tokio::test]
async fn send_span_is_a_producer_below_the_request() {
    let shop = Shop::open();
    send_in_a_request(&shop).await;
    let (request, send) = (shop.span("request"), shop.span("send orders"));
    assert_eq!((send.span_kind.clone(), send.parent_span_id), (SpanKind::Producer, request.span_context.span_id()));
    assert_eq!(send.status, Status::Unset);
}

#[tokio::test]
async fn send_span_has_the_attributes_of_its_record() {
    let shop = Shop::open();
    send_in_a_request(&shop).await;
    let send = shop.span("send orders");
    for (key, expected) in [
        ("messaging.system.name", Some("kafka")),
        ("messaging.operation.name", Some("send")),
        ("messaging.operation.type", Some("send")),
        ("messaging.destination.name", Some("orders")),
        ("messaging.destination.partition.id", Some("0")),
        ("kafka.offset", Some("0")),
        ("messaging.client.id", Some("till")),
        ("server.address", Some("127.0.0.1")),
        ("kafka.message.key", None),
        ("kafka.message.tombstone", None),
        ("messaging.consumer.group.name", None),
    ] {
        assert_eq!(text(&send, key).as_deref(), expected, "{key}");
    }
    assert!(text(&send, "server.port").is_some());
}

#[tokio::test]
async fn message_key_is_recorded_only_if_clean_text() {
    let shop = Shop::open();
    let propagation = shop.producing().with_message_key(true);
    propagation.send(&shop.producer(), FutureRecord::to(TOPIC).key("4711").payload("{}"), WAIT).await.unwrap();
    assert_eq!(text(&shop.span("send orders"), "kafka.message.key").as_deref(), Some("4711"));

    for kept_quiet in [b"\xff\xfe".as_slice(), b"anna@example.com", b"4111 1111 1111 1111"] {
        let shop = Shop::open();
        let record = FutureRecord::to(TOPIC).key(kept_quiet).payload("{}");
        shop.producing().with_message_key(true).send(&shop.producer(), record, WAIT).await.unwrap();
        assert_eq!(text(&shop.span("send orders"), "kafka.message.key"), None);
    }
}

#[tokio::test]
async fn tombstone_is_an_attribute_of_send_and_process() {
    let shop = Shop::open();
    let record = FutureRecord::<str, [u8]>::to(TOPIC).key("4711");
    shop.producing().send(&shop.producer(), record, WAIT).await.unwrap();
    assert_eq!(text(&shop.span("send orders"), "kafka.message.tombstone").as_deref(), Some("true"));

    let consumer = shop.consumer();
    let received = consumer.recv().await.unwrap();
    assert_eq!(received.payload(), None);
    shop.consuming().process(&received, async { Ok::<_, ()>(()) }).await.unwrap();
    let process = shop.span("process orders");
    assert_eq!(text(&process, "kafka.message.tombstone").as_deref(), Some("true"));
    assert_eq!(process.parent_span_id, shop.span("send orders").span_context.span_id());
}

#[tokio::test]
async fn valid_context_on_a_record_is_kept_and_linked() {
    let shop = Shop::open();
    let stored = headers(&[("traceparent", Some(PARENT.as_bytes())), ("baggage", Some(b"tenant.id=red,secret=1"))]);
    let record = FutureRecord::to(TOPIC).key("4711").payload("{}").headers(stored);
    shop.request("relay", "blue", shop.producing().send(&shop.producer(), record, WAIT)).await.unwrap();

    let consumer = shop.consumer();
    let received = consumer.recv().await.unwrap();
    assert_eq!(value(&received, "traceparent").unwrap(), PARENT);
    assert_eq!(value(&received, "baggage").unwrap(), "tenant.id=red", "the record's own, as far as the policy lets it");
    let send = shop.span("send orders");
    assert_eq!((send.span_kind.clone(), links(&send)), (SpanKind::Client, vec![ids(PARENT)]));
}

#[tokio::test]
async fn invalid_context_on_a_record_is_replaced() {
    let replaced = [(ExistingContext::Keep, "00-nonsense"), (ExistingContext::Replace, PARENT)];
    for (existing, stored) in replaced {
        let shop = Shop::open();
        let stored = headers(&[("traceparent", Some(stored.as_bytes())), ("tracestate", Some(b"old=1"))]);
        let record = FutureRecord::to(TOPIC).key("4711").payload("{}").headers(stored);
        shop.producing().existing(existing).send(&shop.producer(), record, WAIT).await.unwrap();

        let consumer = shop.consumer();
        let received = consumer.recv().await.unwrap();
        let send = shop.span("send orders");
        assert_eq!(ids(&value(&received, "traceparent").unwrap()), parent_of(&send));
        assert_eq!(value(&received, "tracestate"), None);
        assert_eq!((send.span_kind.clone(), links(&send)), (SpanKind::Producer, vec![]));
    }
}

/// Producers whose sends fail, each for another reason.
fn failing(shop: &Shop) -> Vec<(&'static str, FutureProducer, &'static str, RDKafkaErrorCode, &'static str)> {
    let produce = |change: &dyn Fn(&mut rdkafka::ClientConfig)| {
        let mut config = shop.config();
        config.remove("group.id").remove("enable.auto.commit");
        change(&mut config);
        config.create::<FutureProducer>().unwrap()
    };
    let unreachable = |config: &mut rdkafka::ClientConfig| {
        config.set("bootstrap.servers", "127.0.0.1:1").set("message.timeout.ms", "50").set("log_level", "0");
    };
    let full = produce(&|config| {
        config.set("bootstrap.servers", "127.0.0.1:1").set("queue.buffering.max.messages", "1").set("log_level", "0");
    });
    drop(full.send_result(FutureRecord::<str, str>::to(TOPIC).payload("in the way")).unwrap());
    shop.cluster.topic_error("refused", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    vec![
        ("no broker", produce(&unreachable), TOPIC, RDKafkaErrorCode::MessageTimedOut, "MessageTimedOut"),
        ("the queue is full", full, TOPIC, RDKafkaErrorCode::QueueFull, "QueueFull"),
        (
            "the topic is unknown",
            produce(&|config| {
                config.set("topic.metadata.propagation.max.ms", "50");
            }),
            "refused",
            RDKafkaErrorCode::UnknownTopicOrPartition,
            "UnknownTopicOrPartition",
        ),
    ]
}

#[tokio::test]
async fn failed_send_returns_error_and_original_record() {
    let kept: [(&str, Option<&[u8]>); 3] = [("x-mine", Some(b"1")), ("x-null", None), ("x-mine", Some(b"2"))];
    let mut stale = kept.to_vec();
    stale.insert(1, ("traceparent", Some(b"stale")));
    for before in [None, Some(headers(&kept)), Some(headers(&stale))] {
        let shop = Shop::open();
        for (case, producer, topic, code, kind) in failing(&shop) {
            let record = FutureRecord { headers: before.clone(), ..FutureRecord::to(topic).key("4711").payload("{}") };
            let (error, returned) = shop
                .request(case, "blue", shop.producing().send(&producer, record, std::time::Duration::ZERO))
                .await
                .unwrap_err();
            assert_eq!(error, KafkaError::MessageProduction(code), "{case}");
            assert_eq!(shown(returned.headers()), shown(before.as_ref()), "{case}");
            assert_eq!(returned.headers().is_some(), before.is_some(), "{case}");
            assert_eq!(
                (returned.key(), returned.payload()),
                (Some(b"4711".as_slice()), Some(b"{}".as_slice())),
                "{case}"
            );
            let request = shop.span(case).span_context.span_id();
            let sends = shop.spans(&format!("send {topic}"));
            let send = sends.iter().find(|span| span.parent_span_id == request).unwrap();
            assert!(matches!(send.status, Status::Error { .. }), "{case}");
            assert_eq!(text(send, "error.type").as_deref(), Some(kind), "{case}");
        }
    }
}

#[tokio::test]
async fn send_result_ends_its_span_with_the_delivery() {
    let shop = Shop::open();
    let producer = shop.producer();
    let record = FutureRecord::to(TOPIC).key("4711").payload("{}");
    let delivery = shop.producing().send_result(&producer, record).unwrap();
    assert!(shop.spans("send orders").is_empty(), "not delivered yet");
    assert!(format!("{delivery:?}").starts_with("DeliveryFuture { prepared: Some("), "{delivery:?}");
    let delivery = delivery.await.unwrap().unwrap();
    assert_eq!(text(&shop.span("send orders"), "kafka.offset"), Some(delivery.offset.to_string()));
}

#[tokio::test]
async fn dropped_delivery_future_is_no_error() {
    let shop = Shop::open();
    let producer = shop.producer();
    drop(shop.producing().send_result(&producer, FutureRecord::to(TOPIC).key("4711").payload("{}")).unwrap());
    assert_eq!(shop.span("send orders").status, Status::Unset);
    producer.flush(WAIT).unwrap();
    let consumer = shop.consumer();
    assert!(value(&consumer.recv().await.unwrap(), "traceparent").is_some());
}

#[tokio::test]
async fn failed_enqueue_returns_the_original_record() {
    let shop = Shop::open();
    let before = headers(&[("x-mine", Some(b"1")), ("traceparent", Some(b"stale"))]);
    for (case, producer, topic, code, _) in failing(&shop) {
        let record = FutureRecord::to(topic).key("4711").payload("{}").headers(before.clone());
        let headers = match shop.producing().send_result(&producer, record) {
            Ok(delivery) => {
                let (error, message) = delivery.await.unwrap().unwrap_err();
                assert_eq!(error, KafkaError::MessageProduction(code), "{case}");
                shown(message.headers())
            }
            Err((error, record)) => {
                assert_eq!(error, KafkaError::MessageProduction(code), "{case}");
                shown(record.headers.as_ref())
            }
        };
        assert_eq!(headers, shown(Some(&before)), "{case}");
    }
}

#[tokio::test]
async fn dropped_send_ends_its_span_as_cancelled() {
    let shop = Shop::open();
    let mut config = shop.config();
    config.set("bootstrap.servers", "127.0.0.1:1").set("log_level", "0");
    let producer: FutureProducer = config.create().unwrap();
    let propagation = shop.producing();
    {
        let send = std::pin::pin!(propagation.send(&producer, FutureRecord::to(TOPIC).key("4711").payload("{}"), WAIT));
        let waker = std::task::Waker::noop();
        assert!(send.poll(&mut std::task::Context::from_waker(waker)).is_pending());
    }
    assert_eq!(text(&shop.span("send orders"), "error.type").as_deref(), Some("cancelled"));
}

#[tokio::test]
async fn retried_record_gets_a_new_context() {
    let shop = Shop::open();
    let (_, producer, ..) = failing(&shop).swap_remove(0);
    let record = FutureRecord::to(TOPIC).key("4711").payload("{}");
    let (_, mut returned) = shop.producing().send(&producer, record, WAIT).await.unwrap_err();
    let headers = returned.detach_headers();
    let again = FutureRecord { headers, ..FutureRecord::to(TOPIC).key("4711").payload("{}") };
    shop.producing().send(&shop.producer(), again, WAIT).await.unwrap();

    let consumer = shop.consumer();
    let received = consumer.recv().await.unwrap();
    let second = shop.spans("send orders").pop().unwrap();
    assert_eq!(ids(&value(&received, "traceparent").unwrap()), parent_of(&second));
    assert_eq!(second.span_kind, SpanKind::Producer);
}

#[tokio::test]
async fn retries_of_librdkafka_are_one_send_span() {
    let shop = Shop::open();
    let mut config = shop.config();
    config.remove("group.id").remove("enable.auto.commit").set("retry.backoff.ms", "1");
    let producer: FutureProducer = config.create().unwrap();
    shop.cluster.request_errors(
        rdkafka::types::RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 2],
    );
    let record = FutureRecord::to(TOPIC).key("4711").payload("{}");
    shop.producing().send(&producer, record, WAIT).await.unwrap();
    let send = shop.span("send orders");
    assert_eq!(send.status, Status::Unset);
    let consumer = shop.consumer();
    assert_eq!(ids(&value(&consumer.recv().await.unwrap(), "traceparent").unwrap()), parent_of(&send));
}

#[tokio::test]
async fn without_bridge_the_current_context_is_sent() {
    let shop = Shop::open();
    let propagator = propagation_core::Propagator::default();
    let propagation = ProducerPropagation::new(propagator.clone());
    let producer = shop.producer();
    let from = headers(&[("traceparent", Some(OTHER.as_bytes()))]);
    let context = propagation_kafka::HeadersExt::extract(&from, &propagator, TOPIC).context;
    let hop = propagator.continue_from(context);
    let record = || FutureRecord::to(TOPIC).key("4711").payload("{}");
    hop.scope(propagation.send(&producer, record(), WAIT)).await.unwrap();
    propagator.set_enabled(false);
    let stale = headers(&[("traceparent", Some(b"mine"))]);
    hop.scope(propagation.send(&producer, record().headers(stale.clone()), WAIT)).await.unwrap();

    let consumer = shop.consumer();
    assert_eq!(value(&consumer.recv().await.unwrap(), "traceparent").unwrap(), OTHER);
    assert_eq!(shown(consumer.recv().await.unwrap().headers()), shown(Some(&stale)));
    assert!(shop.spans("send orders").is_empty());
    assert_eq!(shop.counted(Direction::Outbound, RejectReason::NotAllowed), 0);
}

#[tokio::test]
async fn prepared_record_is_sent_by_the_user() {
    let shop = Shop::open();
    let mut record = FutureRecord::to(TOPIC).key("4711").payload("{}");
    let prepared = shop.producing().prepare(&mut record);
    assert!(prepared.injection.is_written("traceparent"));
    assert!(prepared.creation.has_ids());
    assert_eq!(shown(record.headers.as_ref())[0].0, "traceparent");
    prepared.failed(&KafkaError::Canceled, &mut record.headers);
    assert!(record.headers.is_none());
    assert_eq!(text(&shop.span("send orders"), "error.type").as_deref(), Some("Canceled"));
}

thread_local! {
    /// The propagator whose current context the runtime below checks, and the number of delays inside a trace.
    static WAITING: std::cell::RefCell<(Option<propagation_core::Propagator>, usize)> = const { std::cell::RefCell::new((None, 0)) };
}

/// A runtime whose delays end at once.
struct Impatient;

impl rdkafka::util::AsyncRuntime for Impatient {
    type Delay = std::future::Ready<()>;

    fn spawn<T: Future<Output = ()> + Send + 'static>(_: T) {
        unreachable!("producers spawn nothing");
    }

    fn delay_for(_: std::time::Duration) -> Self::Delay {
        WAITING.with_borrow_mut(|(propagator, inside)| {
            *inside += usize::from(propagator.as_ref().is_some_and(|propagator| propagator.current().trace.has_ids()));
        });
        std::future::ready(())
    }
}

#[tokio::test]
async fn wait_for_queue_room_is_inside_the_send_span() {
    let shop = Shop::open();
    let mut config = shop.config();
    config.set("bootstrap.servers", "127.0.0.1:1").set("queue.buffering.max.messages", "1").set("log_level", "0");
    let producer: FutureProducer<_, Impatient> = config.create().unwrap();
    drop(producer.send_result(FutureRecord::<str, str>::to(TOPIC).payload("in the way")).unwrap());
    WAITING.set((Some(shop.propagator.clone()), 0));
    let record = FutureRecord::to(TOPIC).key("4711").payload("{}");
    let sent = shop.producing().send(&producer, record, std::time::Duration::from_millis(20)).await;
    assert_eq!(sent.unwrap_err().0, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
    assert!(WAITING.take().1 > 0, "it waited in the send span");
    assert_eq!(text(&shop.span("send orders"), "error.type").as_deref(), Some("QueueFull"));
}
