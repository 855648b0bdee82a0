//! Producers that report deliveries to a context.

use std::sync::Arc;

use opentelemetry::trace::Status;
use propagation_core::{Direction, Propagator, RejectReason};
use propagation_kafka::{DeliverySpan, DeliverySpans};
use rdkafka::{
    ClientContext, Message, Statistics,
    client::OAuthToken,
    config::{ClientConfig, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{
        BaseProducer, BaseRecord, DefaultProducerContext, Partitioner, Producer, ProducerContext, ThreadedProducer,
    },
};

use crate::shop::{Shared, Shop, TOPIC, WAIT, headers, ids, parent_of, shown, text, until, value};

/// The inner context: records its callbacks and the trace they run in.
#[derive(Clone)]
struct Till {
    propagator: Propagator,
    reported: Shared<Vec<(usize, Option<i64>, bool)>>,
}

impl ClientContext for Till {}

impl ProducerContext for Till {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let offset = result.as_ref().ok().map(Message::offset);
        self.reported.lock().unwrap().push((opaque, offset, self.propagator.current().trace.has_ids()));
    }
}

impl Till {
    fn at(shop: &Shop) -> Self {
        Self { propagator: shop.propagator.clone(), reported: Shared::default() }
    }
}

fn config(shop: &Shop) -> ClientConfig {
    let mut config = shop.config();
    config.remove("group.id").remove("enable.auto.commit");
    config
}

#[tokio::test]
async fn span_ends_with_the_delivery_on_another_thread() {
    let shop = Shop::open();
    let till = Till::at(&shop);
    let producer: ThreadedProducer<DeliverySpans<Till>> =
        config(&shop).create_with_context(DeliverySpans::new(till.clone())).unwrap();
    for number in [7, 8] {
        let record = BaseRecord::with_opaque_to(TOPIC, number).key("4711").payload("{}");
        shop.request("request", "blue", async {
            shop.producing().deliver(&producer, record).map_err(|(error, _)| error).unwrap();
        })
        .await;
        until(|| shop.spans("send orders").len() == number - 6).await;
    }
    assert_eq!(*till.reported.lock().unwrap(), [(7, Some(0), true), (8, Some(1), true)], "in the send span");
    let consumer = shop.consumer();
    for send in shop.spans("send orders") {
        let received = consumer.recv().await.unwrap();
        assert_eq!(ids(&value(&received, "traceparent").unwrap()), parent_of(&send));
        assert_eq!(text(&send, "kafka.offset"), Some(received.offset().to_string()));
        assert_eq!(send.status, Status::Unset);
    }
}

#[tokio::test]
async fn failed_delivery_is_reported_to_span_and_context() {
    let shop = Shop::open();
    let till = Till::at(&shop);
    let mut config = config(&shop);
    config.set("bootstrap.servers", "127.0.0.1:1").set("message.timeout.ms", "50").set("log_level", "0");
    let producer: BaseProducer<DeliverySpans<Till>> =
        config.create_with_context(DeliverySpans::new(till.clone())).unwrap();
    let record = BaseRecord::with_opaque_to(TOPIC, 9).key("4711").payload("{}");
    shop.producing().deliver(&producer, record).map_err(|(error, _)| error).unwrap();
    assert!(shop.spans("send orders").is_empty(), "not polled yet");
    producer.flush(WAIT).unwrap();
    assert_eq!(*till.reported.lock().unwrap(), [(9, None, true)]);
    assert_eq!(text(&shop.span("send orders"), "error.type").as_deref(), Some("MessageTimedOut"));
}

#[tokio::test]
async fn full_queue_returns_the_original_record() {
    let shop = Shop::open();
    let mut config = config(&shop);
    config.set("bootstrap.servers", "127.0.0.1:1").set("queue.buffering.max.messages", "1").set("log_level", "0");
    let before = headers(&[("x-mine", Some(b"1")), ("traceparent", Some(b"stale"))]);
    let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
    let record = |number| BaseRecord::with_opaque_to(TOPIC, number).key("4711").payload("{}").headers(before.clone());

    let context = DeliverySpans::new(Till::at(&shop));
    let producer: BaseProducer<DeliverySpans<Till>> = config.create_with_context(context).unwrap();
    producer
        .send(BaseRecord::<str, str, _>::with_opaque_to(TOPIC, DeliverySpan::without_span(1)))
        .map_err(|(error, _)| error)
        .unwrap();
    let Err((error, returned)) = shop.producing().deliver(&producer, record(2)) else { panic!("it went") };
    assert_eq!((error, returned.delivery_opaque), (full.clone(), 2));
    assert_eq!(shown(returned.headers.as_ref()), shown(Some(&before)));

    let producer: BaseProducer<Till> = config.create_with_context(Till::at(&shop)).unwrap();
    shop.producing().enqueue(&producer, record(3)).map_err(|(error, _)| error).unwrap();
    let Err((error, returned)) = shop.producing().enqueue(&producer, record(4)) else { panic!("it went") };
    assert_eq!((error, returned.delivery_opaque), (full, 4));
    assert_eq!(shown(returned.headers.as_ref()), shown(Some(&before)));

    let spans = shop.spans("send orders");
    let errors: Vec<_> = spans.iter().map(|span| text(span, "error.type")).collect();
    assert_eq!(errors, [Some("QueueFull".to_owned()), None, Some("QueueFull".to_owned())]);
    assert_eq!(
        shop.counted(Direction::Outbound, RejectReason::TooLarge),
        0,
        "a full queue is no reason to leave anything out"
    );
}

