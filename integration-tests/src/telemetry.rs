//! A propagator whose spans stay in memory: the set-up of an adapter's tests.
//!
//! ```
//! use propagation_core::{Hop, Outcome, Policy, PropagationContext, SpanKind};
//! use propagation_testkit::telemetry::{BridgeKind, TestTelemetry};
//! use tracing::level_filters::LevelFilter;
//!
//! for bridge in BridgeKind::ALL {
//!     let telemetry = TestTelemetry::with_bridge(*bridge, Policy::default());
//!     let _subscriber = tracing::subscriber::set_default(telemetry.subscriber(LevelFilter::INFO));
//!     let hop = Hop::remote(SpanKind::Server, PropagationContext::EMPTY).named("GET /orders");
//!     telemetry.propagator.start(hop).end(&Outcome::Unset);
//!     assert_eq!(telemetry.span("GET /orders").name, "GET /orders");
//! }
//! ```

use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::Value;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter};
use opentelemetry_sdk::{Resource, error::OTelSdkResult};
use propagation_core::{Bridge, Policy, Propagator};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::layer::SubscriberExt;

use crate::{in_memory::InMemory, trace::TraceGraph};

/// A caller's `traceparent`, sampled.
pub const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The `traceparent` of another caller, sampled.
pub const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The bridges that an adapter is tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BridgeKind {
    /// `OpenTelemetryBridge`.
    OpenTelemetry,
    /// `TracingBridge`, which needs [`TestTelemetry::subscriber`].
    Tracing,
}

impl BridgeKind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::OpenTelemetry, Self::Tracing];
}

/// A propagator, and the ended spans of its bridge.
#[derive(Debug)]
pub struct TestTelemetry {
    /// The propagator.
    pub propagator: Propagator,
    provider: SdkTracerProvider,
    ended: Ended,
    memory: InMemory,
}

impl TestTelemetry {
    /// Creates a propagator with an `OpenTelemetryBridge`.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_bridge(BridgeKind::OpenTelemetry, policy)
    }

    /// Creates a propagator with a bridge of this kind.
    #[must_use]
    pub fn with_bridge(kind: BridgeKind, policy: Policy) -> Self {
        match kind {
            BridgeKind::OpenTelemetry => Self::build(policy, |bridge| bridge),
            BridgeKind::Tracing => Self::build(policy, |_| TracingBridge::new()),
        }
    }

    /// Creates a propagator whose bridge wraps an `OpenTelemetryBridge`, for example in `HopMetrics`.
    pub fn build<B: Bridge + 'static>(policy: Policy, wrap: impl FnOnce(OpenTelemetryBridge<SdkTracer>) -> B) -> Self {
        let (ended, memory) = (Ended::default(), InMemory::new());
        let exporters =
            SdkTracerProvider::builder().with_simple_exporter(ended.clone()).with_simple_exporter(memory.clone());
        let provider = exporters.with_resource(Resource::builder_empty().with_service_name("test").build()).build();
        let bridge = wrap(OpenTelemetryBridge::new(provider.tracer("propagation")));
        Self { propagator: Propagator::builder().policy(policy).bridge(bridge).build(), provider, ended, memory }
    }

    /// Returns a subscriber of `tracing` that exports spans up to this level to the same place.
    pub fn subscriber(&self, level: LevelFilter) -> impl Subscriber + Send + Sync + use<> {
        let layer = tracing_opentelemetry::layer().with_tracer(self.provider.tracer("app"));
        tracing_subscriber::registry().with(level).with(layer)
    }

    /// Runs a check with each bridge, on this thread, under a [subscriber](Self::subscriber) of the level INFO.
    ///
    /// # Panics
    ///
    /// If the system refuses a runtime.
    pub fn with_each_bridge<F: Future<Output = ()>>(policy: impl Fn() -> Policy, check: impl Fn(Self) -> F) {
        for kind in BridgeKind::ALL {
            let telemetry = Self::with_bridge(*kind, policy());
            let subscriber = telemetry.subscriber(LevelFilter::INFO);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
            tracing::subscriber::with_default(subscriber, || runtime.block_on(check(telemetry)));
        }
    }

    /// Returns the provider, for spans of the test itself.
    #[must_use]
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// Returns the ended spans, in the order of their ends.
    #[must_use]
    pub fn spans(&self) -> Vec<SpanData> {
        self.ended.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the ended spans as a graph, of a service `test`.
    #[must_use]
    pub fn graph(&self) -> TraceGraph {
        self.memory.graph()
    }

    /// Returns the ended spans with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<SpanData> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    /// Returns the only ended span with this name.
    ///
    /// # Panics
    ///
    /// With the names of all spans, if there is no such span or more than one.
    #[must_use]
    #[track_caller]
    pub fn span(&self, name: &str) -> SpanData {
        let mut found = self.named(name);
        let names: Vec<_> = self.spans().into_iter().map(|span| span.name).collect();
        assert_eq!(found.len(), 1, "one span {name} in {names:?}");
        found.remove(0)
    }

    /// Forgets the ended spans of [`spans`](Self::spans).
    pub fn clear(&self) {
        self.ended.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Returns an attribute of a span.
///
/// # Panics
///
/// If the key occurs twice.
#[must_use]
#[track_caller]
pub fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    let mut found = span.attributes.iter().filter(|pair| pair.key.as_str() == key);
    let value = found.next().map(|pair| pair.value.clone());
    assert!(found.next().is_none(), "{key} twice on {}", span.name);
    value
}

/// Returns trace-id and span-id of a span as in a `traceparent`: `4bf9…-00f0…`.
#[must_use]
pub fn ids(span: &SpanData) -> String {
    format!("{}-{}", span.span_context.trace_id(), span.span_context.span_id())
}

/// Returns the [`ids`] of the spans that a span links to.
#[must_use]
pub fn links(span: &SpanData) -> Vec<String> {
    let contexts = span.links.iter().map(|link| &link.span_context);
    contexts.map(|context| format!("{}-{}", context.trace_id(), context.span_id())).collect()
}

/// An exporter that keeps ended spans.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Ended {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
        let done: Ready<OTelSdkResult> = ready(Ok(()));
        done
    }
}
