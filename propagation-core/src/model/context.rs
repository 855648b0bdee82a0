//! The propagated context: a trace context and baggage.

mod root;

use std::ops::Range;

use bytes::Bytes;

use self::root::RootId;
use crate::{
    Baggage, FieldValue, SamplingDecision, SpanId, TraceFlags, TraceId, TraceParent, TraceState, model::origin::Origin,
};

/// The trace that a request belongs to, as any of the formats can carry it.
///
/// Ids are optional: `b3: 0` denies sampling and names no trace. X-Ray's `Root=` alone, Datadog's parent 0 and Google Cloud's `/0` name a
/// trace and no span in it: a [root trace-id](Self::root_trace_id).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceContext {
    /// Trace id, the caller's span id, flags.
    pub parent: Option<TraceParent>,
    /// A trace-id without a parent-id. Ignored where `parent` is set.
    pub(crate) root: Option<RootId>,
    /// The systems' own members. Empty without ids.
    pub state: TraceState,
    /// The caller's sampling decision. Agrees with the flags unless it is [`SamplingDecision::Defer`].
    pub sampling: SamplingDecision,
}

impl TraceContext {
    /// The context without a trace.
    pub const EMPTY: Self =
        Self { parent: None, root: None, state: TraceState::EMPTY, sampling: SamplingDecision::Defer };

    /// Creates the context of a `traceparent`. Its sampled flag is the decision.
    #[must_use]
    pub fn new(parent: TraceParent) -> Self {
        Self {
            parent: Some(parent),
            root: None,
            state: TraceState::EMPTY,
            sampling: SamplingDecision::from_sampled(parent.flags.is_sampled()),
        }
    }

    /// Creates a context of a trace-id without a parent-id: the next span is the root of that trace. The sampling decision is deferred.
    ///
    /// ```
    /// use propagation_core::{TraceContext, format::XRayFormat};
    ///
    /// let trace = TraceContext::from_trace_id("6789123300abcdef0123456789123456".parse()?);
    /// assert!(!trace.has_ids());
    /// assert_eq!(XRayFormat::format(&trace).as_deref(), Some("Root=1-67891233-00abcdef0123456789123456"));
    /// # Ok::<(), propagation_core::model::TraceIdError>(())
    /// ```
    #[must_use]
    pub fn from_trace_id(trace_id: TraceId) -> Self {
        Self { root: Some(RootId::new(trace_id)), ..Self::EMPTY }
    }

    /// Sets the tracestate.
    #[must_use]
    pub fn with_state(mut self, state: TraceState) -> Self {
        self.state = state;
        self
    }

    /// Sets the sampling decision of a format, and the sampled flag with it; [`SamplingDecision::Defer`] clears the flag. A changed
    /// decision removes its threshold (`th` in tracestate's `ot`).
    #[must_use]
    pub fn with_sampling(mut self, sampling: SamplingDecision) -> Self {
        if self.sampling.decided() != sampling.decided() {
            self.state.erase_threshold();
        }
        self.sampling = sampling;
        if let Some(parent) = &mut self.parent {
            parent.flags = parent.flags.with_sampled(sampling.decided().unwrap_or(false));
        }
        self
    }

    /// Replaces the sampling decision with the one of another trace: untrusted ids continue under the decision of this service.
    #[must_use]
    pub(crate) fn sampled_as(self, own: &Self) -> Self {
        self.with_sampling(own.sampling.decided().map_or(SamplingDecision::Defer, SamplingDecision::from_sampled))
    }

