//! Load from hostile clients beside a good one: the price of the HTTP server layer for the good client, and the memory of the server.
//!
//! `cargo run --release -p propagation-examples --bin hostile` starts three servers, each a process of its own on the loopback
//! interface: without the layer; with the layer, the OpenTelemetry bridge and the profile `internal`; and the same with an exporter that
//! hangs, so that spans wait in the queue. Each gets five waves of 1,000 hostile connections. It prints the good client's p99 and the
//! server's resident memory after each wave as a Markdown table, and fails if the memory grows from wave to wave. It takes less than a
//! minute, and ends on its own after two at the latest. Linux only: memory is read from `/proc`.
//!
//! `hostile --connections 50 --waves 2` is a short run.

mod load;
mod server;

use std::{
    error::Error,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use clap::Parser;

use load::Wave;
use server::Kind;

/// The longest that a run may take.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Parser)]
#[command(about = "Hostile connections beside a good client, with and without the server layer")]
struct Arguments {
    /// Hostile connections of a wave.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Waves for each server.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    waves: u32,
    /// Serves, instead of driving the load. For the program itself.
    #[arg(long, hide = true)]
    serve: Option<Kind>,
}

/// A server in a process of its own.
struct Served {
    child: Child,
    address: SocketAddr,
    waves: Vec<Wave>,
    resident: Vec<u64>,
}

impl Served {
    fn start(kind: Kind) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", kind.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
        Ok(Self { child, address: line.trim().parse()?, waves: Vec::new(), resident: Vec::new() })
    }

    async fn wave(&mut self, connections: u32) -> Result<(), Box<dyn Error>> {
        self.waves.push(load::wave(self.address, connections).await?);
        self.resident.push(resident_kib(self.child.id())?);
        Ok(())
    }

    /// The good client's 99th percentile over all waves.
    fn p99(&self) -> Duration {
        let mut times: Vec<Duration> = self.waves.iter().flat_map(|wave| wave.times.iter().copied()).collect();
        times.sort_unstable();
        let at = times.len().saturating_mul(99) / 100;
        times.get(at).or(times.last()).copied().unwrap_or_default()
    }

    fn failures(&self) -> usize {
        self.waves.iter().map(|wave| wave.failures).sum()
    }

    /// Whether the last wave left no more than a tenth and 4 MiB above the first: the allocator and the span queue are full by then.
    fn is_flat(&self) -> bool {
        let (first, last) = (self.resident.first(), self.resident.last());
        first.zip(last).is_none_or(|(first, last)| *last <= first + first / 10 + 4096)
    }

    fn row(&self, name: &str) -> String {
        let memory: Vec<String> = self.resident.iter().map(|kib| format!("{:.1}", kib_to_mib(*kib))).collect();
        let good: usize = self.waves.iter().map(|wave| wave.times.len()).sum();
        let p99 = self.p99().as_secs_f64() * 1000.0;
        format!("| {name} | {p99:.2} ms | {good} ({} failed) | {} |", self.failures(), memory.join(", "))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kib_to_mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}

fn resident_kib(process: u32) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

async fn measure(connections: u32, waves: u32) -> Result<bool, Box<dyn Error>> {
    let (mut bare, mut layer) = (Served::start(Kind::Bare)?, Served::start(Kind::Layer)?);
    for _ in 0..waves {
        // In turns, so that other load on the machine falls on both.
        bare.wave(connections).await?;
        layer.wave(connections).await?;
    }
    let mut hanging = Served::start(Kind::Hanging)?;
    for _ in 0..waves {
        hanging.wave(connections).await?;
    }
    println!("{connections} hostile connections a wave\n");
    println!(
        "| Server | p99 of the good client | its requests | resident memory after each wave, MiB |\n|---|---|---|---|"
    );
    println!("{}\n{}", bare.row("without layer"), layer.row("layer, OpenTelemetry bridge"));
    println!("{}\n", hanging.row("layer, hanging exporter"));
    println!("p99 with the layer / without: {:.2}", layer.p99().as_secs_f64() / bare.p99().as_secs_f64());
    let served = [("layer", &layer), ("hanging exporter", &hanging)];
    for (name, _) in served.iter().filter(|(_, served)| !served.is_flat()) {
        eprintln!("{name}: memory grows from wave to wave");
    }
    Ok(served.iter().all(|(_, served)| served.is_flat() && served.failures() == 0))
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    if let Some(kind) = arguments.serve {
        server::serve(kind).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let holds = tokio::time::timeout(LIMIT, measure(arguments.connections, arguments.waves)).await??;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
