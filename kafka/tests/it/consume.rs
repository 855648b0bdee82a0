use std::{collections::HashSet, time::Duration};

use opentelemetry::{
    Context,
    trace::{SpanId, SpanKind, Status, TraceContextExt},
};
use propagation_core::messaging::ParentMode;
use propagation_kafka::MessageExt;
use rdkafka::{
    Message,
    consumer::{CommitMode, Consumer},
    message::OwnedMessage,
    producer::FutureRecord,
};

use crate::shop::{PARENT, Shared, Shop, TOPIC, WAIT, headers, ids, links, message, parent_of, text, until, value};

fn with_parent(age: Duration) -> OwnedMessage {
    message(Some(headers(&[("traceparent", Some(PARENT.as_bytes())), ("baggage", Some(b"tenant.id=blue"))])), age)
}

#[tokio::test]
async fn handler_runs_in_the_context_of_its_message() {
    let shop = Shop::open();
    let producer = shop.producer();
    let record = FutureRecord::to(TOPIC).key("4711").payload("{}");
    shop.request("request", "blue", shop.producing().send(&producer, record, WAIT)).await.unwrap();

    let consumer = shop.consumer();
    let received = consumer.recv().await.unwrap();
    let onward = FutureRecord::to(TOPIC).key("4711").payload("onward");
    let handled = shop
        .consuming()
        .process(&received, async {
            tokio::task::yield_now().await;
            let current = shop.propagator.current();
            assert_eq!(current.baggage.get("tenant.id").unwrap(), "blue");
            shop.producing().send(&producer, onward, WAIT).await.map_err(|(error, _)| error)
        })
        .await;
    assert_eq!(handled.unwrap().offset, 1);
    assert!(!Context::current().has_active_span(), "nothing leaks");

    let sends = shop.spans("send orders");
    let process = shop.span("process orders");
    assert_eq!(process.span_kind, SpanKind::Consumer);
    assert_eq!(process.parent_span_id, sends[0].span_context.span_id());
    assert_eq!(links(&process), [parent_of(&sends[0])]);
    assert_eq!(sends[1].parent_span_id, process.span_context.span_id());
    for (key, expected) in [
        ("messaging.system.name", "kafka"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "0"),
        ("kafka.offset", "0"),
        ("messaging.consumer.group.name", "payments"),
        ("messaging.client.id", "till"),
    ] {
        assert_eq!(text(&process, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(process.status, Status::Unset);
    let second = consumer.recv().await.unwrap();
    assert_eq!(ids(&value(&second, "traceparent").unwrap()), parent_of(&sends[1]));
    assert_eq!(value(&second, "baggage").unwrap(), "tenant.id=blue");
}

#[tokio::test]
async fn handler_error_is_returned_and_recorded() {
    let shop = Shop::open();
    let answer = shop.consuming().process(&with_parent(Duration::ZERO), async { Err::<(), _>(std::fmt::Error) }).await;
    assert_eq!(answer, Err(std::fmt::Error));
    let process = shop.span("process orders");
    assert!(matches!(process.status, Status::Error { .. }));
    assert_eq!(text(&process, "error.type").as_deref(), Some("core::fmt::Error"));
}

#[test]
fn sync_handler_runs_in_the_process_span() {
    let shop = Shop::open();
    let consuming = shop.consuming();
    let tenant = consuming.process_sync(&with_parent(Duration::ZERO), || {
        Ok::<_, ()>(shop.propagator.current().baggage.get("tenant.id").unwrap().into_owned())
    });
    assert_eq!(tenant.unwrap(), "blue");
    assert!(!shop.propagator.current().trace.has_ids(), "nothing leaks");
    assert_eq!(shop.span("process orders").parent_span_id.to_string(), "00f067aa0ba902b7");
}

#[test]
fn panic_in_a_handler_leaves_no_current_context() {
    let shop = Shop::open();
    let consuming = shop.consuming();
    let message = with_parent(Duration::ZERO);
    let handled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        consuming.process_sync(&message, || -> Result<(), ()> { std::panic::resume_unwind(Box::new("no")) })
    }));
    assert!(handled.is_err());
    assert!(!shop.propagator.current().trace.has_ids());
    assert_eq!(text(&shop.span("process orders"), "error.type").as_deref(), Some("panic"));
}

