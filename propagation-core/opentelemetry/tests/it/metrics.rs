#![cfg(all(feature = "metrics", feature = "tracing"))]

mod messages;

use std::collections::BTreeMap;

use opentelemetry::{
    metrics::{Meter, MeterProvider},
    trace::TracerProvider,
};
use opentelemetry_sdk::{
    metrics::{
        InMemoryMetricExporter, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData, ScopeMetrics},
    },
    trace::{InMemorySpanExporter, SdkTracerProvider},
};
use propagation_core::{
    Admission, Bridge, Direction, Hop, NoBridge, Outcome, Peer, PropagationContext, Propagator, RejectReason,
    Rejection, SpanKind, TraceContext, Transport,
    messaging::{self, ParentMode, Processing},
    semconv::{NameSet, SemanticConventions},
};
use propagation_opentelemetry::{
    OpenTelemetryBridge, TracingBridge,
    metrics::{HopMetrics, observe_counters},
};
use tracing_subscriber::layer::SubscriberExt;

use crate::wire::PARENT;

/// A meter and its exported metrics.
struct Metered {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

/// One time series: its attributes as text, and how often or how many.
type Series = (BTreeMap<String, String>, u64);

/// One exported metric.
#[derive(Default)]
struct Exported {
    unit: String,
    bounds: Vec<f64>,
    exemplars: usize,
    series: Vec<Series>,
    active: Vec<(BTreeMap<String, String>, i64)>,
}

impl Metered {
    fn new() -> Self {
        let exporter = InMemoryMetricExporter::default();
        Self { provider: SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build(), exporter }
    }

    fn meter(&self) -> Meter {
        self.provider.meter("shop")
    }

    fn propagator(&self, inner: impl Bridge + 'static) -> Propagator {
        Propagator::builder().bridge(HopMetrics::new(&self.meter(), inner)).build()
    }

    /// Every metric by its name.
    fn exported(&self) -> BTreeMap<String, Exported> {
        self.provider.force_flush().unwrap();
        let exported = self.exporter.get_finished_metrics().unwrap();
        let Some(last) = exported.last() else { return BTreeMap::new() };
        let metrics = last.scope_metrics().flat_map(ScopeMetrics::metrics);
        metrics
            .map(|metric| {
                let mut exported = Exported { unit: metric.unit().to_owned(), ..Exported::default() };
                match metric.data() {
                    AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                        for point in histogram.data_points() {
                            exported.bounds = point.bounds().collect();
                            exported.exemplars += point.exemplars().count();
                            exported.series.push((texts(point.attributes()), point.count()));
                        }
                    }
                    AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                        assert!(sum.is_monotonic());
                        for point in sum.data_points() {
                            exported.series.push((texts(point.attributes()), point.value()));
                        }
                    }
                    AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                        assert!(!sum.is_monotonic());
                        let points = sum.data_points().map(|point| (texts(point.attributes()), point.value()));
                        exported.active.extend(points);
                    }
                    other => panic!("an instrument of no convention: {other:?}"),
                }
                (metric.name().to_owned(), exported)
            })
            .collect()
    }

    /// The only metric there is.
    /// Returns the only metric, except for that of active requests.
    fn only(&self) -> (String, Exported) {
        let mut exported = self.exported();
        exported.remove("http.server.active_requests");
        assert_eq!(exported.len(), 1, "{:?}", exported.keys());
        exported.into_iter().next().unwrap()
    }
}

fn texts<'a>(attributes: impl Iterator<Item = &'a opentelemetry::KeyValue>) -> BTreeMap<String, String> {
    attributes.map(|each| (each.key.to_string(), each.value.to_string())).collect()
}

fn series<const N: usize>(attributes: [(&str, &str); N], count: u64) -> Series {
    (attributes.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(), count)
}

fn caller() -> PropagationContext {
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    context.baggage.set("tenant.id", "blue").unwrap();
    context
}

/// The buckets that the conventions advise for durations.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

fn request(kind: SpanKind) -> Hop {
    Hop::remote(kind, caller())
        .named("GET /orders/{id}")
        .with("http.request.method", "GET")
        .with("url.path", "/orders/4711")
        .with("url.full", "http://shop.example/orders/4711")
        .with("url.scheme", "http")
        .with("http.route", "/orders/{id}")
        .with("server.address", "shop.example")
        .with("server.port", 8080_u16)
        .with("network.protocol.version", "1.1")
        .with("client.address", "203.0.113.7")
        .with("tenant.id", "blue")
}

