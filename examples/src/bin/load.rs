//! Requests per second and p99 of an axum service: bare, with the layer, and with the layer and spans.
//!
//! `cargo run --release -p propagation-examples --bin load [REQUESTS]` serves on loopback and keeps 64 connections busy. Each of ten rounds
//! measures all services in turn. It prints the median ratio to the bare service beside the ratio of two runs of the bare service, which is
//! the noise of the machine: a difference within it is none.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{Router, extract::Path, routing::get};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use propagation_core::{Policy, Propagator};
use propagation_http::ServerPropagationLayer;
use propagation_opentelemetry::OpenTelemetryBridge;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 10;
/// Requests for each connection, service and round.
const REQUESTS: usize = 200;
const MOST_REQUESTS: usize = 10_000;

const REQUEST: &[u8] = b"GET /orders/4711 HTTP/1.1\r\nhost: shop.example\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
    tracestate: congo=t61rcWkgMzE,rojo=00f067aa0ba902b7,ot=th:8\r\n\
    baggage: tenant.id=blue,feature.express=on,locale=de-AT,plan=free%20trial,session.id=3f9a6c1e7b52\r\n\r\n";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let requests = std::env::args().nth(1).map_or(Ok(REQUESTS), |count| count.parse())?.clamp(1, MOST_REQUESTS);
    let provider = SdkTracerProvider::builder().with_batch_exporter(Discard).build();
    let policy = || Policy::internal(["tenant.id", "feature.express", "locale", "plan", "session.id"]);
    let layer = ServerPropagationLayer::new(Propagator::builder().policy(policy()).build());
    let bridge = OpenTelemetryBridge::new(provider.tracer("load"));
    let spans = ServerPropagationLayer::new(Propagator::builder().policy(policy()).bridge(bridge).build());
    let shop = || Router::new().route("/orders/{id}", get(|Path(id): Path<String>| async move { id }));
    let services = [
        serve(shop()).await?,
        serve(shop().layer(layer)).await?,
        serve(shop()).await?,
        serve(shop().layer(spans)).await?,
    ];
    for service in services {
        load(service, requests.div_ceil(4)).await?;
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for service in services {
            round.push(load(service, requests).await?);
        }
        rounds.push(round);
    }
    provider.shutdown()?;
    report(&rounds);
    Ok(())
}

/// Serves on a free port of the loopback interface.
async fn serve(service: Router) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, service).await });
    Ok(address)
}

/// The result of one run.
struct Run {
    per_second: f64,
    p99: f64,
}

/// Keeps all connections busy; each sends its requests one after the other.
async fn load(service: SocketAddr, requests: usize) -> io::Result<Run> {
    let start = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(bounded(connection(service, requests)));
    }
    let mut latencies = Vec::with_capacity(CONNECTIONS * requests);
    while let Some(connection) = connections.join_next().await {
        latencies.extend(connection.map_err(io::Error::other)??);
    }
    let elapsed = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let p99 = latencies.get(latencies.len() * 99 / 100).map_or(0.0, Duration::as_secs_f64);
    Ok(Run { per_second: latencies.len() as f64 / elapsed, p99 })
}

async fn bounded<T>(run: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(Duration::from_secs(120), run).await?
}

async fn connection(service: SocketAddr, requests: usize) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(service).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Vec::with_capacity(requests);
    let mut buffer = [0; 1024];
    for _ in 0..requests {
        let start = Instant::now();
        stream.write_all(REQUEST).await?;
        let mut read = 0;
        // The body is the id; the response is in one segment or two.
        while !buffer.get(..read).is_some_and(|response| response.ends_with(b"\r\n\r\n4711")) {
            let rest = buffer.get_mut(read..).unwrap_or_default();
            match stream.read(rest).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => read += more,
            }
        }
        latencies.push(start.elapsed());
    }
    Ok(latencies)
}

fn report(rounds: &[Vec<Run>]) {
    println!("{CONNECTIONS} connections, {ROUNDS} rounds; ratios to the bare service of the same round");
    println!(
        "| | requests/s | ratio, median (least to most) | p99 ratio, median (least to most) |\n|---|---:|---:|---:|"
    );
    for (name, index, beside) in [("bare, again", 2, 0), ("layer", 1, 0), ("layer with spans", 3, 2)] {
        let pairs = || rounds.iter().filter_map(|round| Some((round.get(index)?, round.get(beside)?)));
        let rates = spread(pairs().map(|(run, _)| run.per_second).collect());
        let throughput = spread(pairs().map(|(run, bare)| run.per_second / bare.per_second).collect());
        let p99 = spread(pairs().map(|(run, bare)| run.p99 / bare.p99).collect());
        let shown = |(least, median, most): (f64, f64, f64)| format!("{median:.2} ({least:.2} to {most:.2})");
        println!("| {name} | {:.0} | {} | {} |", rates.1, shown(throughput), shown(p99));
    }
}

/// The least, the median and the greatest value.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}

/// Exports nothing.
#[derive(Debug)]
struct Discard;

impl SpanExporter for Discard {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}
