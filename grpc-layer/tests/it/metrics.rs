//! The standard metrics of calls.

use std::{collections::BTreeMap, sync::Arc};

use propagation_core::{NoBridge, Propagator};
use propagation_grpc::{ClientPropagationLayer, ServerPropagationLayer};
use propagation_opentelemetry::metrics::HopMetrics;
use propagation_testkit::in_memory::InMemoryMetrics;
use tower::Layer;

use crate::echo::{Channel, Echo};

#[tokio::test]
async fn calls_are_measured_by_known_method_and_status() {
    let metrics = InMemoryMetrics::new();
    let propagator = Propagator::builder().bridge(HopMetrics::new(&metrics.meter("shop"), NoBridge)).build();
    let echo = Echo { propagator: propagator.clone(), seen: Arc::default() };
    let server = ServerPropagationLayer::new(propagator.clone()).layer(echo);
    let channel = ClientPropagationLayer::new(propagator).peer("test.Echo").layer(server);
    for _ in 0..3 {
        channel.unary("/test.Echo/Unary", "hello").await.unwrap();
    }
    channel.unary("/test.Echo/Unary", "missing").await.unwrap_err();
    channel.unary("/test.Echo/Unary", "broken").await.unwrap_err();
    for path in ["/test.Echo/Made", "/test.Echo/Up", "/test.Other/Unary"] {
        channel.unary(path, "hello").await.unwrap_err();
    }

    let series = |method: &str, status: &str, failed: bool| {
        let error = if failed { format!("error.type={status} ") } else { String::new() };
        format!("{error}rpc.method={method} rpc.status_code={status} rpc.system.name=grpc")
    };
    let expected = [
        (series("test.Echo/Unary", "OK", false), 3),
        (series("test.Echo/Unary", "NOT_FOUND", false), 1),
        (series("test.Echo/Unary", "INTERNAL", true), 1),
        (series("_OTHER", "UNIMPLEMENTED", true), 3),
    ];
    assert_eq!(metrics.series("rpc.server.call.duration"), BTreeMap::from(expected));
    let client = metrics.series("rpc.client.call.duration");
    let count = |series: String| client[&series];
    assert_eq!(count(series("test.Echo/Unary", "OK", false)), 3);
    assert_eq!(count(series("test.Echo/Unary", "NOT_FOUND", true)), 1, "an error on this side");
    assert_eq!(count(series("_OTHER", "UNIMPLEMENTED", true)), 3, "no generated code names these");
    assert!(metrics.series("http.server.request.duration").is_empty(), "no call is counted twice");
}