#[test]
fn server_duration_has_the_attributes_of_the_conventions() {
    let metered = Metered::new();
    let propagator = metered.propagator(NoBridge);
    let hop = propagator.start(request(SpanKind::Server));
    hop.set_attribute("http.response.status_code", 503_u16);
    hop.set_attribute("http.response.header.x-user", "anna");
    hop.end(&Outcome::error("503"));

    let (name, exported) = metered.only();
    assert_eq!((name.as_str(), exported.unit.as_str()), ("http.server.request.duration", "s"));
    assert_eq!(exported.bounds, SECONDS);
    let expected = series(
        [
            ("error.type", "503"),
            ("http.request.method", "GET"),
            ("http.response.status_code", "503"),
            ("http.route", "/orders/{id}"),
            ("network.protocol.version", "1.1"),
            ("url.scheme", "http"),
        ],
        1,
    );
    assert_eq!(exported.series, [expected]);
    assert_eq!(exported.exemplars, 0, "the docs say that the SDK attaches none: tell users if it does");
}

#[test]
fn client_duration_names_server_and_cancellation() {
    let metered = Metered::new();
    let propagator = metered.propagator(NoBridge);
    drop(propagator.start(request(SpanKind::Client)));
    let (name, exported) = metered.only();
    assert_eq!((name.as_str(), exported.bounds.as_slice()), ("http.client.request.duration", SECONDS.as_slice()));
    let expected = series(
        [
            ("error.type", "cancelled"),
            ("http.request.method", "GET"),
            ("network.protocol.version", "1.1"),
            ("server.address", "shop.example"),
            ("server.port", "8080"),
        ],
        1,
    );
    assert_eq!(exported.series, [expected]);
}

#[test]
fn calls_are_measured_as_calls_and_schemes_are_bounded() {
    let metered = Metered::new();
    let propagator = metered.propagator(NoBridge);
    let call = |kind, method: &str, status: &'static str| {
        let hop = Hop::remote(kind, caller()).with("rpc.system.name", "grpc").with("rpc.method", method.to_owned());
        let hop = propagator.start(hop.with("server.address", "orders").with("http.request.method", "POST"));
        hop.set_attribute("rpc.status_code", status);
        hop.end(&if status == "OK" { Outcome::Unset } else { Outcome::error(status) });
    };
    call(SpanKind::Server, "shop.Orders/Place", "OK");
    // A declared method that has no code yet keeps its name. The gRPC layer replaces names that it does not know.
    (0..50).for_each(|_| call(SpanKind::Server, "shop.Orders/Cancel", "UNIMPLEMENTED"));
    call(SpanKind::Client, "shop.Orders/Place", "UNAVAILABLE");
    for n in 0..50 {
        let hop = Hop::remote(SpanKind::Server, caller()).with("http.request.method", "GET");
        propagator.start(hop.with("url.scheme", format!("scheme{n}"))).end(&Outcome::Unset);
    }

    let exported = metered.exported();
    let server = &exported["rpc.server.call.duration"];
    let ok = [("rpc.method", "shop.Orders/Place"), ("rpc.status_code", "OK"), ("rpc.system.name", "grpc")];
    let unknown = [
        ("error.type", "UNIMPLEMENTED"),
        ("rpc.method", "shop.Orders/Cancel"),
        ("rpc.status_code", "UNIMPLEMENTED"),
        ("rpc.system.name", "grpc"),
    ];
    assert_eq!((server.unit.as_str(), server.bounds.as_slice()), ("s", SECONDS.as_slice()));
    assert_eq!(server.series.len(), 2);
    assert!(server.series.contains(&series(ok, 1)) && server.series.contains(&series(unknown, 50)));
    let client = [
        ("error.type", "UNAVAILABLE"),
        ("rpc.method", "shop.Orders/Place"),
        ("rpc.status_code", "UNAVAILABLE"),
        ("rpc.system.name", "grpc"),
        ("server.address", "orders"),
    ];
    assert_eq!(exported["rpc.client.call.duration"].series, [series(client, 1)]);
    let http = [("http.request.method", "GET"), ("url.scheme", "_OTHER")];
    assert_eq!(exported["http.server.request.duration"].series, [series(http, 50)]);
    assert_eq!(exported.len(), 4);
}

