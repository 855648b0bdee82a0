//! The standard metrics of HTTP, RPC and messaging, derived from hops, for the metrics API of `opentelemetry` 0.33.
//!
//! Where the application has a meter provider, [`HopMetrics`] goes around its bridge, whichever that is:
//!
//! ```
//! use opentelemetry::{metrics::MeterProvider, trace::TracerProvider};
//! use propagation_core::{NoBridge, Propagator};
//! use propagation_opentelemetry::{OpenTelemetryBridge, metrics::HopMetrics};
//!
//! let spans = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
//! let metrics = opentelemetry_sdk::metrics::SdkMeterProvider::builder().build();
//! let meter = metrics.meter("shop");
//! let propagator =
//!     Propagator::builder().bridge(HopMetrics::new(&meter, OpenTelemetryBridge::new(spans.tracer("shop")))).build();
//!
//! // Metrics and no spans:
//! let without_spans = Propagator::builder().bridge(HopMetrics::new(&meter, NoBridge)).build();
//! # let _ = (propagator, without_spans);
//! ```
//!
//! # Metrics
//!
//! Names, units, bucket boundaries and attributes are those of the semantic conventions 1.45. Attributes are those of their metric tables,
//! without the opt-in ones: no paths, no message ids, no baggage.
//!
//! | Metric | Unit | Of |
//! |---|---|---|
//! | `http.server.request.duration`, `http.client.request.duration` | `s` | HTTP |
//! | `http.server.active_requests` | `{request}` | HTTP servers: `http.request.method` and `url.scheme` |
//! | `rpc.server.call.duration`, `rpc.client.call.duration` | `s` | gRPC |
//! | `messaging.client.operation.duration` | `s` | create, send, receive, settle |
//! | `messaging.process.duration` | `s` | process |
//! | `messaging.client.sent.messages` | `{message}` | send |
//! | `messaging.client.consumed.messages` | `{message}` | receive; process where nothing was received from the same queue before |
//!
//! A failed hop has the `error.type` that its span has. A scheme that is neither `http` nor
//! `https` is `_OTHER`, and so is a method that the gRPC layer does not know: callers can't make up time series. `OTEL_SDK_DISABLED=true` switches the metrics off together with the spans, if the builder reads it
//! ([`switches_from_env`](propagation_core::PropagatorBuilder::switches_from_env)).
//!
//! The SDK 0.33 attaches no exemplars to what it exports, so a bucket does not lead to a trace yet.
//!
//! Every propagator counts rejected and changed fields and keys; [`observe_counters`] exports those
//! numbers to a meter.

mod conventions;
mod counters;
mod instruments;
mod measured;

use std::{fmt, sync::Arc};

use opentelemetry::metrics::Meter;

use self::{
    instruments::Instruments,
    measured::{Measured, Noted},
};
use propagation_core::{
    Hop, PropagationContext, SpanId,
    bridge::{Bridge, BridgeError, BridgeSpan, Continued, CurrentHop, HopId, Started},
};

pub use counters::observe_counters;

/// Measures hops, around a bridge that makes spans of them, or around [`NoBridge`](propagation_core::NoBridge).
///
/// The [module](self) lists the metrics. Clones share their instruments.
#[derive(Clone)]
pub struct HopMetrics<B> {
    inner: B,
    instruments: Arc<Instruments>,
}

impl<B> HopMetrics<B> {
    /// Creates instruments of a meter, and measures the hops of a bridge.
    #[must_use]
    pub fn new(meter: &Meter, inner: B) -> Self {
        Self { inner, instruments: Arc::new(Instruments::new(meter)) }
    }

    /// Leaves `messaging.destination.name` and the partition out of the metrics: for a service whose queues are made for a
    /// user, a request or a reply. The conventions want it only where there are few.
    #[must_use]
    pub fn without_destinations(mut self) -> Self {
        self.instruments = Arc::new(self.instruments.without_destinations());
        self
    }
}

impl<B: fmt::Debug> fmt::Debug for HopMetrics<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HopMetrics").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<B: Bridge> Bridge for HopMetrics<B> {
    /// Metrics need names and attributes, whether or not there are spans.
    fn is_recording(&self) -> bool {
        true
    }

    fn makes_spans(&self) -> bool {
        self.inner.makes_spans()
    }

    fn check(&self) -> Result<(), BridgeError> {
        self.inner.check()
    }

    fn current(&self, innermost: Option<CurrentHop<'_>>) -> Option<PropagationContext> {
        self.inner.current(innermost)
    }

    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        self.inner.span_inside(id)
    }

    fn start(&self, hop: Hop) -> Started {
        let Some(noted) = Noted::of(&hop) else { return self.inner.start(hop) };
        self.instruments.note_received(&noted);
        let Started { context, span, .. } = self.inner.start(hop);
        Started::span(context, Box::new(Measured::new(span, noted, Arc::clone(&self.instruments))))
    }

    fn continue_from(&self, continued: Continued<'_>) -> Option<Box<dyn BridgeSpan>> {
        self.inner.continue_from(continued)
    }
}
