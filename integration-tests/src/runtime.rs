//! A runtime with a `tracing` subscriber of its own: several services in one process.
//!
//! `#[instrument]` makes its span in the current subscriber, and a process has one global subscriber, hence one `service.name`. A
//! test that runs several services in one process gives each of them a [`ServiceRuntime`]: all of its threads have the service's
//! subscriber as their default, so that spawned tasks, blocking tasks and the connections of a server inherit it.
//!
//! ```
//! use opentelemetry::trace::TracerProvider;
//! use propagation_testkit::{in_memory::InMemory, runtime::ServiceRuntime};
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let memory = InMemory::new();
//! let start = |service: &str| {
//!     let layer = tracing_opentelemetry::layer().with_tracer(memory.provider(service).tracer("app"));
//!     ServiceRuntime::new(service, tracing_subscriber::registry().with(layer))
//! };
//! let (orders, billing) = (start("orders")?, start("billing")?);
//! orders.spawn(async { tracing::info_span!("place order").in_scope(|| ()) }).await?;
//! billing.spawn(async { tracing::info_span!("charge").in_scope(|| ()) }).await?;
//! memory.graph().assert_services(&["orders", "billing"]);
//! # Ok(())
//! # }
//! ```
//!
//! The subscriber of a service that is set up with `propagation_opentelemetry::setup` is a registry with the layer of the
//! `Telemetry` that its `start()` returns.

use std::cell::RefCell;
use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tracing::dispatcher::{DefaultGuard, Dispatch, set_default};

thread_local! {
    static SUBSCRIBER: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
}

/// A multi-threaded tokio runtime whose threads have a default subscriber of their own. Stops its tasks when dropped.
///
/// The future of [`spawn`](Self::spawn) is polled there; code that the caller runs itself is not.
#[derive(Debug)]
#[must_use]
pub struct ServiceRuntime {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl ServiceRuntime {
    /// Starts a runtime of two threads, named after the service.
    ///
    /// # Errors
    /// The system refuses threads.
    pub fn new(service: &str, subscriber: impl Into<Dispatch>) -> io::Result<Self> {
        let subscriber = subscriber.into();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(service)
            .enable_all()
            .on_thread_start(move || SUBSCRIBER.set(Some(set_default(&subscriber))))
            .on_thread_stop(|| SUBSCRIBER.set(None))
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Spawns a future of the service. The handle can be awaited in any runtime.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.handle.spawn(future)
    }
}

impl Drop for ServiceRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Dropping a runtime inside another one panics.
            runtime.shutdown_background();
        }
    }
}
