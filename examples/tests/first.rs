//! The README's first program as a newcomer runs it: without a Collector, beside another `tracing-opentelemetry`, with a filter for the own
//! crate alone. Each makes one line that names cause and remedy.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use propagation_core::{Hop, Outcome, PropagationContext, SpanKind};
use propagation_opentelemetry::setup::Setup;
use propagation_testkit::{otlp::OtlpReceiver, trace::TraceGraph};
use tracing_subscriber::layer::SubscriberExt;

/// The program, to run it in a process that is set up differently.
mod program {
    include!("../src/bin/first/program.rs");

    pub(super) fn run() -> Result<(), Box<dyn std::error::Error>> {
        main()
    }
}

struct Ended {
    status: ExitStatus,
    output: String,
    errors: String,
}

impl Ended {
    /// The lines of both streams that contain a text.
    fn lines(&self, text: &str) -> Vec<&str> {
        self.output.lines().chain(self.errors.lines()).filter(|line| line.contains(text)).collect()
    }
}

/// Starts the program, sends a request, and ends it by a signal.
async fn run(environment: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_first"));
    for name in ["RUST_LOG", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SDK_DISABLED"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut output = String::new();
    while !output.ends_with("/orders/4711\n") {
        assert_ne!(stdout.read_line(&mut output).unwrap(), 0, "the program ended: {output}");
    }
    let url = output.lines().last().unwrap();
    assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), "an order");
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let mut errors = String::new();
    stdout.read_to_string(&mut output).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    Ended { status: child.wait().unwrap(), output, errors }
}

/// The endpoint of a port that refuses connections.
fn refusing() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

#[test]
fn the_readme_shows_the_whole_program() {
    let readme = include_str!("../../README.md");
    let program = include_str!("../src/bin/first/program.rs");
    assert!(
        readme.contains(&format!("```rust,no_run\n{program}```\n")),
        "copy examples/src/bin/first/program.rs into README.md"
    );
}

#[tokio::test]
async fn with_a_collector_no_line_is_a_complaint() {
    let traces = OtlpReceiver::start().await.unwrap();
    let ended = run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &traces.grpc_endpoint())]).await;
    assert!(ended.status.success());
    assert_eq!((ended.lines("ERROR").len(), ended.lines("WARN").len(), ended.errors.as_str()), (0, 0, ""));
    let has_span = |graph: &TraceGraph| graph.len() == 1;
    traces.wait_for(has_span, Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn without_a_collector_one_line_names_endpoint_and_remedy() {
    let endpoint = refusing();
    let ended = run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    assert!(ended.status.success(), "a healthy service: {}", ended.errors);
    let lines = ended.lines("OTEL_TRACES_EXPORTER=none");
    assert_eq!(lines.len(), 1, "{}{}", ended.output, ended.errors);
    for part in ["ERROR", "propagation", &endpoint, "onnection refused", "start an OpenTelemetry Collector"] {
        assert!(lines[0].contains(part), "no {part} in {}", lines[0]);
    }
    let ends = ended.lines("telemetry is incomplete");
    assert!(ends.len() == 1 && ends[0].contains("1 span"), "{ends:?}");
}

#[tokio::test]
async fn a_filter_for_the_own_crate_makes_one_line() {
    let traces = OtlpReceiver::start().await.unwrap();
    for endpoint in [traces.grpc_endpoint(), refusing()] {
        let ended = run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("RUST_LOG", "myapp=info")]).await;
        assert!(ended.status.success());
        assert_eq!(ended.errors.lines().count(), 1, "{}", ended.errors);
        for part in ["RUST_LOG=\"myapp=info\"", "`propagation`", "add `,propagation=info`"] {
            assert!(ended.errors.contains(part), "no {part} in {}", ended.errors);
        }
        assert_eq!(ended.output.lines().count(), 1, "the URL alone: {}", ended.output);
    }
    // The span is exported all the same.
    traces.wait_for(|graph| graph.len() == 1, Duration::from_secs(10)).await.unwrap();
    for filter in ["myapp=info,propagation=info", "off", "info"] {
        let ended = run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &traces.grpc_endpoint()), ("RUST_LOG", filter)]).await;
        assert_eq!(ended.errors, "", "{filter}");
    }
}

#[test]
fn another_tracing_opentelemetry_makes_one_line() {
    const CHILD: &str = "FIRST_WITH_ANOTHER_LAYER";
    if std::env::var_os(CHILD).is_some() {
        let layer = tracing_opentelemetry_0_33::layer();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
        // As a `main` that returns an error prints it.
        let error = program::run().unwrap_err();
        eprintln!("Error: {error:?}");
        std::process::exit(1);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "another_tracing_opentelemetry_makes_one_line", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    for part in ["a tracing subscriber is installed already", "cargo tree -i", "Telemetry::span_layer()"] {
        assert!(errors.contains(part), "no {part} in {errors}");
    }
}

#[tokio::test]
async fn a_failed_export_is_named_where_a_trace_is_missing() {
    let (traces, endpoint) = (OtlpReceiver::start().await.unwrap(), refusing());
    let variable = endpoint.clone();
    let setup = Setup::new("forgetful");
    let setup = setup.variables(move |name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| variable.clone()));
    let telemetry = setup.build().unwrap();
    let hop = Hop::remote(SpanKind::Server, PropagationContext::EMPTY);
    telemetry.propagator().start(hop).end(&Outcome::Unset);
    telemetry.shutdown().await.unwrap_err();
    let claim = |graph: &TraceGraph| graph.services_seen(&["forgetful"]);
    let failure = traces.wait_until(claim, Duration::from_millis(100)).await.unwrap_err().to_string();
    assert!(failure.contains(&format!("1 spans of \"forgetful\" could not be exported to {endpoint}")), "{failure}");
}