#[test]
fn active_requests_are_counted_until_they_end() {
    let metered = Metered::new();
    let propagator = metered.propagator(NoBridge);
    let active = || {
        let exported = metered.exported().remove("http.server.active_requests").unwrap();
        assert_eq!(exported.unit, "{request}");
        exported.active
    };
    let labels: BTreeMap<_, _> =
        [("http.request.method", "GET"), ("url.scheme", "http")].map(|(key, value)| (key.into(), value.into())).into();
    let (one, other) = (propagator.start(request(SpanKind::Server)), propagator.start(request(SpanKind::Server)));
    drop(propagator.start(request(SpanKind::Client)));
    assert_eq!(active(), [(labels.clone(), 2)]);
    // An attribute that is set later must not move the request to another time series.
    one.set_attribute("url.scheme", "https");
    one.end(&Outcome::Unset);
    assert_eq!(active(), [(labels.clone(), 1)]);
    drop(other);
    assert_eq!(active(), [(labels, 0)]);
}

#[test]
fn metrics_have_the_attribute_names_that_were_chosen() {
    let (system, older) = (("messaging.system.name", "aws.sqs"), ("messaging.system", "aws_sqs"));
    for (names, labels) in [
        (NameSet::Current, series([system], 1)),
        (NameSet::Older, series([older], 1)),
        (NameSet::Both, series([system, older], 1)),
    ] {
        let metered = Metered::new();
        let propagator = Propagator::builder()
            .bridge(HopMetrics::new(&metered.meter(), NoBridge))
            .semantic_conventions(SemanticConventions::default().with_messaging(names).with_rpc(names))
            .build();
        let send = Hop::local(SpanKind::Producer, caller()).with("messaging.operation.type", "send");
        propagator.start(send.with("messaging.system.name", "aws.sqs")).end(&Outcome::Unset);
        let call = propagator.start(Hop::remote(SpanKind::Server, caller()).with("rpc.system.name", "grpc"));
        call.set_attribute("rpc.status_code", "OK");
        call.end(&Outcome::Unset);
        let exported = metered.exported();
        assert_eq!(exported["messaging.client.sent.messages"].series, [labels], "{names:?}");
        let call = &exported["rpc.server.call.duration"].series[0].0;
        let has = |key: &str| call.contains_key(key);
        let expected = (names != NameSet::Older, names != NameSet::Current);
        assert_eq!((has("rpc.status_code"), has("rpc.response.status_code")), expected, "{names:?}");
    }
}

#[test]
fn work_that_is_no_hop_between_services_is_not_measured() {
    let metered = Metered::new();
    let propagator = metered.propagator(NoBridge);
    drop(propagator.continue_from(caller()));
    propagator.start(Hop::local(SpanKind::Internal, caller()).with("http.request.method", "GET")).end(&Outcome::Unset);
    propagator.start(Hop::remote(SpanKind::Server, caller()).named("of no system")).end(&Outcome::Unset);
    assert!(metered.exported().is_empty());
}

#[test]
fn around_either_bridge_the_spans_stay_as_they_were() {
    for with_tracing in [true, false] {
        let metered = Metered::new();
        let exporter = InMemorySpanExporter::default();
        let spans = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(spans.tracer("app"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let propagator = if with_tracing {
                metered.propagator(TracingBridge::new())
            } else {
                metered.propagator(OpenTelemetryBridge::new(spans.tracer("shop")))
            };
            let server = propagator.start(request(SpanKind::Server).linked(vec![caller().trace]));
            let sent = server.in_scope(|| {
                tracing::info_span!("handler").in_scope(|| {
                    let client = propagator.start(Hop::local(SpanKind::Client, propagator.current()).named("call"));
                    client.rename("renamed");
                    client.set_attribute("http.request.method", "PUT");
                    let sent = client.context().clone();
                    client.end(&Outcome::error("timeout"));
                    sent
                })
            });
            server.end(&Outcome::Unset);
            let finished = exporter.get_finished_spans().unwrap();
            let span = |name: &str| finished.iter().find(|span| span.name == name).unwrap();
            let (server, handler, client) = (span("GET /orders/{id}"), span("handler"), span("renamed"));
            assert_eq!(handler.parent_span_id, server.span_context.span_id());
            assert_eq!(client.parent_span_id, handler.span_context.span_id());
            assert_eq!(sent.trace.span_id().unwrap().to_string(), client.span_context.span_id().to_string());
            assert_eq!(server.links.len(), 1);
            assert!(
                server.attributes.iter().any(|each| each.key.as_str() == "url.path"),
                "spans say more than metrics"
            );
        });
        let exported = metered.exported();
        let names = ["http.client.request.duration", "http.server.active_requests", "http.server.request.duration"];
        assert_eq!(exported.keys().collect::<Vec<_>>(), names);
        let (attributes, count) = &exported["http.client.request.duration"].series[0];
        assert_eq!((attributes["error.type"].as_str(), *count), ("timeout", 1));
    }
}