    /// Returns the trace-id, with a parent-id or without; `None` if the context has no trace.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.parent.map(|parent| parent.trace_id).or_else(|| self.root_trace_id())
    }

    /// Returns the trace-id if it came without a parent-id.
    #[must_use]
    pub fn root_trace_id(&self) -> Option<TraceId> {
        if self.parent.is_some() { None } else { self.root.map(RootId::trace_id) }
    }

    /// Returns the parent to write in formats that need a parent-id.
    ///
    /// That is [`parent`](Self::parent) or, for a [root trace-id](Self::root_trace_id), one with a parent-id that was made when the context
    /// was: all copies of the context have the same one. With a bridge it is not used: outgoing calls carry the span's own id.
    #[must_use]
    pub fn parent_to_write(&self) -> Option<TraceParent> {
        self.parent.or_else(|| {
            let flags = TraceFlags::NONE.with_sampled(self.sampling.decided() == Some(true));
            self.root.map(|root| root.parent(flags))
        })
    }

    /// Returns the caller's span id, if there is one.
    #[must_use]
    pub fn span_id(&self) -> Option<SpanId> {
        self.parent.map(|parent| parent.span_id)
    }

    /// Returns the flags; no flag is set without ids.
    #[must_use]
    pub fn flags(&self) -> TraceFlags {
        self.parent.map_or(TraceFlags::NONE, |parent| parent.flags)
    }

    /// Returns true if there are a trace-id and a parent-id: a span to be the child of, or to link to.
    #[must_use]
    pub fn has_ids(&self) -> bool {
        self.parent.is_some()
    }

    /// Returns true if nothing at all is known: no trace-id and no decision.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parent.is_none() && self.root.is_none() && self.sampling == SamplingDecision::Defer
    }
}

/// The propagated context of a request: trace context and baggage.
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
    /// The empty context.
    pub const EMPTY: Self = Self { trace: TraceContext::EMPTY, baggage: Baggage::EMPTY, origin: Origin::OWN };

    /// Creates a context without baggage.
    #[must_use]
    pub fn new(trace: TraceContext) -> Self {
        Self { trace, ..Self::EMPTY }
    }

    /// Sets the baggage.
    #[must_use]
    pub fn with_baggage(mut self, baggage: Baggage) -> Self {
        self.baggage = baggage;
        self
    }

    /// Returns whether there is nothing to propagate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trace.is_empty() && self.baggage.is_empty()
    }

    /// Returns a copy for contexts that outlive their request.
    ///
    /// A context that was extracted may share the bytes of its headers, and a slice of a header keeps the connection's
    /// whole read buffer alive.
    #[must_use]
    pub fn detach(&self) -> Self {
        let (state, baggage) = (self.trace.state.as_bytes(), self.baggage.as_wire());
        // One allocation for both lists.
        let text = Bytes::from([state, &baggage].concat());
        let part = |range: Range<usize>| if range.is_empty() { FieldValue::EMPTY } else { text.slice(range).into() };
        let trace = TraceContext {
            parent: self.trace.parent,
            root: self.trace.root,
            state: self.trace.state.moved_to(part(0..state.len())),
            sampling: self.trace.sampling,
        };
        let baggage = self.baggage.moved_to(part(state.len()..text.len()));
        Self { trace, baggage, origin: self.origin }
    }
}

impl PartialEq for PropagationContext {
    fn eq(&self, other: &Self) -> bool {
        self.trace == other.trace && self.baggage == other.baggage
    }
}

impl Eq for PropagationContext {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detached_lists_are_copies_of_the_members_kept() {
        for (state, list) in [("congo=1,rojo=2", "a=1,b=2;p,c=3"), ("congo=1", ""), ("", "a=1,b=2"), ("", "")] {
            let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
            let trace = TraceContext::new(parent).with_state(TraceState::parse(state.as_bytes()).unwrap());
            let mut context = PropagationContext::new(trace).with_baggage(Baggage::parse(list.as_bytes()));
            context.baggage.remove("a");
            let detached = context.detach();
            assert_eq!(detached, context);
            assert_eq!(
                (detached.trace.state.len(), detached.baggage.len()),
                (context.trace.state.len(), context.baggage.len())
            );
            assert_eq!(detached.baggage.as_wire(), context.baggage.as_wire());
            let shares = std::ptr::eq(detached.trace.state.as_bytes(), context.trace.state.as_bytes());
            assert!(!shares || state.is_empty());
        }
    }
}
