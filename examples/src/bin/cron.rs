//! A scheduled job: `cron` starts a trace and a child process; the child, `cron job`, continues it from its environment.
//!
//! ```text
//! cron (nightly) ── environment: TRACEPARENT, BAGGAGE ──▶ cron job (backup)
//! ```

use std::process::Command;

use propagation_core::{Hop, Outcome, Peer, PropagationContext, SpanKind, carrier::EnvironmentCarrier};
use propagation_opentelemetry::setup::{Setup, Telemetry};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let is_job = std::env::args().nth(1).as_deref() == Some("job");
    let telemetry = Setup::new(if is_job { "backup" } else { "nightly" }).build()?;
    if is_job {
        job(&telemetry);
    } else {
        schedule(&telemetry)?;
    }
    if let Err(error) = telemetry.shutdown().await {
        eprintln!("telemetry is incomplete: {error}");
    }
    Ok(())
}

/// Starts the job in the context of a new trace.
fn schedule(telemetry: &Telemetry) -> std::io::Result<()> {
    let propagator = telemetry.propagator();
    let hop = propagator.start(Hop::local(SpanKind::Internal, PropagationContext::EMPTY).named("nightly"));
    let mut child = EnvironmentCarrier::new();
    propagator.inject(&Peer::process("backup"), hop.context(), &mut child);
    let mut command = Command::new(std::env::current_exe()?);
    child.apply_to(&mut command);
    let status = command.arg("job").status()?;
    hop.end(&if status.success() { Outcome::Unset } else { Outcome::error(status.to_string()) });
    Ok(())
}

/// Runs the job in the context of its environment.
fn job(telemetry: &Telemetry) {
    let propagator = telemetry.propagator();
    let admission = propagator.extract(&Peer::process("nightly"), &EnvironmentCarrier::from_env());
    let hop = propagator.start(Hop::admitted(SpanKind::Internal, admission).named("backup"));
    hop.in_scope(|| println!("backing up"));
    hop.end(&Outcome::Unset);
}
