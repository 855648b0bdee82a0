//! An OTLP receiver inside the test's own process.
//!
//! It accepts exports of any SDK or Collector: OTLP/gRPC and OTLP/HTTP (protobuf or JSON, gzip or not) on one port of
//! the loopback address, and keeps every span until it is dropped:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use propagation_testkit::otlp::OtlpReceiver;
//!
//! let receiver = OtlpReceiver::start().await?;
//! // Start the services with the variables of receiver.environment(), send a request, then:
//! let trace = receiver.continuous(&["gateway", "orders"]).await?;
//! trace.assert_edge("GET /orders/{id}", "shop.Orders/Find");
//! # Ok(())
//! # }
//! ```
//!
//! [`continuous`](OtlpReceiver::continuous) waits for the one trace there is, [`trace`](OtlpReceiver::trace) for one of many,
//! [`wait_until`](OtlpReceiver::wait_until) for whatever a test claims.
//!
//! It serves on a thread of its own. An exporter that blocks the test's thread, as a simple span processor or a flush at
//! shutdown does, can therefore never wait for a receiver that waits for that same thread.

mod bound;
mod convert;
mod serve;
mod signals;
mod store;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use self::signals::{ReceivedLog, ReceivedMetric, ReceivedScope};
use self::store::Store;
pub use self::store::{Counts, ReceivedRequest};
use crate::trace::{AssertionFailure, Span, TraceGraph, TraceId};

