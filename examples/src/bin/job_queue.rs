//! A job queue in a file of JSON lines: `job_queue enqueue FILE` stores a job with its context, `job_queue work FILE` runs all jobs,
//! each in the trace that enqueued it.

use std::{fs, io::Write};

use propagation_core::{Hop, Outcome, Peer, PropagationContext, SpanKind, StoredContext};
use propagation_opentelemetry::setup::{Setup, Telemetry};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Job {
    order: u32,
    /// A map of names and values; a job without it begins a trace of its own.
    #[serde(default)]
    context: StoredContext,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, file] = arguments.as_slice() else { return Err("usage: job_queue enqueue|work FILE".into()) };
    let telemetry = Setup::new(if mode == "work" { "worker" } else { "orders" }).build()?;
    match mode.as_str() {
        "work" => work(&telemetry, file)?,
        _ => enqueue(&telemetry, file)?,
    }
    if let Err(error) = telemetry.shutdown().await {
        eprintln!("telemetry is incomplete: {error}");
    }
    Ok(())
}

fn enqueue(telemetry: &Telemetry, file: &str) -> Result<(), Box<dyn std::error::Error>> {
    let propagator = telemetry.propagator();
    let hop = propagator.start(Hop::local(SpanKind::Producer, PropagationContext::EMPTY).named("enqueue invoice"));
    let mut context = StoredContext::new();
    propagator.inject(&Peer::process("worker"), hop.context(), &mut context);
    let line = serde_json::to_string(&Job { order: 4711, context })?;
    writeln!(fs::OpenOptions::new().append(true).create(true).open(file)?, "{line}")?;
    hop.end(&Outcome::Unset);
    Ok(())
}

fn work(telemetry: &Telemetry, file: &str) -> Result<(), Box<dyn std::error::Error>> {
    let propagator = telemetry.propagator();
    for line in fs::read_to_string(file)?.lines() {
        let job: Job = serde_json::from_str(line)?;
        let admission = propagator.extract(&Peer::process("orders"), &job.context);
        let hop = propagator.start(Hop::admitted(SpanKind::Consumer, admission).named("process invoice"));
        hop.in_scope(|| println!("invoice of order {}", job.order));
        hop.end(&Outcome::Unset);
    }
    Ok(())
}