#[test]
fn metrics_without_spans_change_no_context() {
    let metered = Metered::new();
    let propagator = metered.propagator(NoBridge);
    let server = propagator.start(request(SpanKind::Server));
    assert_eq!(server.context(), &caller());
    server.in_scope(|| assert_eq!(propagator.current(), caller()));
    for parent in [ParentMode::Message, ParentMode::Current, ParentMode::LinkOnly] {
        let other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
        let mut admission = Admission::default();
        admission.context = PropagationContext::new(TraceContext::new(other));
        server.in_scope(|| {
            let process = messaging::process(&propagator, admission, Processing::new(parent), |_| {});
            assert_eq!(process.context().trace.parent, Some(other), "{parent:?}: as without any bridge");
        });
    }
}

#[test]
fn the_sdks_off_switch_takes_the_metrics_along() {
    let metered = Metered::new();
    let bridge = HopMetrics::new(&metered.meter(), NoBridge);
    let off = |name: &str| (name == "OTEL_SDK_DISABLED").then(|| "true".to_owned());
    let propagator = Propagator::builder().bridge(bridge).switches_from(off).build();
    propagator.start(request(SpanKind::Server)).end(&Outcome::Unset);
    assert!(metered.exported().is_empty());
}

#[test]
fn sdk_off_switch_keeps_the_context_and_the_policy() {
    let metered = Metered::new();
    let off = |name: &str| (name == "OTEL_SDK_DISABLED").then(|| "TRUE".to_owned());
    let propagator =
        Propagator::builder().bridge(HopMetrics::new(&metered.meter(), NoBridge)).switches_from(off).build();
    let mut context = caller();
    context.baggage.set("customer.email", "anna@example.com").unwrap();
    let hop = propagator.start(Hop::remote(SpanKind::Server, context));
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    propagator.inject(&Peer::http("api"), hop.context(), &mut sent);
    hop.end(&Outcome::Unset);
    let names: Vec<_> = sent.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["traceparent"], "the context goes on, and the policy holds");
    assert!(metered.exported().is_empty());
}

#[test]
fn propagation_off_switch_neither_measures_nor_injects() {
    for by_variable in [true, false] {
        let metered = Metered::new();
        let off = move |name: &str| (by_variable && name == "PROPAGATION_DISABLED").then(|| "true".to_owned());
        let bridge = HopMetrics::new(&metered.meter(), NoBridge);
        let propagator = Propagator::builder().bridge(bridge).switches_from(off).build();
        if !by_variable {
            propagator.set_enabled(false);
        }
        let hop = propagator.start(Hop::remote(SpanKind::Server, caller()).with("http.request.method", "GET"));
        let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
        hop.in_scope(|| propagator.inject(&Peer::http("api"), &caller(), &mut sent));
        hop.end(&Outcome::Unset);
        assert!(sent.is_empty() && metered.exported().is_empty(), "{by_variable}");
    }
}

#[test]
fn rejections_are_a_metric_by_direction_and_reason() {
    let metered = Metered::new();
    let propagator = Propagator::default();
    observe_counters(&metered.meter(), &propagator);
    let hostile = vec![
        ("traceparent".to_owned(), b"00-nonsense".to_vec()),
        ("baggage".to_owned(), b"user.mail=anna%40example.com".to_vec()),
    ];
    for _ in 0..2 {
        let _ = propagator.extract(&Peer::caller(Transport::HTTP), &hostile);
    }
    propagator.inject(&Peer::kafka("orders"), &caller(), &mut Vec::new());
    let too_large = Rejection::new("baggage", RejectReason::TooLarge);
    propagator.record_rejection(Direction::Outbound, &Peer::kafka("orders"), &too_large);

    let (name, exported) = metered.only();
    assert_eq!((name.as_str(), exported.unit.as_str()), ("propagation.rejections", "{rejection}"));
    let of = |direction, reason| series([("propagation.direction", direction), ("propagation.reason", reason)], 0).0;
    let found: BTreeMap<_, _> = exported.series.into_iter().collect();
    assert_eq!(found[&of("inbound", "malformed")], 2);
    assert_eq!(found[&of("outbound", "too_large")], 1);
    for (direction, reason, count) in propagator.counters().iter() {
        assert_eq!(found[&of(direction.as_str(), reason.as_str())], count);
    }
    assert_eq!(found.len(), propagator.counters().iter().count());

    propagator.record_rejection(Direction::Outbound, &Peer::kafka("orders"), &too_large);
    let (_, exported) = metered.only();
    assert!(exported.series.contains(&(of("outbound", "too_large"), 2)), "it goes on counting");
}