/// How long [`OtlpReceiver::continuous`] and [`OtlpReceiver::trace`] wait: far longer than exporters take, as only a test that fails
/// waits for the end of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Receives spans over OTLP and keeps them. Stops when dropped.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    store: Arc<Store>,
    started: Instant,
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

    /// Like [`start`](Self::start), for programs without an async runtime.
    ///
    /// # Errors
    /// No port or no thread is to be had.
    pub fn start_blocking() -> io::Result<Self> {
        Self::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Listens on this address, for senders with a fixed port or that cannot reach the loopback address, such as a
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
                    // The listener is bound already; from here only single connections can fail.
                    _ = serve::serve(listener, served) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, store, started: Instant::now(), stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the endpoint for OTLP/gRPC exporters: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn grpc_endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns `OTEL_EXPORTER_OTLP_ENDPOINT` for OTLP/HTTP exporters, to which SDKs add `/v1/traces`.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The whole URL for exporters that take it as it is (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`).
    #[must_use]
    pub fn http_traces_endpoint(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    /// The standard variables that make a service export here, soon and everything: for [`Command::envs`](std::process::Command::envs)
    /// of a service that is a process of its own.
    ///
    /// ```
    /// # async fn example() -> std::io::Result<()> {
    /// let receiver = propagation_testkit::otlp::OtlpReceiver::start().await?;
    /// let orders = std::process::Command::new("orders").envs(receiver.environment()).spawn();
    /// # let _ = orders;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 6] {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.grpc_endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()),
            ("OTEL_TRACES_EXPORTER", "otlp".to_owned()),
            ("OTEL_TRACES_SAMPLER", "parentbased_always_on".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "20".to_owned()),
            ("OTEL_SDK_DISABLED", "false".to_owned()),
        ]
    }

    /// Returns a function that looks up these variables, for services inside of the test.
    pub fn variables(&self) -> impl Fn(&str) -> Option<String> + Clone + Send + Sync + use<> {
        let variables = self.environment();
        move |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
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

    /// Returns the numbers of received spans and exports.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.store.counts()
    }

    /// Returns the received metrics, each as often as it was exported, in the order received.
    #[must_use]
    pub fn metrics(&self) -> Vec<ReceivedMetric> {
        self.store.metrics()
    }

    /// Returns the received log records, in the order received.
    #[must_use]
    pub fn logs(&self) -> Vec<ReceivedLog> {
        self.store.logs()
    }

    /// Returns path and headers of the received exports: the last thousand.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.store.requests()
    }

    /// Forgets every span so far, for the next test on the same receiver. The counts go on.
    pub fn clear(&self) {
        self.store.clear();
    }

    /// Waits, up to ten seconds, until all that was received is one [continuous](TraceGraph::continuous) trace in which each of these
    /// services took part.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let receiver = propagation_testkit::otlp::OtlpReceiver::start().await?;
    /// // Start the services, send one request, then:
    /// receiver.continuous(&["gateway", "orders"]).await?.assert_edge("gateway", "orders");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The trace begins where the first service received the request, with a server or a consumer span
    /// ([entered](TraceGraph::entered)). For a service that begins traces itself, a job or a test's own client:
    /// `wait_until(TraceGraph::continuous, …)`.
    ///
    /// # Errors
    /// It is not so within this time: with the tree, the hop where the trace was probably lost, and the exports of this process that
    /// failed meanwhile.
    pub async fn continuous(&self, services: &[&str]) -> Result<TraceGraph, AssertionFailure> {
        self.wait_until(|graph| whole(graph, services), PATIENCE).await
    }

    /// Waits, up to ten seconds, until this trace is [continuous](TraceGraph::continuous) and each of these services took part in it, and
    /// returns it without the others: for tests that know their request's trace, from a header that they sent or an answer that
    /// names it.
    ///
    /// A parent that the test made up counts as [outside](TraceGraph::with_outside): the one parent that was never received, of server or
    /// consumer spans, in a trace without a root.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let receiver = propagation_testkit::otlp::OtlpReceiver::start().await?;
    /// // Send a request with `traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`, then:
    /// let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
    /// receiver.trace(trace_id, &["gateway", "orders"]).await?.assert_edge("gateway", "orders");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// No span of this trace, or none of one of the services, comes within this time, or it stays broken.
    pub async fn trace(&self, trace_id: TraceId, services: &[&str]) -> Result<TraceGraph, AssertionFailure> {
        let graph = |graph: &TraceGraph| graph.trace(trace_id).with_made_up_parent();
        self.wait_until(|all| whole(&graph(all), services), PATIENCE).await.map(|all| graph(&all))
    }

    /// Waits until the graph of all spans is as wanted. It is looked at whenever spans arrive.
    ///
    /// Needs a Tokio runtime with time; see [`wait_until_blocking`](Self::wait_until_blocking) for none.
    ///
    /// # Errors
    /// It is not so within this time: with the tree as it was then.
    pub async fn wait_for(
        &self,
        done: impl Fn(&TraceGraph) -> bool,
        timeout: Duration,
    ) -> Result<TraceGraph, AssertionFailure> {
        self.wait_until(|graph| if done(graph) { Ok(()) } else { Err(waiting(graph)) }, timeout).await
    }

    /// Waits until a claim about the graph of all spans holds.
    ///
    /// # Errors
    /// It does not hold within this time: with the explanation of the last try.
    pub async fn wait_until(
        &self,
        claim: impl Fn(&TraceGraph) -> Result<(), AssertionFailure>,
        timeout: Duration,
    ) -> Result<TraceGraph, AssertionFailure> {
        let deadline = Instant::now() + timeout;
        let mut arrivals = self.store.arrivals();
        loop {
            arrivals.mark_unchanged();
            let began = Instant::now();
            let graph = self.graph();
            let Err(broken) = claim(&graph) else { return Ok(graph) };
            // Checks of big graphs take time and must not block the receiver.
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
        claim: impl Fn(&TraceGraph) -> Result<(), AssertionFailure>,
        timeout: Duration,
    ) -> Result<TraceGraph, AssertionFailure> {
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

    /// Checks a last time, as spans may have arrived, then returns the failure with the received numbers.
    fn give_up(
        &self,
        claim: &impl Fn(&TraceGraph) -> Result<(), AssertionFailure>,
        last: AssertionFailure,
        timeout: Duration,
    ) -> Result<TraceGraph, AssertionFailure> {
        let graph = self.graph();
        let broken = match claim(&graph) {
            Ok(()) => return Ok(graph),
            Err(broken) if graph.is_empty() => broken,
            Err(_) => last,
        };
        let mut broken = broken.found(format!("and so it stayed for {timeout:?}; received in all: {}", self.counts()));
        // Services of this process that export elsewhere, or were too late.
        for failed in
            propagation_core::bridge::failed_exports().into_iter().filter(|failed| failed.last >= self.started)
        {
            broken = broken.found(format!(
                "{} spans of {:?} could not be exported to {}: {}",
                failed.spans, failed.service, failed.endpoint, failed.cause
            ));
        }
        Err(broken)
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

fn whole(graph: &TraceGraph, services: &[&str]) -> Result<(), AssertionFailure> {
    graph.services_seen(services).and_then(|()| graph.continuous()).and_then(|()| graph.entered())
}

fn waiting(graph: &TraceGraph) -> AssertionFailure {
    AssertionFailure::new("the graph becomes as waited for")
        .found(format!("it has {} spans", graph.len()))
        .picture(graph.to_string())
}
