//! A Lambda function behind a queue: reads an SQS event from standard input and processes each record in the trace of its message.
//! An event without records is a direct call, in the trace of `_X_AMZN_TRACE_ID`.
//!
//! X-Ray's format is one of `OTEL_PROPAGATORS`: `tracecontext,baggage,xray`.

use propagation_core::{Hop, Outcome, Peer, SpanKind, carrier::EnvironmentCarrier};
use propagation_opentelemetry::setup::{Setup, Telemetry};
use propagation_sqs::{ConsumerPropagation, lambda};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Setup::new("billing").build()?;
    let event: Value = serde_json::from_reader(std::io::stdin())?;
    let records: Vec<lambda::Record> = lambda::records(&event).collect();
    if records.is_empty() {
        invoke(&telemetry);
    }
    for record in records {
        let consumer = ConsumerPropagation::new(telemetry.propagator(), record.queue);
        consumer.process(&record.message, bill(record.message.body())).await?;
    }
    if let Err(error) = telemetry.shutdown().await {
        eprintln!("telemetry is incomplete: {error}");
    }
    Ok(())
}

async fn bill(order: Option<&str>) -> Result<(), std::io::Error> {
    println!("bills {}", order.unwrap_or_default());
    Ok(())
}

fn invoke(telemetry: &Telemetry) {
    let propagator = telemetry.propagator();
    let admission = propagator.extract(&Peer::process("lambda"), &EnvironmentCarrier::from_env());
    let hop = propagator.start(Hop::admitted(SpanKind::Server, admission).named("billing"));
    hop.in_scope(|| println!("bills nothing"));
    hop.end(&Outcome::Unset);
}
