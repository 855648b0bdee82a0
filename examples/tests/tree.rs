//! The program `tree` as a user runs it, with either bridge and with none: its spans, its record on Kafka and its log lines.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use propagation_testkit::{
    otlp::OtlpReceiver,
    trace::{AssertionFailure, SpanId, SpanKind, SpanSelector, TraceGraph, TraceId, named},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// The expected log lines and their spans.
const LOGGED: [(&str, &str); 4] = [
    ("placing an order", "place_order"),
    ("printing a label", "print_label"),
    ("notifying the warehouse", "notify_warehouse"),
    ("packing", "pack"),
];
const SPANS: usize = 7;

type Error = Box<dyn std::error::Error>;

/// The running program.
struct Tree {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Tree {
    async fn next_line(&mut self) -> Result<String, Error> {
        let line = tokio::time::timeout(Duration::from_secs(60), self.lines.next_line()).await??;
        line.ok_or_else(|| "the program ended".into())
    }

    /// Starts the program, places an order in a caller's trace, and returns its log lines by message.
    async fn order(bridge: &str, traces: &OtlpReceiver) -> Result<BTreeMap<String, Value>, Error> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tree"))
            .arg(bridge)
            .env_remove("KAFKA_BROKERS")
            .envs(traces.environment())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut tree = Self { _child: child, lines: BufReader::new(stdout).lines() };
        let first = tree.next_line().await?;
        let url = first.strip_prefix("POST ").ok_or_else(|| format!("no address: {first}"))?;
        let request = reqwest::Client::new()
            .post(url)
            .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
            .header("baggage", "tenant.id=blue,user.email=anna@example.com");
        assert_eq!(request.send().await?.error_for_status()?.text().await?, "order 4711");

        let mut logged = BTreeMap::new();
        while logged.len() < LOGGED.len() {
            let line: Value = serde_json::from_str(&tree.next_line().await?)?;
            if line["target"] == "propagation" {
                // The fields that the policy rejected.
                assert!(!line.to_string().contains("anna"), "{line}");
                continue;
            }
            let message = line["fields"]["message"].as_str().unwrap_or_default().to_owned();
            assert!(LOGGED.iter().any(|(known, _)| *known == message), "{line}");
            logged.insert(message, line);
        }
        // Only now may the program end: its spans must be here first.
        if bridge != "none" {
            traces.wait_until(|graph| whole(graph.clone()), Duration::from_secs(20)).await?;
        }
        Ok(logged)
    }
}

/// All that was made came, in one piece below the caller.
fn whole(graph: TraceGraph) -> Result<(), AssertionFailure> {
    let graph = graph.with_outside(CALLER.parse::<SpanId>());
    graph.continuous().and_then(|()| graph.count(SpanSelector::any(), SPANS))
}

/// Assertions for either bridge.
async fn one_connected_tree(bridge: &str) -> Result<TraceGraph, Error> {
    let traces = OtlpReceiver::start().await?;
    let logged = Tree::order(bridge, &traces).await?;
    let caller: SpanId = CALLER.parse()?;
    let graph = traces.graph().with_outside([caller]);
    graph
        .assert_continuous()
        .assert_only_traces(&[TRACE.parse::<TraceId>()?])
        .assert_count(SpanSelector::any(), SPANS)
        .assert_each_edge(named("POST /orders/{id}").kind(SpanKind::Server), "place_order")
        .assert_each_edge("place_order", "print_label")
        .assert_each_edge("place_order", "notify_warehouse")
        .assert_each_edge("place_order", named("send orders").kind(SpanKind::Producer))
        .assert_each_edge("send orders", named("process orders").kind(SpanKind::Consumer))
        .assert_each_link("process orders", "send orders")
        .assert_each_edge("process orders", "pack")
        .assert_sampled_consistently()
        .assert_nothing_dropped();

    for (message, span) in LOGGED {
        let (line, span) = (&logged[message], graph.find(named(span)).next().ok_or(span)?);
        assert_eq!(line["span_id"], span.span_id.to_string(), "{line}\n{graph}");
        assert_names_the_request(line);
    }
    let sent = graph.find("send orders").next().ok_or("no send")?;
    assert_eq!(logged["packing"]["fields"]["traceparent"], format!("00-{TRACE}-{}-01", sent.span_id));
    Ok(graph)
}

fn assert_names_the_request(line: &Value) {
    assert_eq!((&line["trace_id"], &line["trace_sampled"]), (&Value::from(TRACE), &Value::from(true)), "{line}");
    assert_eq!(line["baggage.tenant.id"], "blue", "{line}");
    assert!(!line.to_string().contains("anna"), "{line}");
}

#[tokio::test]
async fn tracing_bridge_makes_one_tree_and_logs_name_their_spans() {
    one_connected_tree("tracing").await.unwrap();
}

#[tokio::test]
async fn opentelemetry_bridge_makes_one_tree_and_logs_name_spans() {
    one_connected_tree("opentelemetry").await.unwrap();
}

#[tokio::test]
async fn no_bridge_makes_no_span_and_forwards_the_callers_context() {
    let traces = OtlpReceiver::start().await.unwrap();
    let logged = Tree::order("none", &traces).await.unwrap();
    assert_eq!(logged["packing"]["fields"]["traceparent"], format!("00-{TRACE}-{CALLER}-01"));
    for (message, _) in LOGGED {
        assert_eq!(logged[message]["span_id"], CALLER);
        assert_names_the_request(&logged[message]);
    }
    assert!(traces.graph().is_empty(), "{}", traces.graph());
}
