//! The programs with stored contexts: `outbox`, `cron`, `job_queue`, `mcp`, `lambda`.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use propagation_testkit::{
    otlp::OtlpReceiver,
    trace::{SpanKind, TraceGraph, named, service},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Runs a program of the examples to its end; its spans go to the receiver. Returns its output.
fn run(receiver: &OtlpReceiver, program: &str, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> String {
    let mut command = Command::new(program);
    command.env_clear().envs(receiver.environment()).envs(variables.iter().copied()).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the path of a file that is not there yet.
fn file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    std::fs::remove_file(&path).ok();
    path
}

/// Returns the graph, once it has so many spans.
async fn spans(receiver: &OtlpReceiver, count: usize) -> TraceGraph {
    let wait = receiver.wait_for(|graph| graph.len() >= count, std::time::Duration::from_secs(60));
    wait.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn outbox_row_is_published_by_another_process() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let (program, file) = (env!("CARGO_BIN_EXE_outbox"), file("outbox"));
    run(&receiver, program, &["order", file.to_str().unwrap()], &[], "");
    run(&receiver, program, &["relay", file.to_str().unwrap()], &[], "");
    std::fs::remove_file(&file).unwrap();
    let graph = spans(&receiver, 3).await;
    graph
        .assert_edge(named("POST /orders"), named("process orders"))
        .assert_link(named("process orders"), named("POST /orders"))
        .assert_link(named("send orders"), named("POST /orders"));
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_job_continues_the_trace_of_its_scheduler() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let output = run(&receiver, env!("CARGO_BIN_EXE_cron"), &[], &[], "");
    assert_eq!(output, "backing up\n");
    spans(&receiver, 2).await.assert_edge(service("nightly"), service("backup")).assert_continuous();
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_job_continues_the_trace_that_enqueued_it() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let (program, file) = (env!("CARGO_BIN_EXE_job_queue"), file("jobs"));
    for mode in ["enqueue", "enqueue", "work"] {
        run(&receiver, program, &[mode, file.to_str().unwrap()], &[], "");
    }
    std::fs::remove_file(&file).unwrap();
    let graph = spans(&receiver, 4).await;
    assert_eq!(graph.traces().len(), 2);
    graph.assert_each_edge(service("orders").kind(SpanKind::Producer), service("worker").kind(SpanKind::Consumer));
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_call_carries_its_context_in_meta() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let output = run(&receiver, env!("CARGO_BIN_EXE_mcp"), &[], &[], "");
    assert!(output.contains(r#""text":"42""#), "{output}");
    let graph = spans(&receiver, 2).await;
    graph
        .assert_edge(service("agent").kind(SpanKind::Client), service("quotes").kind(SpanKind::Server))
        .assert_continuous();
}

#[tokio::test(flavor = "multi_thread")]
async fn lambda_continues_the_trace_of_its_record_or_call() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let program = env!("CARGO_BIN_EXE_lambda");
    let xray = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1";
    let record = format!(
        r#"{{"Records": [{{"messageId": "1", "body": "order 4711", "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:paid",
            "messageAttributes": {{"traceparent": {{"dataType": "String", "stringValue": "00-{TRACE}-00f067aa0ba902b7-01"}}}}}}]}}"#
    );
    assert_eq!(run(&receiver, program, &[], &[], &record), "bills order 4711\n");
    let called = [("_X_AMZN_TRACE_ID", xray), ("OTEL_PROPAGATORS", "tracecontext,baggage,xray")];
    assert_eq!(run(&receiver, program, &[], &called, "{}"), "bills nothing\n");
    let graph = spans(&receiver, 2).await;
    assert!(graph.spans().all(|span| span.trace_id.to_string() == TRACE), "{graph}");
    let mut names: Vec<&str> = graph.spans().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["billing", "process paid"]);
}
