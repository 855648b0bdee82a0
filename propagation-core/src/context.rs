//! What travels: a trace context and baggage.

use crate::{Baggage, Sampling, SpanId, TraceFlags, TraceId, TraceParent, TraceState, origin::Origin};

/// The trace that a request belongs to, as any of the formats can say it.
///
/// Ids are optional: `b3: 0` denies sampling and names no trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceContext {
    /// Trace id, the caller's span id, flags.
    pub parent: Option<TraceParent>,
    /// The systems' own members. Empty without ids.
    pub state: TraceState,
    /// What the caller decided about sampling. Agrees with the flags unless it is [`Sampling::Defer`].
    pub sampling: Sampling,
}

impl TraceContext {
    /// No trace.
    pub const EMPTY: Self = Self { parent: None, state: TraceState::EMPTY, sampling: Sampling::Defer };

    /// The context of a `traceparent`: its sampled flag is the decision.
    #[must_use]
    pub fn new(parent: TraceParent) -> Self {
        Self {
            parent: Some(parent),
            state: TraceState::EMPTY,
            sampling: Sampling::from_sampled(parent.flags.is_sampled()),
        }
    }

    /// The same with a tracestate.
    #[must_use]
    pub fn with_state(mut self, state: TraceState) -> Self {
        self.state = state;
        self
    }

    /// The same with what a format said about sampling. The sampled flag follows the decision; where nothing is decided
    /// it is not set. A decision that changes takes the threshold it was made by (`th` in tracestate's `ot`) with it.
    #[must_use]
    pub fn with_sampling(mut self, sampling: Sampling) -> Self {
        if self.sampling.decided() != sampling.decided() {
            self.state.erase_threshold();
        }
        self.sampling = sampling;
        if let Some(parent) = &mut self.parent {
            parent.flags = parent.flags.with_sampled(sampling.decided().unwrap_or(false));
        }
        self
    }

    /// The trace id, if there is one.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.parent.map(|parent| parent.trace_id)
    }

    /// The caller's span id, if there is one.
    #[must_use]
    pub fn span_id(&self) -> Option<SpanId> {
        self.parent.map(|parent| parent.span_id)
    }

    /// The flags; none without ids.
    #[must_use]
    pub fn flags(&self) -> TraceFlags {
        self.parent.map_or(TraceFlags::NONE, |parent| parent.flags)
    }

    /// Whether there are ids.
    #[must_use]
    pub fn has_ids(&self) -> bool {
        self.parent.is_some()
    }

    /// Whether nothing at all is known: no ids and no decision.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parent.is_none() && self.sampling == Sampling::Defer
    }
}

/// Everything that travels with a request: the trace context and the baggage.
///
/// Cheap to clone: ids are inline, each list is one reference count.
///
/// ```
/// use propagation_core::{PropagationContext, TraceContext};
///
/// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// let mut context = PropagationContext::new(TraceContext::new(parent));
/// context.baggage.set("tenant.id", "blue")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A context also remembers, inside the process, which policy rule has admitted it: wherever it goes, into child hops, tasks and threads,
/// context on outgoing messages is judged by that rule. Two contexts are equal if they propagate the same.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PropagationContext {
    /// The trace.
    pub trace: TraceContext,
    /// The business keys. Lives without a trace, too.
    pub baggage: Baggage,
    pub(crate) origin: Origin,
}

impl PropagationContext {
    /// Nothing to propagate.
    pub const EMPTY: Self = Self { trace: TraceContext::EMPTY, baggage: Baggage::EMPTY, origin: Origin::OWN };

    /// A trace without baggage.
    #[must_use]
    pub fn new(trace: TraceContext) -> Self {
        Self { trace, ..Self::EMPTY }
    }

    /// The same with this baggage.
    #[must_use]
    pub fn with_baggage(mut self, baggage: Baggage) -> Self {
        self.baggage = baggage;
        self
    }

    /// Whether there is nothing to propagate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trace.is_empty() && self.baggage.is_empty()
    }

    /// A copy for contexts that outlive their request.
    ///
    /// A context that was extracted may share the bytes of its headers, and a slice of a header keeps the connection's
    /// whole read buffer alive.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self {
            trace: TraceContext { state: self.trace.state.detach(), ..self.trace.clone() },
            baggage: self.baggage.detach(),
            origin: self.origin,
        }
    }
}

impl PartialEq for PropagationContext {
    fn eq(&self, other: &Self) -> bool {
        self.trace == other.trace && self.baggage == other.baggage
    }
}

impl Eq for PropagationContext {}
