#![cfg(all(feature = "sdk", feature = "tracing"))]

#[cfg(feature = "tracing-subscriber")]
mod baggage;
#[cfg(all(feature = "logs", feature = "tracing-subscriber"))]
mod exceptions;
#[cfg(feature = "reload")]
mod policy;
mod resource;
#[cfg(feature = "tracing-subscriber")]
mod semconv;
#[cfg(all(feature = "logs", feature = "metrics", feature = "otlp-http", feature = "tracing-subscriber"))]
mod signals;
#[cfg(all(feature = "metrics", feature = "tls"))]
mod tls;

use opentelemetry::trace::{Span, Tracer};
use opentelemetry_sdk::trace::{InMemorySpanExporter, InMemorySpanExporterBuilder};
use propagation_core::{Hop, Outcome, Peer, PropagationContext, SpanKind, TraceContext};
use propagation_opentelemetry::setup::{Setup, SetupError, Telemetry};
use tracing_subscriber::layer::SubscriberExt;

use crate::wire::PARENT;

type Variables = &'static [(&'static str, &'static str)];

fn setup(variables: Variables) -> Setup {
    Setup::new("orders")
        .variables(move |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn started(variables: Variables) -> (Telemetry, InMemorySpanExporter) {
    let exporter = InMemorySpanExporterBuilder::new().build();
    (setup(variables).environment("staging").exporter(exporter.clone()).build().unwrap(), exporter)
}

fn caller() -> PropagationContext {
    PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()))
}

#[test]
fn set_up_makes_child_spans_and_injects_them() {
    let (telemetry, exporter) = started(&[]);
    let propagator = telemetry.propagator();
    let hop = propagator.start(Hop::remote(SpanKind::Server, caller()).named("GET /orders"));
    let mut written = Vec::new();
    propagator.inject(&Peer::http("api"), hop.context(), &mut written);
    hop.end(&Outcome::Unset);
    let spans = exporter.get_finished_spans().unwrap();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].parent_span_id.to_string(), "00f067aa0ba902b7");
    let (name, value): &(String, Vec<u8>) = &written[0];
    assert_eq!(name, "traceparent");
    assert!(String::from_utf8_lossy(value).contains(&spans[0].span_context.span_id().to_string()));
}

#[test]
fn with_tracing_the_spans_of_tracing_join_the_hops() {
    let exporter = InMemorySpanExporterBuilder::new().build();
    let telemetry = setup(&[]).with_tracing().exporter(exporter.clone()).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.span_layer());
    tracing::subscriber::with_default(subscriber, || {
        let hop = telemetry.propagator().start(Hop::remote(SpanKind::Server, caller()).named("server"));
        hop.in_scope(|| tracing::info_span!("handler").in_scope(|| {}));
        hop.end(&Outcome::Unset);
    });
    let spans = exporter.get_finished_spans().unwrap();
    let span = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(span("handler").parent_span_id, span("server").span_context.span_id());
}

#[test]
fn variables_override_resource_attributes_of_the_code() {
    // The provider shows its resource only so.
    let shown = |telemetry: &Telemetry| format!("{:?}", telemetry.provider());
    let (code, _) = started(&[]);
    let text = shown(&code);
    assert!(text.contains("orders") && text.contains("staging"), "{text}");
    let (logged, _) = started(&[
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=ignored,deployment.environment.name=production%20eu, team = a"),
        ("OTEL_SERVICE_NAME", "payments"),
    ]);
    let text = shown(&logged);
    assert!(text.contains("payments") && text.contains("production eu"), "{text}");
    assert!(!text.contains("ignored") && !text.contains("orders") && !text.contains("staging"), "{text}");
}

