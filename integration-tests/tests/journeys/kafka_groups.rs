//! Consumer groups of Kafka: automatic commits, partition queues, a rebalance in the middle of the work.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use propagation_kafka::{ConsumerPropagation, ProducerPropagation};
use propagation_testkit::trace::{SpanKind, service};
use rdkafka::{
    Message,
    consumer::{Consumer, StreamConsumer},
    producer::{FutureProducer, FutureRecord},
};

use crate::{
    Failure, kafka,
    service::{Request, Service},
    shop::{PATIENCE, Shop, TENANT},
};

fn consumer(topic: &str, settings: &[(&str, &str)]) -> Arc<StreamConsumer> {
    let mut config = kafka::config();
    config.set("group.id", format!("{topic}-group")).set("auto.offset.reset", "earliest");
    config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "500");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    let consumer: StreamConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    Arc::new(consumer)
}

/// Sends records in traces of their own, in turn to each of the partitions. The tenant is the body.
async fn send(orders: &Service, topic: &str, bodies: impl Iterator<Item = usize>, partitions: usize) {
    let producer: FutureProducer = kafka::config().create().unwrap();
    let propagation = ProducerPropagation::new(orders.propagator.clone());
    for number in bodies {
        let body = format!("tenant-{number}");
        let partition = i32::try_from(number % partitions).unwrap();
        let record = FutureRecord::<str, str>::to(topic).payload(&body).partition(partition);
        let request = Request::sampled().baggage(TENANT, &body);
        orders.on(&request, propagation.send(&producer, record, PATIENCE)).await.unwrap();
    }
}

type Handled = Arc<Mutex<Vec<String>>>;

/// Processes a record, and notes its body if the handler's context is that of the record.
async fn handle(
    billing: &Service,
    message: &impl Message<Headers: propagation_kafka::NativeHeaders>,
    handled: &Handled,
) {
    let body = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
    let handler = async {
        tokio::task::yield_now().await;
        let tenant = billing.propagator.current().baggage.get(TENANT).map(std::borrow::Cow::into_owned);
        assert_eq!(tenant.as_deref(), Some(&*body));
        handled.lock().unwrap().push(body.clone());
        Ok::<_, Failure>(())
    };
    ConsumerPropagation::new(billing.propagator.clone()).process(message, handler).await.unwrap();
}

async fn until(handled: &Handled, count: usize) {
    let all = async {
        while handled.lock().unwrap().iter().collect::<BTreeSet<_>>().len() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, all).await;
    done.unwrap_or_else(|_| panic!("handled {} of {count}", handled.lock().unwrap().len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_commits_make_no_spans_and_lose_no_trace() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let topic = shop.name("paid");
    kafka::create_topic(&topic).await.unwrap();
    send(&orders, &topic, 0..5, 1).await;
    let handled = Handled::default();
    let first = consumer(&topic, &[("enable.auto.commit", "true"), ("auto.commit.interval.ms", "100")]);
    for _ in 0..5 {
        let message = tokio::time::timeout(PATIENCE, first.recv()).await.unwrap().unwrap();
        handle(&billing, &message, &handled).await;
    }
    // Closing the consumer commits the stored offsets.
    drop(first);
    send(&orders, &topic, 5..6, 1).await;
    let second = consumer(&topic, &[("enable.auto.commit", "true")]);
    let message = tokio::time::timeout(PATIENCE, second.recv()).await.unwrap().unwrap();
    handle(&billing, &message, &handled).await;
    assert_eq!(handled.lock().unwrap().len(), 6, "the first five were committed");
    let graph = shop.spans(18).await;
    assert_eq!((graph.len(), graph.traces().len()), (18, 6));
    let (sent, processed) = (service("orders").kind(SpanKind::Producer), service("billing").kind(SpanKind::Consumer));
    graph.assert_each_edge(sent.clone(), processed.clone()).assert_each_link(processed, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_queues_keep_the_context_of_each_record() {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let topic = shop.name("paid");
    kafka::create_partitioned_topic(&topic, 2).await.unwrap();
    send(&orders, &topic, 0..20, 2).await;
    let consumer = consumer(&topic, &[("enable.auto.commit", "false")]);
    let handled = Handled::default();
    let queues: Vec<_> = (0..2).map(|partition| consumer.split_partition_queue(&topic, partition).unwrap()).collect();
    for queue in queues {
        let (billing, handled) = (billing.clone(), Arc::clone(&handled));
        tokio::spawn(async move {
            while let Ok(message) = queue.recv().await {
                handle(&billing, &message, &handled).await;
            }
        });
    }
    // The consumer itself must be polled, and gets no records.
    let main = Arc::clone(&consumer);
    tokio::spawn(async move { main.recv().await.map(|message| message.offset()) });
    until(&handled, 20).await;
    let graph = shop.spans(60).await;
    let (sent, processed) = (service("orders").kind(SpanKind::Producer), service("billing").kind(SpanKind::Consumer));
    graph.assert_each_edge(sent.clone(), processed.clone()).assert_each_link(processed, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn rebalance_keeps_the_context_of_each_record() {
    const RECORDS: usize = 60;
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let topic = shop.name("paid");
    kafka::create_partitioned_topic(&topic, 2).await.unwrap();
    let handled = Handled::default();
    let join = |consumer: Arc<StreamConsumer>| {
        let (billing, handled) = (billing.clone(), Arc::clone(&handled));
        tokio::spawn(async move {
            let propagation = ConsumerPropagation::new(billing.propagator.clone());
            while let Ok(message) = consumer.recv().await {
                handle(&billing, &message, &handled).await;
                propagation.commit(&*consumer, &message, rdkafka::consumer::CommitMode::Async).ok();
            }
        })
    };
    let manual = [("enable.auto.commit", "false")];
    let first = join(consumer(&topic, &manual));
    send(&orders, &topic, 0..RECORDS / 3, 2).await;
    until(&handled, RECORDS / 3).await;
    // A second member takes a partition over, and the first one leaves.
    let _second = join(consumer(&topic, &manual));
    send(&orders, &topic, RECORDS / 3..2 * RECORDS / 3, 2).await;
    until(&handled, 2 * RECORDS / 3).await;
    first.abort();
    send(&orders, &topic, 2 * RECORDS / 3..RECORDS, 2).await;
    until(&handled, RECORDS).await;
    // A rebalance may deliver again: each process span is in the trace of its record.
    let graph = shop.spans(3 * RECORDS).await;
    for trace in graph.traces() {
        let sent = service("orders").kind(SpanKind::Producer);
        for processed in trace.find(service("billing").kind(SpanKind::Consumer)) {
            trace.assert_edge(sent.clone(), processed).assert_link(processed, sent.clone());
        }
    }
    assert_eq!(graph.traces().iter().filter(|trace| trace.len() > 2).count(), RECORDS);
}
