//! Runs the contract tests on real brokers, a real Collector and a real Zipkin, to detect wrong doubles.
//!
//! Not part of `cargo test`: `integration-tests/setup/suite.sh` starts the stack and passes its addresses. Without a stack every
//! test here fails; none is skipped.
#![cfg(all(feature = "backend", feature = "loopback-amqp", feature = "loopback-sqs", feature = "otlp"))]

#[macro_use]
mod contract {
    #[macro_use]
    pub(crate) mod amqp;
    pub(crate) mod sqs;
}

use std::time::{Duration, Instant, SystemTime};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use propagation_testkit::{
    backend::zipkin::Zipkin,
    otlp::OtlpReceiver,
    trace::{SpanKind as Kind, TraceGraph, TraceId, of_kind},
};

/// Longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: integration-tests/setup/suite.sh starts the stack"))
}

struct RabbitMq;

impl RabbitMq {
    #[allow(clippy::unused_self, reason = "the contract asks a broker")]
    fn uri(&self) -> String {
        variable("AMQP_URL")
    }
}

#[allow(clippy::unused_async, reason = "the contract awaits a broker")]
async fn rabbitmq() -> RabbitMq {
    RabbitMq
}

mod rabbitmq_keeps {
    use super::{contract, rabbitmq};

    amqp_contract!(rabbitmq);
}

#[allow(clippy::unused_async, reason = "the contract awaits an endpoint")]
async fn elasticmq() -> ((), aws_sdk_sqs::Client) {
    ((), contract::sqs::client(&variable("SQS_ENDPOINT_URL")))
}

mod elasticmq_keeps {
    use super::{contract, elasticmq};

    contract::sqs::sqs_contract!(elasticmq);
}

/// Returns a tracer provider of a service that exports to the Collector.
fn provider(service: &'static str) -> SdkTracerProvider {
    provider_to(&variable("COLLECTOR_OTLP_GRPC"), service)
}

fn provider_to(endpoint: &str, service: &'static str) -> SdkTracerProvider {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().unwrap();
    let resource = Resource::builder().with_service_name(service).build();
    SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()
}

/// Makes a trace over two services, the second of which may fail. Returns its id.
fn trace(first: &SdkTracerProvider, second: &SdkTracerProvider, fails: bool, tenant: &'static str) -> String {
    trace_that_lasts(Duration::ZERO, first, second, fails, tenant)
}

fn trace_that_lasts(
    duration: Duration,
    first: &SdkTracerProvider,
    second: &SdkTracerProvider,
    fails: bool,
    tenant: &'static str,
) -> String {
    let root = first.tracer("test").span_builder("GET /orders").with_kind(SpanKind::Server);
    let mut root = root.with_start_time(SystemTime::now() - duration).start(&first.tracer("test"));
    root.set_attribute(KeyValue::new("tenant.id", tenant));
    let id = root.span_context().trace_id().to_string();
    let context = Context::new().with_span(root);
    let tracer = second.tracer("test");
    let consumer = tracer.span_builder("process orders").with_kind(SpanKind::Consumer);
    let mut consumer = tracer.build_with_context(consumer, &context);
    consumer.add_link(context.span().span_context().clone(), Vec::new());
    if fails {
        consumer.set_status(Status::error("declined"));
    }
    consumer.end();
    context.span().end();
    id
}

/// A health check that fails: an error trace, were it not for its route.
fn health_check(of: &SdkTracerProvider, route: &'static str) {
    let mut span = of.tracer("test").span_builder(format!("GET {route}")).with_kind(SpanKind::Server);
    span.attributes = Some(vec![KeyValue::new("http.route", route)]);
    let mut span = span.start(&of.tracer("test"));
    span.set_status(Status::error("503"));
    span.end();
}

/// The names of the spans of [`health_check`].
fn checks(graph: &TraceGraph) -> Vec<&str> {
    let names = graph.spans().map(|span| span.name.as_str());
    names.filter(|name| !["GET /orders", "process orders"].contains(name)).collect()
}

/// The Collector keeps every error trace, every slow trace and the tenant's whole, with their links; a share of the rest; and no
/// span of the routes of health checks and of scraped metrics, failed or not.
#[tokio::test(flavor = "multi_thread")]
async fn collector_keeps_errors_slow_traces_and_a_tenant() {
    const EACH: usize = 40;
    // Longer than SLOW_MS of compose.yaml.
    const SLOW: Duration = Duration::from_secs(8);
    let address = variable("COLLECTOR_RETURN");
    let address = address.strip_prefix("http://").unwrap().parse().unwrap();
    let receiver = OtlpReceiver::bind(address).unwrap();
    let (first, second) = (provider("gateway"), provider("payments"));
    for route in ["/health", "/healthz", "/livez", "/ready", "/readyz", "/metrics", "/health/of/an/order"] {
        health_check(&first, route);
    }
    let kept: Vec<String> = (0..EACH)
        .flat_map(|_| {
            let slow = trace_that_lasts(SLOW, &first, &second, false, "blue");
            [trace(&first, &second, true, "blue"), trace(&first, &second, false, "acme"), slow]
        })
        .collect();
    let rest: Vec<String> = (0..10 * EACH).map(|_| trace(&first, &second, false, "blue")).collect();
    let flush = tokio::task::spawn_blocking(move || (first.shutdown(), second.shutdown()));
    let (first, second) = flush.await.unwrap();
    first.unwrap();
    second.unwrap();

    let whole = |graph: &TraceGraph| {
        let traces: std::collections::HashMap<String, TraceGraph> =
            graph.traces().into_iter().map(|trace| (trace.trace_ids()[0].to_string(), trace)).collect();
        kept.iter().all(|id| traces.get(id).is_some_and(|trace| trace.len() == 2)) && !checks(graph).is_empty()
    };
    let graph = receiver.wait_for(whole, PATIENCE).await.unwrap();
    assert_eq!(checks(&graph), ["GET /health/of/an/order"], "only the shop's own route is to be seen");
    for trace in graph.traces().into_iter().filter(|trace| trace.len() > 1) {
        trace.assert_continuous();
        trace.assert_link("process orders", "GET /orders");
    }
    let others = graph.trace_ids().iter().filter(|id| rest.contains(&id.to_string())).count();
    assert!(others < rest.len() / 2, "of {} ordinary traces {others} were kept: a tenth was asked for", rest.len());
}

