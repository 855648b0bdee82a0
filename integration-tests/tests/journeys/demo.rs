//! The order shop as its user runs it on the stack: each service in a container of its own, and no container is left behind. The engine's
//! events show that the services ran in containers.

use std::{collections::BTreeSet, path::PathBuf, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::shop::PATIENCE;

const SERVICES: [&str; 5] = ["gateway", "notifications", "orders", "payments", "shipping"];

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).kill_on_drop(true);
    command.args(["demo", "--brokers", "compose"]).args(arguments);
    command
}

/// The results of a run: its report, its output and its exit status.
struct Run {
    report: Value,
    printed: String,
    status: Option<i32>,
}

async fn run(arguments: &[&str]) -> Run {
    let file: PathBuf = std::env::temp_dir().join(format!("demo-{}-{}.json", std::process::id(), arguments.join("")));
    let output = demo(arguments).arg("--report").arg(&file).output().await.unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let report = std::fs::read(&file).unwrap_or_else(|_| panic!("no report: {printed}"));
    std::fs::remove_file(&file).unwrap();
    Run { report: serde_json::from_slice(&report).unwrap(), printed, status: output.status.code() }
}

/// The services of this project whose containers the engine starts, read from its events while they start: it keeps few events, and
/// health checks are events, too.
struct Started {
    _engine: Child,
    names: Lines<BufReader<ChildStdout>>,
}

impl Started {
    fn watch() -> Self {
        let service = "{{index .Actor.Attributes \"com.docker.compose.service\"}}";
        let mut engine = Command::new("docker")
            .args(["events", "--filter", &project(), "--filter", "event=start", "--format", service])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let names = BufReader::new(engine.stdout.take().unwrap()).lines();
        Self { _engine: engine, names }
    }

    /// Waits until all of the demo's have started.
    async fn all(mut self) {
        let mut missing = BTreeSet::from(SERVICES);
        let all = async {
            while !missing.is_empty() {
                let name = self.names.next_line().await.unwrap().unwrap();
                missing.remove(name.as_str());
            }
        };
        let all = tokio::time::timeout(PATIENCE, all).await;
        assert!(all.is_ok(), "no container was started for {missing:?}");
    }
}

/// No container of the demo is there, running or not.
async fn assert_nothing_left() {
    let service = "{{.Label \"com.docker.compose.service\"}}";
    let output = Command::new("docker").args(["ps", "--all", "--filter", &project(), "--format", service]).output();
    let there = String::from_utf8(output.await.unwrap().stdout).unwrap();
    assert!(there.contains("ready"), "the stack is up, and so the engine answers: {there}");
    assert!(!there.lines().any(|name| SERVICES.contains(&name)), "left behind:\n{there}");
}

fn project() -> String {
    let project = std::env::var("COMPOSE_PROJECT_NAME").unwrap_or_else(|_| "propagation".to_owned());
    format!("label=com.docker.compose.project={project}")
}

#[tokio::test]
async fn fifty_orders_cross_five_containers_in_separate_traces() {
    let started = Started::watch();
    let run = run(&["--orders", "50"]).await;
    assert_eq!(run.status, Some(0), "{}", run.printed);
    assert_eq!(run.report["verdict"], "continuous", "{}", run.printed);
    assert_eq!(run.report["orders"].as_array().unwrap().len(), 50);

    started.all().await;
    let containers = run.report["containers"].as_object().unwrap();
    assert!(containers.keys().eq(SERVICES), "{containers:?}");
    assert_nothing_left().await;

    // Each container was asked for its health before the first order, through the adapter that makes a span of it.
    let others = run.report["other_spans"].as_array().unwrap();
    assert!(!others.is_empty(), "spans of acknowledgements, at least, are in no order's trace");
    assert!(!others.iter().any(|span| span.as_str().unwrap().contains("/healthz")), "health checks: {others:?}");
}

#[tokio::test]
async fn headers_stripped_between_containers_are_named_by_their_hop() {
    for (hop, from, to) in [("http", "notifications", "gateway"), ("amqp", "payments", "shipping")] {
        let run = run(&["--break", hop]).await;
        assert_eq!(run.status, Some(1), "{}", run.printed);
        assert_eq!(
            run.report["broken_at"],
            serde_json::json!({ "hop": hop, "from": from, "to": to }),
            "{}",
            run.printed
        );
        assert_eq!(run.report["containers"].as_object().unwrap().len(), SERVICES.len());
        assert_nothing_left().await;
    }
}

#[tokio::test]
async fn ctrl_c_leaves_no_container_behind() {
    let mut demo = demo(&["--orders", "10000"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.starts_with("started 5 services in containers") {
            break;
        }
    }
    // `cargo run` has become the demo, as exec does.
    let id = demo.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let ended = tokio::time::timeout(PATIENCE, demo.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(2));
    assert_nothing_left().await;
}
