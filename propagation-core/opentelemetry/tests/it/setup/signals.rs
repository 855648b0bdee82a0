//! Traces, metrics and log records of one set-up, received over OTLP.

use propagation_core::{Direction, Hop, Outcome, Peer, PropagationContext, RejectReason, Rejection, SpanKind, semconv};
use propagation_opentelemetry::setup::{Setup, Telemetry};
use propagation_testkit::{
    otlp::{OtlpReceiver, ReceivedLog, ReceivedMetric},
    trace::Value,
};
use tracing_subscriber::layer::SubscriberExt;

/// The variables of a protocol, and the path of each signal.
const PROTOCOLS: [(&str, [&str; 3]); 2] = [
    (
        "grpc",
        [
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        ],
    ),
    ("http/protobuf", ["/v1/traces", "/v1/metrics", "/v1/logs"]),
];

/// Returns a set-up that exports to a receiver, with further variables.
pub(super) fn exporting(
    receiver: &OtlpReceiver,
    protocol: &'static str,
    more: &'static [(&'static str, &'static str)],
) -> Setup {
    let endpoint = receiver.grpc_endpoint();
    Setup::new("orders").variables(move |name| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
        _ => more.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
    })
}

/// Handles one request, in which an event and a rejection occur.
fn handle(telemetry: &Telemetry) {
    let subscriber = tracing_subscriber::registry().with(telemetry.log_layer());
    tracing::subscriber::with_default(subscriber, || {
        let propagator = telemetry.propagator();
        let hop = Hop::remote(SpanKind::Server, PropagationContext::EMPTY).named("GET /orders");
        let hop = propagator.start(hop.with(semconv::HTTP_REQUEST_METHOD, "GET").with(semconv::URL_SCHEME, "http"));
        hop.in_scope(|| tracing::warn!(order = 4711, "out of stock"));
        let rejection = Rejection::new("traceparent", RejectReason::Duplicate);
        propagator.record_rejection(Direction::Inbound, &Peer::http("shop"), &rejection);
        hop.end(&Outcome::Unset);
    });
}

fn metric(receiver: &OtlpReceiver, name: &str) -> ReceivedMetric {
    let found = receiver.metrics().into_iter().find(|metric| metric.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {:?}", receiver.metrics()))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_signals_arrive_from_one_call() {
    for (protocol, paths) in PROTOCOLS {
        let receiver = OtlpReceiver::start().await.unwrap();
        let telemetry = exporting(&receiver, protocol, &[]).version("1.2.3").with_logs(true).build().unwrap();
        handle(&telemetry);
        telemetry.shutdown().await.unwrap();

        let spans = receiver.spans();
        assert_eq!(spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["GET /orders"], "{protocol}");
        for name in ["http.server.request.duration", "http.server.active_requests", "propagation.rejections"] {
            assert_eq!(metric(&receiver, name).scope.schema_url, semconv::SCHEMA_URL, "{protocol} {name}");
        }
        let logs = receiver.logs();
        let log = logs.iter().find(|log| log.body == Value::from("out of stock")).expect("the event");
        assert_eq!((log.severity.as_str(), log.attributes.get("order")), ("WARN", Some(&Value::Int(4711))));
        assert_eq!((log.trace_id, log.span_id), (Some(spans[0].trace_id), Some(spans[0].span_id)), "{protocol}");
        let sent: Vec<_> = receiver.requests().into_iter().map(|request| request.path).collect();
        assert!(paths.iter().all(|path| sent.iter().any(|sent| sent == path)), "{protocol}: {sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_share_the_resource() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let telemetry = exporting(&receiver, "grpc", &[]).version("1.2.3").with_logs(true).build().unwrap();
    handle(&telemetry);
    telemetry.shutdown().await.unwrap();
    let spans = receiver.spans();
    let log: ReceivedLog = receiver.logs().remove(0);
    let metric = metric(&receiver, "http.server.request.duration");
    for key in ["service.name", "service.version", "service.instance.id", "telemetry.sdk.name"] {
        let value = spans[0].resource.get(key);
        assert!(value.is_some(), "{key}");
        assert_eq!((log.resource.get(key), metric.resource.get(key)), (value, value), "{key}");
    }
    assert_eq!(spans[0].resource.get("service.version"), Some(&Value::from("1.2.3")));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_records_are_exported_only_where_asked() {
    for (variables, wanted, exported) in [
        (&[][..], false, false),
        (&[("OTEL_LOGS_EXPORTER", "otlp")][..], false, true),
        (&[("OTEL_LOGS_EXPORTER", "none")][..], true, false),
        (&[][..], true, true),
    ] {
        let receiver = OtlpReceiver::start().await.unwrap();
        let telemetry = exporting(&receiver, "grpc", variables).with_logs(wanted).build().unwrap();
        handle(&telemetry);
        telemetry.shutdown().await.unwrap();
        assert_eq!(!receiver.logs().is_empty(), exported, "{variables:?} {wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_exported_unless_switched_off() {
    for (variables, wanted, exported) in [
        (&[][..], true, true),
        (&[("OTEL_METRICS_EXPORTER", "none")][..], true, false),
        (&[][..], false, false),
        (&[("OTEL_SDK_DISABLED", "true")][..], true, false),
    ] {
        let receiver = OtlpReceiver::start().await.unwrap();
        let telemetry = exporting(&receiver, "grpc", variables).with_metrics(wanted).build().unwrap();
        handle(&telemetry);
        telemetry.shutdown().await.unwrap();
        assert_eq!(!receiver.metrics().is_empty(), exported, "{variables:?} {wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_reach_the_receiver_by_signal() {
    let variables = &[
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20all, x-tenant = blue"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "authorization=Bearer%20metrics"),
    ];
    for (protocol, paths) in PROTOCOLS {
        let receiver = OtlpReceiver::start().await.unwrap();
        let telemetry = exporting(&receiver, protocol, variables).with_logs(true).build().unwrap();
        handle(&telemetry);
        telemetry.shutdown().await.unwrap();
        let expected = [("Bearer all", Some("blue")), ("Bearer metrics", None), ("Bearer all", Some("blue"))];
        for (path, (authorization, tenant)) in paths.into_iter().zip(expected) {
            let requests = receiver.requests();
            let request = requests.iter().find(|request| request.path == path).expect("a request");
            assert_eq!(request.header("authorization"), Some(authorization), "{protocol} {path}");
            assert_eq!(request.header("x-tenant"), tenant, "{protocol} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_metrics_are_returned_by_the_shutdown() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let telemetry = Setup::new("orders")
        .variables(move |name| match name {
            "OTEL_TRACES_EXPORTER" => Some("none".to_owned()),
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
            "OTEL_EXPORTER_OTLP_TIMEOUT" => Some("300".to_owned()),
            _ => None,
        })
        .build()
        .unwrap();
    handle(&telemetry);
    let error = telemetry.shutdown().await.unwrap_err().to_string();
    assert!(error.starts_with("an export of metrics to http://127.0.0.1:"), "{error}");
}