/// The kit's Zipkin writer and reader round-trip.
#[tokio::test(flavor = "multi_thread")]
async fn trace_posted_to_zipkin_is_read_back() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(receiver.grpc_endpoint())
        .build()
        .unwrap();
    let resource = Resource::builder().with_service_name("gateway").build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    trace(&provider, &provider, true, "blue");
    tokio::task::spawn_blocking(move || provider.shutdown()).await.unwrap().unwrap();
    let graph = receiver.wait_for(|graph| graph.len() == 2, PATIENCE).await.unwrap();

    let zipkin = Zipkin::new(&variable("ZIPKIN_URL")).unwrap();
    zipkin.post(graph.spans()).await.unwrap();
    assert_in_zipkin(&zipkin, graph.trace_ids()[0]).await;
}

/// Waits until both spans of a trace are in Zipkin, which stores accepted spans with a delay.
async fn assert_in_zipkin(zipkin: &Zipkin, id: TraceId) {
    let began = Instant::now();
    loop {
        match zipkin.trace(id).await {
            Ok(spans) if spans.len() == 2 => {
                // Zipkin writes names in lower case.
                TraceGraph::new(spans).assert_edge(of_kind(Kind::Server), of_kind(Kind::Consumer));
                return;
            }
            other => assert!(began.elapsed() < PATIENCE, "Zipkin: {:?}", other.map(|spans| spans.len())),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Sends a trace that the Collector keeps, and returns its id.
async fn kept_by_the_collector() -> TraceId {
    let (first, second) = (provider("gateway"), provider("payments"));
    let id = trace(&first, &second, false, "acme").parse().unwrap();
    let flush = tokio::task::spawn_blocking(move || (first.shutdown(), second.shutdown()));
    let (first, second) = flush.await.unwrap();
    first.and(second).unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_reaches_zipkin_through_the_collector() {
    let id = kept_by_the_collector().await;
    assert_in_zipkin(&Zipkin::new(&variable("ZIPKIN_URL")).unwrap(), id).await;
}

/// These run when Jaeger's image is there, which may take longer than the tests before.
mod jaeger {
    use propagation_testkit::{
        backend::jaeger::{self, Jaeger},
        trace::{SpanKind, Status, Value, service},
    };

    use super::*;

    /// Waits until Jaeger has both spans of a trace.
    async fn in_jaeger(id: TraceId) -> TraceGraph {
        let jaeger = Jaeger::new(&variable("JAEGER_URL")).unwrap();
        let began = Instant::now();
        loop {
            match jaeger.trace(id).await {
                Ok(spans) if spans.len() == 2 => return TraceGraph::new(spans),
                other => assert!(began.elapsed() < PATIENCE, "Jaeger: {:?}", other.map(|spans| spans.len())),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn assert_whole(graph: &TraceGraph) {
        graph.assert_continuous().assert_edge("GET /orders", "process orders");
        graph.assert_link("process orders", "GET /orders");
        let one = |name| graph.find(service(name)).next().unwrap();
        assert_eq!((one("gateway").kind, one("payments").kind), (SpanKind::Server, SpanKind::Consumer));
        assert_eq!(one("gateway").attribute("tenant.id").and_then(Value::as_str), Some("acme"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn trace_sent_to_jaeger_is_read_back_by_both_apis() {
        let endpoint = variable("JAEGER_OTLP_GRPC");
        let (first, second) = (provider_to(&endpoint, "gateway"), provider_to(&endpoint, "payments"));
        let id: TraceId = trace(&first, &second, true, "acme").parse().unwrap();
        let flush = tokio::task::spawn_blocking(move || (first.shutdown(), second.shutdown()));
        let (first, second) = flush.await.unwrap();
        first.and(second).unwrap();
        let by_client = in_jaeger(id).await;
        for api in ["/api/traces", "/api/v3/traces"] {
            let response = reqwest::get(format!("{}{api}/{id}", variable("JAEGER_URL"))).await.unwrap();
            let body = response.error_for_status().unwrap().bytes().await.unwrap();
            let graph = TraceGraph::new(jaeger::read(&body).unwrap_or_else(|error| panic!("{api}: {error}")));
            assert_whole(&graph);
            let failed = graph.find(service("payments")).next().unwrap();
            assert_eq!(failed.status, Status::Error("declined".to_owned()), "{api}");
            assert_eq!(graph.normalized().to_string(), by_client.normalized().to_string(), "{api}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn trace_reaches_jaeger_through_the_collector() {
        let id = kept_by_the_collector().await;
        assert_whole(&in_jaeger(id).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn unknown_trace_is_not_found_in_jaeger() {
        let jaeger = Jaeger::new(&variable("JAEGER_URL")).unwrap();
        let unknown = TraceId::from_bytes([7; 16]);
        let error = jaeger.trace(unknown).await.unwrap_err();
        assert!(matches!(error, propagation_testkit::backend::BackendError::NotFound), "{error:?}");
    }
}
