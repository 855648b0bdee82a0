//! The one seam to the application's tracing API.

mod error;
mod exports;
mod none;

use std::fmt;

pub use error::BridgeError;
pub use exports::{FailedExport, failed_exports, record_failed_export};
pub use none::NoBridge;

pub use crate::hop::{BridgeSpan, CurrentHop, HopId};
use crate::{Hop, PropagationContext, SpanId};

/// Turns hops into spans, and knows which span is current.
///
/// A bridge never touches a global tracer or propagator: it is made with the tracer it uses.
pub trait Bridge: fmt::Debug + Send + Sync {
    /// Returns `true` if the bridge records anything of a hop. If not, it starts none: contexts pass through unchanged.
    fn is_recording(&self) -> bool;

    /// Returns `true` if the bridge makes spans, with ids of their own. A bridge that only measures does not: contexts pass through.
    fn makes_spans(&self) -> bool {
        self.is_recording()
    }

    /// Checks that spans can be made here. May make a span that is not exported.
    ///
    /// # Errors
    ///
    /// Returns the reason why hops get no spans, with the remedy.
    fn check(&self) -> Result<(), BridgeError> {
        Ok(())
    }

    /// Returns the context of the tracing API's innermost span, with the baggage that user code has set there.
    ///
    /// `innermost` is the innermost hop on this thread: only a span inside it counts, so that neither an outer loop's span is
    /// adopted nor the trace lost when a level filter disables a span. With no hop, any current span counts.
    fn current(&self, innermost: Option<CurrentHop<'_>>) -> Option<PropagationContext>;

    /// Returns the span in the tracing API's own context, if that is inside a hop and can be found without side effects.
    ///
    /// Called before a hop is entered and after it was left, if [`GuardLeaks`](crate::hop::GuardLeaks) asks for a check.
    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        let _ = id;
        None
    }

    /// Starts a span for a hop. The returned context is that of the hop.
    fn start(&self, hop: Hop) -> Started;

    /// Returns a scope that makes a context current in the tracing API, without a span: for work that is resumed, stored or handed over.
    ///
    /// `None`, the default, leaves the tracing API's own context unchanged.
    fn continue_from(&self, continued: Continued<'_>) -> Option<Box<dyn BridgeSpan>> {
        let _ = continued;
        None
    }
}

impl<B: Bridge + ?Sized> Bridge for Box<B> {
    fn is_recording(&self) -> bool {
        (**self).is_recording()
    }

    fn makes_spans(&self) -> bool {
        (**self).makes_spans()
    }

    fn check(&self) -> Result<(), BridgeError> {
        (**self).check()
    }

    fn current(&self, innermost: Option<CurrentHop<'_>>) -> Option<PropagationContext> {
        (**self).current(innermost)
    }

    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        (**self).span_inside(id)
    }

    fn start(&self, hop: Hop) -> Started {
        (**self).start(hop)
    }

    fn continue_from(&self, continued: Continued<'_>) -> Option<Box<dyn BridgeSpan>> {
        (**self).continue_from(continued)
    }
}

/// A context that work continues in, without a span of its own.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Continued<'a> {
    /// The id that the bridge leaves in its own context. Spans of user code inside the work inherit it.
    pub id: HopId,
    /// The context.
    pub context: &'a PropagationContext,
    /// Whether the context was captured in this process.
    pub local: bool,
    /// Whether the bridge should suppress spans in the scope, if its tracing API supports that. The context is empty then.
    pub suppressed: bool,
}

impl<'a> Continued<'a> {
    pub(crate) fn new(id: HopId, context: &'a PropagationContext) -> Self {
        Self { id, context, local: false, suppressed: false }
    }

    pub(crate) fn with_local(mut self, local: bool) -> Self {
        self.local = local;
        self
    }

    pub(crate) fn with_suppressed(mut self, suppressed: bool) -> Self {
        self.suppressed = suppressed;
        self
    }
}

/// A hop that a bridge has started.
#[derive(Debug)]
#[non_exhaustive]
pub struct Started {
    /// The context of the hop: the span's own ids, the parent's baggage.
    pub context: PropagationContext,
    /// The span, or at least a scope to enter.
    pub span: Option<Box<dyn BridgeSpan>>,
}

impl Started {
    /// Returns a hop without a span, in an unchanged context.
    #[must_use]
    pub fn without_span(context: PropagationContext) -> Self {
        Self { context, span: None }
    }

    /// Returns a hop with a span.
    #[must_use]
    pub fn span(context: PropagationContext, span: Box<dyn BridgeSpan>) -> Self {
        Self { context, span: Some(span) }
    }
}
