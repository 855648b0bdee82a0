//! The service in Python as a process of its own: `integration-tests/python/bridge`.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    shop::{PATIENCE, Shop},
    variable,
};

/// Ends when its input does, so with the test at the latest.
pub(crate) struct Bridge {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    /// Lines that were passed over while another was waited for.
    seen: Vec<Value>,
}

impl Bridge {
    /// Starts a service between these two, and waits until it receives.
    pub(crate) async fn between(shop: &Shop, name: &str, from: &str, to: &str, options: &[&str]) -> (Self, Value) {
        let mut bridge = Self::start(shop, name, from, to, options);
        let ready = bridge.next("ready").await;
        (bridge, ready)
    }

    /// Starts a service that sends one message as the root of a trace, and ends.
    pub(crate) async fn root(shop: &Shop, name: &str, to: &str, options: &[&str]) {
        let mut bridge = Self::start(shop, name, "start", to, options);
        bridge.next("sent").await;
        bridge.stop().await;
    }

    fn start(shop: &Shop, name: &str, from: &str, to: &str, options: &[&str]) -> Self {
        let mut child = Command::new(variable("PROPAGATION_PYTHON"))
            .args(["-m", "bridge", "--from", from, "--to", to, "--service", name])
            .args(["--otlp", &shop.receiver.http_endpoint(), "--group", &shop.name(name)])
            .args(options)
            .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("PROPAGATION_PYTHON is an interpreter");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take(), lines, child, seen: Vec::new() }
    }

    /// Returns the next line of this kind.
    pub(crate) async fn next(&mut self, event: &str) -> Value {
        if let Some(at) = self.seen.iter().position(|line| line["event"] == event) {
            return self.seen.remove(at);
        }
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
            let line = line
                .unwrap_or_else(|_| panic!("no event `{event}` of the service in Python; received {:?}", self.seen));
            let line = line.unwrap().unwrap_or_else(|| {
                panic!("the service in Python ended before the event `{event}`; received {:?}", self.seen)
            });
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["event"] == event {
                return line;
            }
            self.seen.push(line);
        }
    }

    /// Lets it end in its own time, with all its spans exported.
    pub(crate) async fn stop(mut self) {
        drop(self.input.take());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let ended = ended.expect("it ends when its input does").unwrap();
        assert!(ended.success(), "the service in Python: {ended}");
    }
}