#[tokio::test]
async fn plain_producer_ends_its_span_in_the_queue() {
    let shop = Shop::open();
    let producer: ThreadedProducer<DefaultProducerContext> = config(&shop).create().unwrap();
    let record = BaseRecord::to(TOPIC).key("4711").payload("{}").partition(0);
    shop.producing().enqueue(&producer, record).map_err(|(error, _)| error).unwrap();
    let send = shop.span("send orders");
    assert_eq!(text(&send, "messaging.destination.partition.id").as_deref(), Some("0"));
    assert_eq!(text(&send, "kafka.offset"), None);
    let consumer = shop.consumer();
    assert_eq!(ids(&value(&consumer.recv().await.unwrap(), "traceparent").unwrap()), parent_of(&send));
}

#[derive(Clone)]
struct Always(Arc<std::sync::atomic::AtomicUsize>);

impl Partitioner for Always {
    fn partition(&self, _: &str, _: Option<&[u8]>, _: i32, _: impl Fn(i32) -> bool) -> i32 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        0
    }
}

#[derive(Clone)]
struct Sorting(Always);

impl ClientContext for Sorting {}

impl ProducerContext<Always> for Sorting {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}

    fn get_custom_partitioner(&self) -> Option<&Always> {
        Some(&self.0)
    }
}

#[tokio::test]
async fn custom_partitioner_is_called() {
    let shop = Shop::open();
    let asked = Arc::default();
    let context = DeliverySpans::new(Sorting(Always(Arc::clone(&asked))));
    let mut config = config(&shop);
    // Without any property of a topic, rdkafka 0.39 sets the partitioner on a null pointer.
    config.set("message.timeout.ms", "60000");
    let producer: BaseProducer<DeliverySpans<Sorting>, Always> = config.create_with_context(context).unwrap();
    let record = BaseRecord::to(TOPIC).key("4711").payload("{}");
    shop.producing().deliver(&producer, record).map_err(|(error, _)| error).unwrap();
    producer.flush(WAIT).unwrap();
    assert!(asked.load(std::sync::atomic::Ordering::Relaxed) > 0);
    assert_eq!(text(&shop.span("send orders"), "kafka.offset").as_deref(), Some("0"));
}

/// Records librdkafka's callbacks.
#[derive(Clone, Default)]
struct Listening(Shared<Vec<String>>);

impl Listening {
    fn record(&self, message: impl Into<String>) {
        self.0.lock().unwrap().push(message.into());
    }
}

impl ClientContext for Listening {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        self.record(format!("{facility} {message}"));
    }

    fn stats(&self, statistics: Statistics) {
        self.record(statistics.name);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.record(String::from_utf8_lossy(statistics));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        assert_eq!(error, KafkaError::Canceled);
        self.record(reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let token = config.unwrap_or_default().to_owned();
        Ok(OAuthToken { token, principal_name: "till".to_owned(), lifetime_ms: 1 })
    }
}

#[test]
fn inner_context_gets_all_callbacks() {
    let listening = Listening::default();
    let context = DeliverySpans::new(listening.clone());
    context.log(RDKafkaLogLevel::Info, "BROKER", "up");
    context.stats(Statistics { name: "till#1".to_owned(), ..Statistics::default() });
    context.stats_raw(b"{}");
    context.error(KafkaError::Canceled, "away");
    assert_eq!(*listening.0.lock().unwrap(), ["BROKER up", "till#1", "{}", "away"]);
    assert_eq!(context.generate_oauth_token(Some("scope")).unwrap().token, "scope");
    const { assert!(<DeliverySpans<Listening> as ClientContext>::ENABLE_REFRESH_OAUTH_TOKEN) };
}