#[test]
fn sampler_variable_decides_for_roots_only() {
    let (telemetry, exporter) = started(&[("OTEL_TRACES_SAMPLER", "parentbased_always_off")]);
    telemetry.tracer("test").start("root").end();
    assert!(exporter.get_finished_spans().unwrap().is_empty());
    telemetry.propagator().start(Hop::remote(SpanKind::Server, caller())).end(&Outcome::Unset);
    assert_eq!(exporter.get_finished_spans().unwrap().len(), 1);

    let (telemetry, exporter) = started(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")]);
    telemetry.propagator().start(Hop::remote(SpanKind::Server, caller())).end(&Outcome::Unset);
    assert!(exporter.get_finished_spans().unwrap().is_empty());
}

#[test]
fn limits_hold() {
    let (telemetry, exporter) = started(&[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")]);
    let hop = Hop::remote(SpanKind::Server, caller()).with("a", 1_i64).with("b", 2_i64).with("c", 3_i64);
    telemetry.propagator().start(hop).end(&Outcome::Unset);
    assert_eq!(exporter.get_finished_spans().unwrap()[0].attributes.len(), 2);
}

/// Values that operators inject and this set-up cannot use; the first variable of each row is the one to be named.
const UNUSABLE: &[Variables] = &[
    &[("OTEL_TRACES_SAMPLER", "xray")],
    &[("OTEL_TRACES_SAMPLER", "jaeger_remote")],
    &[("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote")],
    &[("OTEL_TRACES_SAMPLER", "sometimes")],
    &[("OTEL_TRACES_SAMPLER", "rate_limited"), ("OTEL_TRACES_SAMPLER_ARG", "5")],
    &[("OTEL_TRACES_SAMPLER", "links_based")],
    &[("OTEL_TRACES_SAMPLER_ARG", "2"), ("OTEL_TRACES_SAMPLER", "consistent_probability")],
    &[("OTEL_TRACES_SAMPLER_ARG", "1e-20"), ("OTEL_TRACES_SAMPLER", "parentbased_consistent_probability")],
    &[("OTEL_TRACES_SAMPLER_ARG", "-0.5"), ("OTEL_TRACES_SAMPLER", "parentbased_links_based")],
    &[("OTEL_TRACES_SAMPLER_ARG", "0"), ("OTEL_TRACES_SAMPLER", "parentbased_rate_limited")],
    &[("OTEL_TRACES_SAMPLER_ARG", "lots"), ("OTEL_TRACES_SAMPLER", "adaptive")],
    &[("OTEL_TRACES_SAMPLER_ARG", "inf"), ("OTEL_TRACES_SAMPLER", "parentbased_adaptive")],
    &[("OTEL_TRACES_SAMPLER_ARG", "1.5"), ("OTEL_TRACES_SAMPLER", "traceidratio")],
    &[("OTEL_TRACES_SAMPLER_ARG", "NaN"), ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")],
    &[("OTEL_TRACES_EXPORTER", "zipkin")],
    &[("OTEL_TRACES_EXPORTER", "console,jaeger")],
    &[("OTEL_TRACES_EXPORTER", "none,otlp")],
    &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
    &[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift")],
    &[("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317")],
    &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")],
    &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://:4317")],
    &[("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:///run/otel.sock")],
    &[("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")],
    &[("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1")],
    &[("OTEL_EXPORTER_OTLP_HEADERS", "authorization: Bearer secret")],
    &[("OTEL_EXPORTER_OTLP_INSECURE", "yes")],
    &[("OTEL_BSP_MAX_QUEUE_SIZE", "-1")],
    &[("OTEL_BSP_MAX_QUEUE_SIZE", "0")],
    &[("OTEL_BSP_SCHEDULE_DELAY", "5s")],
    &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "9999")],
    &[("OTEL_SPAN_LINK_COUNT_LIMIT", "many")],
    &[("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1")],
    &[("OTEL_ATTRIBUTE_COUNT_LIMIT", "1e3")],
    &[("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4 KiB")],
    &[("OTEL_RESOURCE_ATTRIBUTES", "no-equals-sign")],
    &[("OTEL_RESOURCE_ATTRIBUTES", "=value,team=a")],
    &[("OTEL_PROPAGATORS", "tracecontext,baggage,xray-lambda")],
    &[("OTEL_PROPAGATORS", "morse")],
    &[("OTEL_PROPAGATORS", "none,b3")],
    &[("OTEL_SDK_DISABLED", "yes")],
    &[("OTEL_SDK_DISABLED", "1")],
    &[("PROPAGATION_DISABLED", "on")],
];

#[tokio::test]
async fn unusable_variables_are_ignored_and_reported() {
    for row in UNUSABLE {
        let (name, value) = row[0];
        let telemetry = setup(row).build().unwrap_or_else(|error| panic!("{row:?}: {error}"));
        let texts: Vec<_> = telemetry.ignored_variables().iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 1, "{row:?}: {texts:?}");
        assert!(texts[0].contains(name), "{row:?}: {texts:?}");
        assert!(
            !texts[0].contains(value) || ["OTEL_PROPAGATORS", "OTEL_EXPORTER_OTLP_PROTOCOL"].contains(&name),
            "{texts:?}"
        );
        assert!(telemetry.propagator().is_enabled());
    }
}

#[tokio::test]
async fn unusable_variables_are_errors_when_strict() {
    for row in UNUSABLE {
        let error = setup(row).strict().build().map(|_| row).expect_err("an error").to_string();
        assert!(error.contains(row[0].0), "{row:?}: {error}");
    }
    for usable in [
        &[("OTEL_TRACES_EXPORTER", " OTLP , console ")] as Variables,
        &[("OTEL_TRACES_SAMPLER", "")],
        &[("OTEL_SDK_DISABLED", "TRUE")],
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "HTTP://localhost:4317")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "True")],
        &[("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x-team = shop")],
        &[("OTEL_PROPAGATORS", "B3,tracecontext")],
    ] {
        setup(usable).strict().build().unwrap_or_else(|error| panic!("{usable:?}: {error}"));
    }
}

