//! A tool call over the Model Context Protocol: `mcp` starts `mcp serve` and calls a tool, with its context in `_meta`.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use propagation_core::{
    Hop, Outcome, Peer, PropagationContext, SpanKind,
    carrier::{JsonCarrier, JsonCarrierMut},
};
use propagation_opentelemetry::setup::{Setup, Telemetry};
use serde_json::{Map, Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let serves = std::env::args().nth(1).as_deref() == Some("serve");
    let telemetry = Setup::new(if serves { "quotes" } else { "agent" }).build()?;
    if serves {
        serve(&telemetry)?;
    } else {
        call(&telemetry)?;
    }
    if let Err(error) = telemetry.shutdown().await {
        eprintln!("telemetry is incomplete: {error}");
    }
    Ok(())
}

fn call(telemetry: &Telemetry) -> Result<(), Box<dyn std::error::Error>> {
    let propagator = telemetry.propagator();
    let hop = propagator.start(Hop::local(SpanKind::Client, PropagationContext::EMPTY).named("tools/call quote"));
    let mut meta = Map::new();
    propagator.inject(&Peer::process("quotes"), hop.context(), &mut JsonCarrierMut::new(&mut meta));
    let request =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "quote", "_meta": meta}});

    let mut command = Command::new(std::env::current_exe()?);
    let mut server = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let (Some(mut input), Some(output)) = (server.stdin.take(), server.stdout.take()) {
        writeln!(input, "{request}")?;
        drop(input);
        let mut response = String::new();
        BufReader::new(output).read_line(&mut response)?;
        print!("{response}");
    }
    server.wait()?;
    hop.end(&Outcome::Unset);
    Ok(())
}

fn serve(telemetry: &Telemetry) -> Result<(), Box<dyn std::error::Error>> {
    let propagator = telemetry.propagator();
    for line in std::io::stdin().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let none = Map::new();
        let meta = request["params"]["_meta"].as_object().unwrap_or(&none);
        let admission = propagator.extract(&Peer::process("agent"), &JsonCarrier::new(meta));
        let hop = propagator.start(Hop::admitted(SpanKind::Server, admission).named("tools/call quote"));
        let result =
            json!({"jsonrpc": "2.0", "id": request["id"], "result": {"content": [{"type": "text", "text": "42"}]}});
        hop.in_scope(|| println!("{result}"));
        hop.end(&Outcome::Unset);
    }
    Ok(())
}
