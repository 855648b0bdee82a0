//! An OTLP receiver inside the test's own process.
//!
//! It takes what any exporter or Collector sends, OTLP/gRPC and OTLP/HTTP (protobuf or JSON, gzip or not) on one port of
//! the loopback address, and keeps every span until it is dropped:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use propagation_testkit::otlp::OtlpReceiver;
//!
//! let receiver = OtlpReceiver::start().await?;
//! // Start the services with OTEL_EXPORTER_OTLP_ENDPOINT set to receiver.grpc_endpoint(), send a request, then:
//! let graph = receiver.wait_until(|graph| graph.continuous(), Duration::from_secs(10)).await?;
//! graph.assert_services(&["gateway", "orders"]);
//! # Ok(())
//! # }
//! ```
//!
//! It serves on a thread of its own. An exporter that blocks the test's thread, as a simple span processor or a flush at
//! shutdown does, can therefore never wait for a receiver that waits for that same thread.

mod convert;
mod serve;
mod store;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use self::store::Counts;
use self::store::Store;
use crate::trace::{Broken, Span, TraceGraph};

/// Receives spans over OTLP and keeps them. Stops when dropped.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    store: Arc<Store>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OtlpReceiver {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port or no thread is to be had.
    #[allow(clippy::unused_async)] // Async for the day when binding is: callers need not change then.
    pub async fn start() -> io::Result<Self> {
        Self::start_blocking()
    }

    /// The same for programs without an async runtime.
    ///
    /// # Errors
    /// No port or no thread is to be had.
    pub fn start_blocking() -> io::Result<Self> {
        Self::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Listens on this address, for senders that cannot be told a port or cannot reach the loopback address, such as a
    /// Collector in a container. Anything that can reach it can send spans to it.
    ///
    /// # Errors
    /// The address cannot be bound, or no thread is to be had.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let store = Arc::new(Store::default());
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let served = store.clone();
        let thread = std::thread::Builder::new().name("otlp-receiver".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    // The listener was bound above; what can fail now is a single connection, which ends alone.
                    _ = serve::serve(listener, served) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, store, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to give an OTLP/gRPC exporter: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn grpc_endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What to give an OTLP/HTTP exporter as `OTEL_EXPORTER_OTLP_ENDPOINT`, to which SDKs add `/v1/traces`.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The whole URL for exporters that take it as it is (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`).
    #[must_use]
    pub fn http_traces_endpoint(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    /// Every span so far, in the order received.
    #[must_use]
    pub fn spans(&self) -> Vec<Arc<Span>> {
        self.store.spans()
    }

    /// The graph of every span so far.
    #[must_use]
    pub fn graph(&self) -> TraceGraph {
        TraceGraph::new(self.spans())
    }

    /// What was received so far, in numbers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.store.counts()
    }

    /// Forgets every span so far, for the next test on the same receiver. The counts go on.
    pub fn clear(&self) {
        self.store.clear();
    }

    /// Waits until the graph of all spans is as wanted. It is looked at whenever spans arrive.
    ///
    /// Needs a Tokio runtime with time; see [`wait_until_blocking`](Self::wait_until_blocking) for none.
    ///
    /// # Errors
    /// It is not so within this time: with the tree as it was then.
    pub async fn wait_for(&self, done: impl Fn(&TraceGraph) -> bool, timeout: Duration) -> Result<TraceGraph, Broken> {
        self.wait_until(|graph| if done(graph) { Ok(()) } else { Err(waiting(graph)) }, timeout).await
    }

    /// Waits until a claim about the graph of all spans holds.
    ///
    /// # Errors
    /// It does not hold within this time: with the explanation of the last try.
    pub async fn wait_until(
        &self,
        claim: impl Fn(&TraceGraph) -> Result<(), Broken>,
        timeout: Duration,
    ) -> Result<TraceGraph, Broken> {
        let deadline = Instant::now() + timeout;
        let mut arrivals = self.store.arrivals();
        loop {
            arrivals.mark_unchanged();
            let began = Instant::now();
            let graph = self.graph();
            let Err(broken) = claim(&graph) else { return Ok(graph) };
            // Big graphs take time to judge: judging must not starve what is judged.
            tokio::time::sleep(began.elapsed().clamp(Duration::from_millis(2), Duration::from_millis(500))).await;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !matches!(tokio::time::timeout(left, arrivals.changed()).await, Ok(Ok(()))) {
                return self.give_up(&claim, broken, timeout);
            }
        }
    }

    /// [`wait_until`](Self::wait_until) for programs without an async runtime.
    ///
    /// # Errors
    /// It does not hold within this time: with the explanation of the last try.
    pub fn wait_until_blocking(
        &self,
        claim: impl Fn(&TraceGraph) -> Result<(), Broken>,
        timeout: Duration,
    ) -> Result<TraceGraph, Broken> {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self.store.arrival();
            let graph = self.graph();
            let Err(broken) = claim(&graph) else { return Ok(graph) };
            if !self.store.wait_beyond(seen, deadline) {
                return self.give_up(&claim, broken, timeout);
            }
        }
    }

    /// One last look, as spans may have come since the last, then what is wrong and how much was received at all.
    fn give_up(
        &self,
        claim: &impl Fn(&TraceGraph) -> Result<(), Broken>,
        last: Broken,
        timeout: Duration,
    ) -> Result<TraceGraph, Broken> {
        let graph = self.graph();
        let broken = match claim(&graph) {
            Ok(()) => return Ok(graph),
            Err(broken) if graph.is_empty() => broken,
            Err(_) => last,
        };
        Err(broken.found(format!("and so it stayed for {timeout:?}; received in all: {}", self.counts())))
    }
}

impl Drop for OtlpReceiver {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may be gone already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn waiting(graph: &TraceGraph) -> Broken {
    Broken::new("the graph becomes as waited for")
        .found(format!("it has {} spans", graph.len()))
        .picture(graph.to_string())
}
