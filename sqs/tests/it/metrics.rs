//! Standard metrics of messages.

use propagation_core::{NoBridge, Propagator};
use propagation_opentelemetry::metrics::HopMetrics;
use propagation_sqs::{ConsumerPropagation, SqsInterceptor};
use propagation_testkit::in_memory::InMemoryMetrics;

use crate::setup::{Endpoint, entry, receive};

#[tokio::test]
async fn messages_of_a_batch_are_counted_one_by_one() {
    let endpoint = Endpoint::start().await;
    let metrics = InMemoryMetrics::new();
    let propagator = Propagator::builder().bridge(HopMetrics::new(&metrics.meter("shop"), NoBridge)).build();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    client.send_message().queue_url(&endpoint.queue).message_body("{}").send().await.unwrap();
    let batch = client.send_message_batch().queue_url(&endpoint.queue);
    batch.entries(entry("1", "{}")).entries(entry("2", "{}")).send().await.unwrap();
    let messages = receive(&client, &endpoint.queue).await;
    assert_eq!(messages.len(), 3);
    assert!(receive(&client, &endpoint.queue).await.is_empty());
    let consumer = ConsumerPropagation::new(propagator, &endpoint.queue);
    for message in &messages {
        consumer.process(message, async { Ok::<_, ()>(()) }).await.unwrap();
    }

    let port = endpoint.sqs.addr().port();
    let total = |name: &str, operation: &str| {
        let found = metrics.series(name);
        assert!(
            found
                .keys()
                .all(|labels| labels.contains(&format!("server.port={port}")) && !labels.contains("message.id"))
        );
        let expected = format!("messaging.operation.name={operation} messaging.system.name=aws.sqs");
        assert!(found.keys().all(|labels| labels.contains("messaging.destination.name=orders")), "{found:?}");
        (
            found.len(),
            found.iter().filter(|(labels, _)| labels.contains(&expected)).map(|(_, count)| count).sum::<u64>(),
        )
    };
    assert_eq!(total("messaging.client.sent.messages", "send"), (1, 3));
    assert_eq!(
        total("messaging.client.consumed.messages", "receive"),
        (1, 3),
        "and not again where they are processed"
    );
    assert_eq!(total("messaging.process.duration", "process"), (1, 3));
}