#[test]
fn ignored_variables_leave_the_rest_and_the_defaults() {
    let (telemetry, exporter) = started(&[
        ("OTEL_PROPAGATORS", "xray-lambda,b3,tracecontext"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=a,nonsense"),
    ]);
    telemetry.tracer("test").start("root").end();
    assert_eq!(exporter.get_finished_spans().unwrap().len(), 1, "parentbased_always_on");
    let mut written: Vec<(String, Vec<u8>)> = Vec::new();
    telemetry.propagator().inject(&Peer::http("api"), &caller(), &mut written);
    let names: Vec<_> = written.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["b3", "traceparent"]);
    assert!(!format!("{:?}", telemetry.provider()).contains("team"), "the list is discarded as a whole");
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn https_without_tls_starts_and_counts_lost_spans() {
    let https: Variables = &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:secret@collector.example:4317?key=1")];
    assert!(matches!(setup(https).strict().build(), Err(SetupError::Exporter(_))));
    let telemetry = setup(https).build().unwrap();
    telemetry.propagator().start(Hop::remote(SpanKind::Server, caller())).end(&Outcome::Unset);
    let error = telemetry.shutdown().await.unwrap_err().to_string();
    assert!(error.contains("1 span") && error.contains("https://collector.example:4317:"), "{error}");
    assert!(error.contains("TLS") && !error.contains("secret@"), "{error}");
}

#[test]
fn export_outside_of_a_runtime_is_an_error_and_no_panic() {
    assert!(matches!(setup(&[]).build(), Err(SetupError::NoRuntime)));
    assert!(setup(&[("OTEL_TRACES_EXPORTER", "none")]).build().is_ok());
}

#[test]
fn the_console_needs_no_runtime_and_gets_a_line_for_each_span() {
    // Standard output is the process's: the test starts itself as a process and reads the output.
    if std::env::var_os("WRITE_A_SPAN").is_some() {
        let telemetry = setup(&[("OTEL_TRACES_EXPORTER", "console")]).build().unwrap();
        let hop = Hop::remote(SpanKind::Server, caller()).named("GET /orders").with("text", "two\nlines");
        telemetry.propagator().start(hop).end(&Outcome::error("503"));
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "setup::the_console_needs_no_runtime_and_gets_a_line_for_each_span", "--nocapture"])
        .env("WRITE_A_SPAN", "1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("GET /orders")).expect(&text);
    for part in
        ["Server", "service=\"orders\"", "4bf92f3577b34da6a3ce929d0e0e4736", "parent=00f067aa0ba902b7", "status=error"]
    {
        assert!(line.contains(part), "no {part} in {line}");
    }
    assert!(line.contains("two\\nlines"), "{line}");
}

#[test]
fn disabled_sdk_exports_nothing_and_forwards_context() {
    let (telemetry, exporter) = started(&[("OTEL_SDK_DISABLED", "true")]);
    let hop = telemetry.propagator().start(Hop::remote(SpanKind::Server, caller()));
    assert_eq!(*hop.context(), caller());
    hop.end(&Outcome::Unset);
    telemetry.tracer("test").start("own").end();
    assert!(exporter.get_finished_spans().unwrap().is_empty());
}

/// The endpoint of a port that refuses connections.
fn refusing() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

#[tokio::test]
async fn lost_spans_are_counted_and_returned_by_the_shutdown() {
    let endpoint = refusing();
    let variable = endpoint.clone();
    let telemetry = Setup::new("loser")
        .variables(move |name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| variable.clone()))
        .build()
        .unwrap();
    let propagator = telemetry.propagator();
    let spans = |count| {
        for _ in 0..count {
            propagator.start(Hop::remote(SpanKind::Server, caller())).end(&Outcome::Unset);
        }
    };
    // Two batches fail, not only the last one.
    spans(3);
    let provider = telemetry.provider().clone();
    tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap_err();
    spans(2);
    match telemetry.shutdown().await {
        Err(SetupError::SpansLost { spans, endpoint: shown, cause }) => {
            assert_eq!((spans, shown.as_str()), (5, endpoint.as_str()));
            assert!(cause.contains("onnection refused"), "{cause}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(propagator.counters().spans_not_exported(), 5);
    let failed = propagation_core::bridge::failed_exports();
    let failed = failed.iter().find(|failed| failed.service == "loser").expect("the failure is listed");
    assert_eq!((failed.spans, failed.endpoint.as_str()), (5, endpoint.as_str()));
    assert!(format!("{:?}", propagator.counters()).contains("spans_not_exported: 5"));
}

/// An exporter that fails on demand.
#[derive(Clone, Debug, Default)]
struct Flaky(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl opentelemetry_sdk::trace::SpanExporter for Flaky {
    async fn export(&self, _: Vec<opentelemetry_sdk::trace::SpanData>) -> opentelemetry_sdk::error::OTelSdkResult {
        if self.0.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(opentelemetry_sdk::error::OTelSdkError::InternalFailure("503\nretry later".into()));
        }
        Ok(())
    }
}

#[tokio::test]
async fn failed_exports_make_one_error_event_a_minute() {
    let flaky = Flaky::default();
    let telemetry = setup(&[]).exporter(flaky.clone()).build().unwrap();
    let events = crate::logs_of::Events::default();
    let subscriber = tracing_subscriber::registry().with(events.clone());
    tracing::subscriber::with_default(subscriber, || {
        let propagator = telemetry.propagator();
        let span = || propagator.start(Hop::remote(SpanKind::Server, caller())).end(&Outcome::Unset);
        span();
        flaky.0.store(true, std::sync::atomic::Ordering::Relaxed);
        (0..5).for_each(|_| span());
        flaky.0.store(false, std::sync::atomic::Ordering::Relaxed);
        span();
    });
    let errors = events.of(tracing::Level::ERROR);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let error = &errors[0];
    assert!(error.contains("503") && error.contains("retry later") && !error.contains('\n'), "{error}");
    assert!(error.contains("OTEL_TRACES_EXPORTER=none"), "{error}");
    let counts = telemetry.span_counts();
    assert_eq!((counts.ended, counts.exported, counts.failed), (7, 2, 5));
    assert!(matches!(telemetry.shutdown().await, Err(SetupError::SpansLost { spans: 5, .. })));
}

#[tokio::test]
async fn a_shutdown_without_lost_spans_succeeds() {
    let (telemetry, _) = started(&[("OTEL_TRACES_SAMPLER", "parentbased_always_off")]);
    let propagator = telemetry.propagator();
    propagator.start(Hop::remote(SpanKind::Server, caller())).end(&Outcome::Unset);
    // Not sampled: nothing to export, nothing lost.
    propagator.start(Hop::remote(SpanKind::Server, PropagationContext::EMPTY)).end(&Outcome::Unset);
    assert_eq!(telemetry.span_counts().ended, 1);
    telemetry.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_full_queue_counts_its_spans_as_lost() {
    let endpoint = refusing();
    let telemetry = Setup::new("full")
        .variables(move |name| match name {
            "OTEL_BSP_MAX_QUEUE_SIZE" | "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" => Some("4".to_owned()),
            _ => (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone()),
        })
        .build()
        .unwrap();
    let propagator = telemetry.propagator();
    (0..500).for_each(|_| propagator.start(Hop::remote(SpanKind::Server, caller())).end(&Outcome::Unset));
    assert!(matches!(telemetry.shutdown().await, Err(SetupError::SpansLost { spans: 500, .. })));
    assert_eq!(propagator.counters().spans_not_exported(), 500);
}

/// Takes one request, and answers with its head.
#[cfg(feature = "otlp-http")]
fn collector() -> (String, std::thread::JoinHandle<String>) {
    use std::io::{BufRead, BufReader, Read, Write};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let taken = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            stream.read_line(&mut head).unwrap();
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        // The name of the span is in the message as it is.
        assert!(body.windows(11).any(|bytes| bytes == b"GET /orders"));
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        head
    });
    (address, taken)
}

#[cfg(feature = "otlp-http")]
#[test]
fn http_protobuf_builds_the_traces_endpoint() {
    for (variable, path, request) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "", "post /v1/traces http/1.1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "/otlp/", "post /otlp/v1/traces http/1.1"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/spans", "post /spans http/1.1"),
    ] {
        for inside_of_a_runtime in [false, true] {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _inside = inside_of_a_runtime.then(|| runtime.enter());
            let (address, taken) = collector();
            let url = format!("http://{address}{path}");
            let setup = Setup::new("orders").variables(move |name| match name {
                "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("http/protobuf".to_owned()),
                _ => (name == variable).then(|| url.clone()),
            });
            let telemetry = setup.build().unwrap();
            let hop = Hop::remote(SpanKind::Server, caller()).named("GET /orders");
            telemetry.propagator().start(hop).end(&Outcome::Unset);
            telemetry.provider().force_flush().unwrap();
            let head = taken.join().unwrap();
            assert!(head.starts_with(request) && head.contains("application/x-protobuf"), "{head}");
        }
    }
}

#[cfg(not(feature = "otlp-http"))]
#[test]
fn http_protobuf_without_feature_is_an_error_naming_it() {
    let error = setup(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]).build().unwrap_err();
    assert!(error.to_string().contains("otlp-http"), "{error}");
}
