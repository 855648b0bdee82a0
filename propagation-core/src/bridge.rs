//! The one seam to whichever tracing API the application uses.

mod error;
mod exports;
mod none;

use std::{
    borrow::Cow,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

pub use error::BridgeError;
pub use exports::{failed_exports, record_failed_export};
pub use none::NoBridge;

use crate::{Attribute, Hop, Link, Outcome, PropagationContext, SpanId, TraceContext};

/// Turns hops into spans, and knows which span is current.
///
/// A bridge never touches a global tracer or propagator: it is made with the tracer it uses.
pub trait Bridge: fmt::Debug + Send + Sync {
    /// Whether it records anything of a hop. If not, none is started with it: contexts go on as they came.
    fn is_recording(&self) -> bool;

    /// Whether it makes spans, with ids of their own. One that only measures does not: then the context passes through.
    fn makes_spans(&self) -> bool {
        self.is_recording()
    }

    /// Checks that spans can be made here. May make a span that is not exported.
    ///
    /// # Errors
    ///
    /// The reason why hops get no spans, with the remedy.
    fn check(&self) -> Result<(), BridgeError> {
        Ok(())
    }

    /// The context of the tracing API's innermost span, with the baggage that user code has set there.
    ///
    /// `innermost` is the innermost hop on this thread: only a span inside it counts, so that neither an outer loop's span is
    /// adopted nor the trace lost when a level filter disables a span. With no hop, any current span counts.
    fn current(&self, innermost: Option<CurrentHop<'_>>) -> Option<PropagationContext>;

    /// The span that the tracing API's own context names, if it is inside of a hop; as far as that can be told without side effects.
    /// Debug builds ask before a hop is entered and after it was left, to name guards that were left behind.
    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        let _ = id;
        None
    }

    /// Starts a span for a hop. The answer's context is what goes on from there.
    fn start(&self, hop: Hop) -> Started;
}

/// The innermost hop on this thread, as a bridge is asked about it.
#[derive(Clone, Copy, Debug)]
pub struct CurrentHop<'a> {
    /// What the bridge was told to leave in its own context.
    pub id: HopId,
    /// The hop's trace: what a tracing API's types can't hold (tracestate as received, a priority) is taken from here.
    pub trace: &'a TraceContext,
}

/// What a bridge has started.
#[derive(Debug)]
#[non_exhaustive]
pub struct Started {
    /// The context of the hop: the span's own ids, the parent's baggage.
    pub context: PropagationContext,
    /// The span, or at least a scope to enter.
    pub span: Option<Box<dyn BridgeSpan>>,
}

impl Started {
    /// No span: the context goes on as it came.
    #[must_use]
    pub fn without_span(context: PropagationContext) -> Self {
        Self { context, span: None }
    }

    /// A span.
    #[must_use]
    pub fn span(context: PropagationContext, span: Box<dyn BridgeSpan>) -> Self {
        Self { context, span: Some(span) }
    }
}

/// A span that a bridge has started.
pub trait BridgeSpan: fmt::Debug + Send + Sync {
    /// Runs `run` once, with the span as the tracing API's current one.
    fn enter(&self, run: &mut dyn FnMut());

    /// Adds or replaces an attribute.
    fn set_attribute(&self, attribute: Attribute);

    /// Adds a link.
    fn add_link(&self, link: Link);

    /// Changes the name, where it is known only after the start (a route).
    fn rename(&self, name: Cow<'static, str>);

    /// Ends the span. Called once. What the policy lets no span say is no longer in the outcome.
    fn end(&self, outcome: &Outcome);
}

/// Identifies one hop within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HopId(u64);

impl HopId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