#[test]
fn panic_after_an_await_in_a_handler_is_an_error() {
    let shop = Shop::open();
    let (consuming, message) = (shop.consuming(), with_parent(Duration::ZERO));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(consuming.process(&message, async {
            tokio::task::yield_now().await;
            std::panic::resume_unwind(Box::new("no"));
            #[expect(unreachable_code, reason = "names the type")]
            Ok::<(), ()>(())
        }))
    }));
    assert!(handled.is_err());
    let span = shop.span("process orders");
    assert_eq!(text(&span, "error.type").as_deref(), Some("panic"));
    assert!(matches!(span.status, opentelemetry::trace::Status::Error { .. }));
}

#[tokio::test]
async fn process_span_links_to_its_message_in_each_mode() {
    let (young, old) = (Duration::from_secs(60), Duration::from_secs(7_200));
    let limit = ParentMode::MessageIfYounger(Duration::from_secs(3_600));
    for (mode, age, ambient, expected) in [
        (ParentMode::Current, old, false, "message"),
        (ParentMode::Current, young, true, "ambient"),
        (ParentMode::Message, young, true, "message"),
        (ParentMode::LinkOnly, young, true, "none"),
        (limit, young, true, "message"),
        (limit, old, true, "none"),
    ] {
        let shop = Shop::open();
        let consuming = shop.consuming().parent_mode(mode);
        let message = with_parent(age);
        let work = consuming.process(&message, async { Ok::<_, ()>(()) });
        let parents = if ambient {
            shop.request("loop", "red", work).await.unwrap();
            shop.span("loop").span_context.span_id().to_string()
        } else {
            work.await.unwrap();
            String::new()
        };
        let process = shop.span("process orders");
        let parent = match expected {
            "message" => "00f067aa0ba902b7".to_owned(),
            "ambient" => parents,
            _ => SpanId::INVALID.to_string(),
        };
        assert_eq!(process.parent_span_id.to_string(), parent, "{mode:?} {age:?} {ambient}");
        assert_eq!(links(&process), [ids(PARENT)], "{mode:?} {age:?} {ambient}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_handlers_see_only_their_own_message() {
    const MESSAGES: usize = 64;
    let shop = Shop::open();
    let producer = shop.producer();
    for number in 0..MESSAGES {
        let body = format!("tenant-{number}");
        let record = FutureRecord::<str, str>::to(TOPIC).payload(&body);
        shop.request("request", &body, shop.producing().send(&producer, record, WAIT)).await.unwrap();
    }
    let consumer = shop.consumer();
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(MESSAGES));
    let mut handlers = Vec::new();
    for _ in 0..MESSAGES {
        let message = consumer.recv().await.unwrap().detach();
        let (consuming, propagator, barrier) = (shop.consuming(), shop.propagator.clone(), barrier.clone());
        handlers.push(tokio::spawn(async move {
            let body = message.payload_view::<str>().unwrap().unwrap().to_owned();
            let process = async {
                for _ in 0..4 {
                    barrier.wait().await;
                    let current = propagator.current();
                    assert_eq!(current.baggage.get("tenant.id").unwrap(), body);
                    tokio::task::yield_now().await;
                }
                Ok::<_, ()>(propagator.current().trace)
            };
            let seen = consuming.process(&message, process).await.unwrap();
            assert!(!propagator.current().trace.has_ids());
            (message.extract(&propagator).context.trace.trace_id(), seen.trace_id())
        }));
    }
    let mut traces = HashSet::new();
    for handler in handlers {
        let (sent, seen) = handler.await.unwrap();
        assert_eq!(sent, seen);
        traces.insert(sent);
    }
    assert_eq!(traces.len(), MESSAGES);
}

#[tokio::test]
async fn commit_span_links_to_the_message() {
    let shop = Shop::open();
    let record = FutureRecord::to(TOPIC).key("4711").payload("{}");
    shop.producing().send(&shop.producer(), record, WAIT).await.unwrap();
    let consumer = shop.consumer();
    let received = consumer.recv().await.unwrap();
    shop.consuming().commit(&consumer, &received, CommitMode::Sync).unwrap();

    let committed = consumer.committed(WAIT).unwrap();
    assert_eq!(committed.elements()[0].offset(), rdkafka::Offset::Offset(1));
    let commit = shop.span("commit orders");
    assert_eq!(
        (commit.span_kind.clone(), links(&commit)),
        (SpanKind::Client, vec![parent_of(&shop.span("send orders"))])
    );
    for (key, expected) in [
        ("messaging.operation.name", "commit"),
        ("messaging.operation.type", "settle"),
        ("kafka.offset", "0"),
        ("messaging.consumer.group.name", "payments"),
    ] {
        assert_eq!(text(&commit, key).as_deref(), Some(expected), "{key}");
    }
}

#[tokio::test]
async fn failed_commit_is_returned_and_recorded() {
    let shop = Shop::open();
    shop.foreign(&shop.producer(), None).await;
    let mut config = shop.config();
    config.remove("group.id").set("group.id", "other");
    let consumer = shop.consumer();
    let received = consumer.recv().await.unwrap();
    shop.cluster.request_errors(
        rdkafka::types::RDKafkaApiKey::OffsetCommit,
        &[rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 8],
    );
    let error = shop.consuming().commit(&consumer, &received, CommitMode::Sync).unwrap_err();
    let commit = shop.span("commit orders");
    assert_eq!(text(&commit, "error.type"), error.rdkafka_error_code().map(|code| format!("{code:?}")));
    assert!(matches!(commit.status, Status::Error { .. }));
    assert!(links(&commit).is_empty(), "the message had no context");
}

#[tokio::test]
async fn receive_span_links_to_every_message() {
    let shop = Shop::open();
    let producer = shop.producer();
    for _ in 0..3 {
        let record = FutureRecord::to(TOPIC).key("4711").payload("{}");
        shop.producing().send(&producer, record, WAIT).await.unwrap();
    }
    let consumer = shop.consumer();
    let mut batch = Vec::new();
    for _ in 0..3 {
        batch.push(consumer.recv().await.unwrap());
    }
    let consuming = shop.consuming();
    let receive = consuming.receive(&batch);
    receive
        .scope(async {
            for message in &batch {
                consuming.process(message, async { Ok::<_, ()>(()) }).await.unwrap();
            }
        })
        .await;
    receive.end(&propagation_core::Outcome::Unset);
    consuming.settle("commit", &batch, || consumer.commit_consumer_state(CommitMode::Async)).unwrap();

    let sent: Vec<String> = shop.spans("send orders").iter().map(parent_of).collect();
    let (receive, commit) = (shop.span("receive orders"), shop.span("commit orders"));
    for (span, kind) in [(&receive, "receive"), (&commit, "settle")] {
        assert_eq!(span.span_kind, SpanKind::Client);
        assert_eq!(links(span), sent);
        assert_eq!(text(span, "messaging.operation.type").as_deref(), Some(kind));
        assert_eq!(text(span, "messaging.batch.message_count").as_deref(), Some("3"));
        let places = span
            .links
            .iter()
            .map(|link| link.attributes.iter().map(|each| format!("{}={}", each.key, each.value)).collect::<Vec<_>>());
        let expected =
            (0..3).map(|at| ["messaging.destination.partition.id=0".to_owned(), format!("kafka.offset={at}")]);
        assert_eq!(places.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
    let processed = shop.spans("process orders");
    for (process, sent) in processed.iter().zip(&sent) {
        assert_eq!(process.parent_span_id, receive.span_context.span_id(), "the ambient span");
        assert_eq!(links(process), std::slice::from_ref(sent));
    }
    assert_eq!(processed.len(), 3);
}

#[tokio::test]
async fn large_batch_has_every_link_once_in_one_trace() {
    let shop = Shop::open();
    let batch: Vec<OwnedMessage> = (1..=300)
        .map(|number: u64| {
            let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-01", number.min(299));
            let topic = if number.is_multiple_of(3) { "refunds" } else { TOPIC };
            message(Some(headers(&[("traceparent", Some(parent.as_bytes()))])), Duration::ZERO)
                .set_topic(topic.to_owned())
        })
        .collect();
    shop.consuming().process_batch(&batch, async { Ok::<_, ()>(()) }).await.unwrap();

    let (orders, refunds) = (shop.spans("process orders"), shop.spans("process refunds"));
    assert_eq!((orders.len(), refunds.len()), (2, 1), "200 and 100 messages");
    let all: Vec<String> = orders.iter().chain(&refunds).flat_map(links).collect();
    assert_eq!(all.len(), 299 + 1, "the last two, of two topics, have the same context");
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 299);
    let spans: Vec<_> = orders.iter().chain(&refunds).collect();
    assert!(spans.iter().all(|span| span.links.iter().count() <= 128));
    assert_eq!(spans.iter().map(|span| span.span_context.trace_id()).collect::<HashSet<_>>().len(), 1);
    assert_eq!(spans.iter().filter(|span| span.parent_span_id == SpanId::INVALID).count(), 1);
}

#[test]
fn empty_batch_makes_a_span_without_topic() {
    let shop = Shop::open();
    shop.consuming().receive::<OwnedMessage>(&[]).end(&propagation_core::Outcome::Unset);
    assert_eq!(text(&shop.span("receive"), "messaging.destination.name"), None);
}

#[tokio::test]
async fn message_key_is_recorded_on_request() {
    let shop = Shop::open();
    let consuming = shop.consuming().with_message_key(true).group("other");
    consuming.process(&with_parent(Duration::ZERO), async { Ok::<_, ()>(()) }).await.unwrap();
    let process = shop.span("process orders");
    assert_eq!(text(&process, "kafka.message.key").as_deref(), Some("4711"));
    assert_eq!(text(&process, "messaging.consumer.group.name").as_deref(), Some("other"));
    assert_eq!(text(&process, "messaging.destination.partition.id").as_deref(), Some("3"));
}

#[tokio::test]
async fn span_follows_its_handler_across_threads() {
    let shop = Shop::open();
    let seen: Shared<Vec<bool>> = Shared::default();
    let (consuming, propagator, noted) = (shop.consuming(), shop.propagator.clone(), seen.clone());
    let message = with_parent(Duration::ZERO);
    let thread = std::thread::spawn(move || {
        let hop = consuming.start(&message);
        hop.in_scope(|| noted.lock().unwrap().push(propagator.current().trace.has_ids()));
        noted.lock().unwrap().push(propagator.current().trace.has_ids());
        hop.end(&propagation_core::Outcome::Unset);
    });
    until(|| thread.is_finished()).await;
    assert_eq!(*seen.lock().unwrap(), [true, false]);
    assert_eq!(links(&shop.span("process orders")), [ids(PARENT)]);
}

#[tokio::test]
async fn age_of_a_message_is_on_its_process_span() {
    let shop = Shop::open();
    shop.consuming().process(&with_parent(Duration::from_secs(90)), async { Ok::<_, ()>(()) }).await.unwrap();
    let age = crate::shop::attribute(&shop.span("process orders"), "propagation.message.age");
    let Some(opentelemetry::Value::F64(seconds)) = age else { panic!("{age:?}") };
    assert!((90.0..100.0).contains(&seconds), "{seconds}");
    let unknown = rdkafka::message::Timestamp::NotAvailable;
    let message = OwnedMessage::new(None, None, "undated".to_owned(), unknown, 0, 0, None);
    shop.consuming().process(&message, async { Ok::<_, ()>(()) }).await.unwrap();
    assert_eq!(crate::shop::attribute(&shop.span("process undated"), "propagation.message.age"), None);
}
