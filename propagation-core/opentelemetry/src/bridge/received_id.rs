//! Trace-ids that came without a parent-id, on their way into the SDK's root spans.

use std::cell::Cell;

use opentelemetry::trace::{SpanContext, TraceId};

use propagation_core::TraceContext;

/// The attribute that has the received trace-id where the span could not take it.
pub(crate) const RECEIVED_TRACE_ID: &str = "propagation.received.trace_id";

thread_local! {
    static HANDED_OVER: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Starts a span with `start`, and offers the trace-id that came without a parent-id to [`ReceivedIdGenerator`] meanwhile.
pub(crate) fn handing_over<T>(parent: &TraceContext, start: impl FnOnce() -> T) -> T {
    let Some(trace_id) = parent.root_trace_id() else { return start() };
    let _restored = Restore(HANDED_OVER.try_with(|slot| slot.replace(Some(converted(trace_id)))).ok().flatten());
    start()
}

/// Returns the received trace-id if it came without a parent-id and the span that was started has another: an id generator other than
/// [`ReceivedIdGenerator`] has made it.
pub(crate) fn missed(parent: &TraceContext, started: &SpanContext) -> Option<String> {
    let received = parent.root_trace_id()?;
    (started.trace_id() != converted(received)).then(|| received.to_string())
}

fn converted(trace_id: propagation_core::TraceId) -> TraceId {
    TraceId::from_bytes(trace_id.to_bytes())
}

/// Restores the outer offer, also after a panic of a sampler.
struct Restore(Option<TraceId>);

impl Drop for Restore {
    fn drop(&mut self) {
        let _ = HANDED_OVER.try_with(|slot| slot.set(self.0));
    }
}

#[cfg(feature = "sdk")]
pub use generator::ReceivedIdGenerator;

#[cfg(feature = "sdk")]
mod generator {
    use opentelemetry::{
        Context,
        trace::{SpanId, TraceContextExt, TraceId},
    };
    use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

    use crate::propagator::Received;

    use super::{HANDED_OVER, converted};

    /// Gives root spans the trace-id that came without a parent-id; every other id comes from another generator, the SDK's by default.
    ///
    /// AWS load balancers send `X-Amzn-Trace-Id: Root=…` without a parent-id. The SDK's span builder takes no trace-id, so the bridges hand it
    /// over to this generator. [`Setup`](crate::setup::Setup) installs it; a provider of your own needs it for such traces to go on.
    /// Without it, the span has the attribute `propagation.received.trace_id` instead.
    ///
    /// ```
    /// use opentelemetry_sdk::trace::SdkTracerProvider;
    /// use propagation_opentelemetry::ReceivedIdGenerator;
    ///
    /// let provider = SdkTracerProvider::builder().with_id_generator(ReceivedIdGenerator::default()).build();
    /// # let _ = provider;
    /// ```
    #[derive(Clone, Debug)]
    pub struct ReceivedIdGenerator<G = RandomIdGenerator> {
        inner: G,
    }

    impl<G> ReceivedIdGenerator<G> {
        /// Takes ids that were not received from `inner`.
        #[must_use]
        pub fn new(inner: G) -> Self {
            Self { inner }
        }
    }

    impl Default for ReceivedIdGenerator {
        fn default() -> Self {
            Self::new(RandomIdGenerator::default())
        }
    }

    impl<G: IdGenerator> IdGenerator for ReceivedIdGenerator<G> {
        fn new_trace_id(&self) -> TraceId {
            let handed_over = HANDED_OVER.try_with(std::cell::Cell::take).ok().flatten();
            handed_over.or_else(attached).unwrap_or_else(|| self.inner.new_trace_id())
        }

        fn new_span_id(&self) -> SpanId {
            self.inner.new_span_id()
        }
    }

    /// The trace-id that `OpenTelemetryPropagator` has extracted into the current context, outside of any span.
    fn attached() -> Option<TraceId> {
        Context::map_current(|context| {
            let received = context.get::<Received>()?.0.trace.root_trace_id()?;
            let outside = !context.span().span_context().is_valid();
            outside.then(|| converted(received))
        })
    }
}
