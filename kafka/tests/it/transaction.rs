use opentelemetry::trace::SpanKind;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::Consumer,
    producer::{FutureProducer, FutureRecord, Producer},
};

use crate::shop::{Shop, TOPIC, WAIT, ids, links, parent_of, text, value};

#[tokio::test]
async fn transaction_consumes_and_produces_in_one_trace() {
    let shop = Shop::open();
    let order = FutureRecord::to(TOPIC).key("4711").payload("order");
    shop.producing().send(&shop.producer(), order, WAIT).await.unwrap();

    let mut config = shop.config();
    config.remove("group.id").remove("enable.auto.commit").set("transactional.id", "till-1");
    let producer: FutureProducer = config.create().unwrap();
    producer.init_transactions(WAIT).unwrap();
    let consumer = shop.consumer();
    let received = consumer.recv().await.unwrap();
    let (consuming, producing) = (shop.consuming(), shop.producing());

    producer.begin_transaction().unwrap();
    let handled = consuming
        .process(&received, async {
            let record = FutureRecord::to(TOPIC).key("4711").payload("paid");
            producing.send(&producer, record, WAIT).await.map_err(|(error, _)| error)?;
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset(TOPIC, 0, Offset::Offset(received.offset() + 1))?;
            let group = consumer.group_metadata().unwrap();
            consuming.settle("send_offsets", std::slice::from_ref(&received), || {
                producer.send_offsets_to_transaction(&offsets, &group, WAIT)
            })
        })
        .await;
    handled.unwrap();
    producer.commit_transaction(WAIT).unwrap();

    let paid = consumer.recv().await.unwrap();
    assert_eq!(paid.payload(), Some(b"paid".as_slice()));
    let sends = shop.spans("send orders");
    let (process, settle) = (shop.span("process orders"), shop.span("send_offsets orders"));
    assert_eq!(ids(&value(&paid, "traceparent").unwrap()), parent_of(&sends[1]));
    assert_eq!(sends[1].parent_span_id, process.span_context.span_id());
    assert_eq!(settle.parent_span_id, process.span_context.span_id());
    assert_eq!((settle.span_kind.clone(), links(&settle)), (SpanKind::Client, vec![parent_of(&sends[0])]));
    assert_eq!(text(&settle, "messaging.operation.type").as_deref(), Some("settle"));
}

#[tokio::test]
async fn aborted_transaction_fails_its_send_spans() {
    let shop = Shop::open();
    let mut config = shop.config();
    // Nothing leaves before the abort.
    config.remove("group.id").remove("enable.auto.commit").set("transactional.id", "till-2").set("linger.ms", "10000");
    let producer: FutureProducer = config.create().unwrap();
    producer.init_transactions(WAIT).unwrap();
    producer.begin_transaction().unwrap();
    let sent = shop.producing().send_result(&producer, FutureRecord::to(TOPIC).key("4711").payload("{}")).unwrap();
    producer.abort_transaction(WAIT).unwrap();
    let (error, message) = sent.await.unwrap().unwrap_err();
    assert!(message.headers().is_none(), "as it was");
    assert_eq!(
        text(&shop.span("send orders"), "error.type"),
        error.rdkafka_error_code().map(|code| format!("{code:?}"))
    );
}
