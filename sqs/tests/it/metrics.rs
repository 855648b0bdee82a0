//! The standard metrics, from what the adapter says of messages.

use std::collections::BTreeMap;

use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, SdkMeterProvider,
    data::{AggregatedMetrics, MetricData, ScopeMetrics},
};
use propagation_core::{NoBridge, Propagator, bridge::opentelemetry_metrics_0_33::HopMetrics};
use propagation_sqs::{ConsumerPropagation, SqsPropagation};

use crate::setup::{Endpoint, entry, receive};

/// How often each time series of a metric was measured, or how many messages it counts; by its attributes in order.
fn series(provider: &SdkMeterProvider, exporter: &InMemoryMetricExporter, name: &str) -> BTreeMap<String, u64> {
    provider.force_flush().unwrap();
    let exported = exporter.get_finished_metrics().unwrap();
    let metrics = exported.last().unwrap().scope_metrics().flat_map(ScopeMetrics::metrics);
    let mut found = BTreeMap::new();
    let mut note = |attributes: &mut dyn Iterator<Item = &KeyValue>, count| {
        let mut said: Vec<_> = attributes.map(|each| format!("{}={}", each.key, each.value)).collect();
        said.sort();
        found.insert(said.join(" "), count);
    };
    for metric in metrics.filter(|metric| metric.name() == name) {
        match metric.data() {
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                histogram.data_points().for_each(|point| note(&mut point.attributes(), point.count()));
            }
            AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                sum.data_points().for_each(|point| note(&mut point.attributes(), point.value()));
            }
            other => panic!("{name} is {other:?}"),
        }
    }
    found
}

#[tokio::test]
async fn messages_are_counted_one_by_one_where_they_are_sent_and_received_in_batches() {
    let endpoint = Endpoint::start().await;
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    let propagator = Propagator::builder().bridge(HopMetrics::new(&provider.meter("shop"), NoBridge)).build();
    let client = endpoint.client(SqsPropagation::new(propagator.clone()));
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
        let found = series(&provider, &exporter, name);
        assert!(found.keys().all(|said| said.contains(&format!("server.port={port}")) && !said.contains("message.id")));
        let expected = format!("messaging.operation.name={operation} messaging.system=aws_sqs");
        assert!(found.keys().all(|said| said.contains("messaging.destination.name=orders")), "{found:?}");
        (found.len(), found.iter().filter(|(said, _)| said.contains(&expected)).map(|(_, count)| count).sum::<u64>())
    };
    assert_eq!(total("messaging.client.sent.messages", "send"), (1, 3));
    assert_eq!(
        total("messaging.client.consumed.messages", "receive"),
        (1, 3),
        "and not again where they are processed"
    );
    assert_eq!(total("messaging.process.duration", "process"), (1, 3));
}
