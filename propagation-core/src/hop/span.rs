//! The handle on a hop that was started.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Attribute, AttributeValue, BridgeSpan, CallSite, HopId, Link, Outcome, Scope,
    active::{ActiveHop, SpanState},
    gate, names,
    scope::enter,
    seam::HopHost,
    thread_end,
};
use crate::PropagationContext;

/// A hop that was started: its context, and its span if a bridge made one.
///
/// Dropped before [`end`](Self::end), it ends as [`Outcome::Cancelled`]. Cheap to move from a future into the body of its response.
///
/// A panic that unwinds through [`in_scope`](Self::in_scope), or through a poll or drop of [`scope`](Self::scope), marks the hop as
/// failed: it ends with the `error.type` `panic`, unless its end names another error.
pub struct HopSpan {
    hop: Arc<ActiveHop>,
    role: Role,
}

/// The effect of a handle on its hop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Ends the span.
    Owner,
    /// Changes the span and decides its outcome.
    Refining,
    /// Enters the hop, and no more.
    Following,
}

impl HopSpan {
    /// Returns a hop without a span.
    pub(crate) fn new(context: PropagationContext, id: HopId) -> Self {
        Self { hop: Arc::new(ActiveHop::new(context, id, None)), role: Role::Owner }
    }

    /// Returns a hop with the span that a bridge made for `host`.
    #[inline]
    pub(crate) fn with_span(
        context: PropagationContext,
        id: HopId,
        span: Box<dyn BridgeSpan>,
        host: Arc<dyn HopHost>,
    ) -> Self {
        Self { hop: Arc::new(ActiveHop::new(context, id, Some((span, host)))), role: Role::Owner }
    }

    /// Returns a second handle on the hop that changes its span and decides its outcome: for a layer inside of another one around the
    /// same message. The span ends when its owner does.
    #[must_use]
    pub fn refining(&self) -> Self {
        Self { hop: Arc::clone(&self.hop), role: Role::Refining }
    }

    /// Returns a second handle on the hop that enters it, and records nothing.
    #[must_use]
    pub fn following(&self) -> Self {
        Self { hop: Arc::clone(&self.hop), role: Role::Following }
    }

    /// Releases the bytes that the hop's context shares with the carrier it was extracted from, if this is the only handle on the hop.
    ///
    /// For a hop that goes on long after its message was handled, such as a streamed response: one header keeps a connection's whole
    /// read buffer alive.
    pub fn detach(&mut self) {
        if let Some(hop) = Arc::get_mut(&mut self.hop) {
            hop.context = hop.context.detach();
        }
    }

    /// Returns `true` once the span has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.hop.has_ended()
    }

    /// Returns `true` if a panic has unwound through a scope of the hop. Always `false` for a hop without a span.
    #[must_use]
    pub fn has_panicked(&self) -> bool {
        self.hop.span.as_ref().is_some_and(|span| span.panicked.load(Ordering::Relaxed))
    }

    /// Returns the span, if this handle may change it.
    fn span(&self) -> Option<&SpanState> {
        self.hop.span.as_ref().filter(|_| self.role != Role::Following && !thread_end::is_ending())
    }

    /// Returns the hop's own context, which calls made inside it carry.
    #[must_use]
    pub fn context(&self) -> &PropagationContext {
        &self.hop.context
    }

    /// Returns `true` if attributes, links and names set here reach a span.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.span().is_some() && !self.hop.context.origin.suppressed
    }

    /// Returns `true` if entering the hop enters a scope of the tracing API, too: it has a span, or continues in or suppresses other spans.
    #[must_use]
    pub fn has_scope(&self) -> bool {
        self.hop.span.is_some()
    }

    /// Runs `run` inside the hop.
    ///
    /// A guard of the tracing API that was taken inside and is still in force afterwards is reported, or makes this panic, as set by the
    /// propagator's [`GuardLeaks`](crate::hop::GuardLeaks): work that runs next on this thread would run in it.
    #[track_caller]
    pub fn in_scope<R>(&self, run: impl FnOnce() -> R) -> R {
        enter(&self.hop, CallSite::here(), run)
    }

    /// Like [`in_scope`](Self::in_scope), for a scope that was requested elsewhere.
    pub(crate) fn in_scope_from<R>(&self, site: CallSite, run: impl FnOnce() -> R) -> R {
        enter(&self.hop, site, run)
    }

    /// Returns a future that runs inside the hop, on whichever thread polls or drops it. It does not end the hop.
    ///
    /// A guard that is held across an await is reported, as by [`in_scope`](Self::in_scope).
    #[track_caller]
    pub fn scope<F: Future>(&self, future: F) -> Scope<F> {
        Scope::new(Arc::clone(&self.hop), CallSite::here(), future)
    }

    /// Adds or replaces an attribute. An external value passes the policy's guard.
    pub fn set_attribute(&self, key: impl Into<Cow<'static, str>>, value: impl Into<AttributeValue>) {
        let Some(span) = self.span() else { return };
        let attribute = Attribute::new(key, value);
        let attribute =
            if gate::is_external(&attribute.value) { gate::attribute(&*span.host, attribute) } else { Some(attribute) };
        if let Some(attribute) = attribute {
            names::record(span.host.semantic_conventions(), attribute, |named| span.span.set_attribute(named));
        }
    }

    /// Adds a link. Its tracestate and its external attributes pass the policy's guard.
    pub fn add_link(&self, link: impl Into<Link>) {
        let Some(span) = self.span() else { return };
        let mut link = link.into();
        gate::link(&*span.host, &mut link);
        names::translate(span.host.semantic_conventions(), &mut link.attributes);
        span.span.add_link(link);
    }

    /// Changes the span's name. An owned name passes the policy's guard.
    pub fn rename(&self, name: impl Into<Cow<'static, str>>) {
        if let Some(span) = self.span() {
            span.span.rename(gate::name(&*span.host, name.into()));
        }
    }

    /// Ends the hop.
    pub fn end(self, outcome: &Outcome) {
        match self.role {
            Role::Owner => self.hop.end(outcome),
            Role::Refining => {
                if let Some(span) = &self.hop.span {
                    // The first one is that of the innermost layer, which knows the protocol best.
                    let _ = span.decided.set(Box::new(outcome.clone()));
                }
            }
            Role::Following => {}
        }
    }
}

impl Drop for HopSpan {
    fn drop(&mut self) {
        if self.role == Role::Owner {
            self.hop.end(&Outcome::Cancelled);
        }
    }
}

impl fmt::Debug for HopSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.hop.span.as_ref().map(|state| &state.span);
        f.debug_struct("HopSpan").field("context", &self.hop.context).field("span", &span).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
