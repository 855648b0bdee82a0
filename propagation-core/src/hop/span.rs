//! The current context: what outgoing calls carry without being told.
//!
//! It follows the future, not the thread: a hop is entered on every poll, and on drop, and left again. After it, current is what
//! it was before.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Attribute, AttributeValue, CallSite, Exception, Link, Outcome, Scope, gate,
    scope::enter,
    thread_end::{self, Access},
};
use crate::{
    PropagationContext, Propagator,
    bridge::{BridgeSpan, HopId},
};

pub(super) struct Active {
    pub(super) context: PropagationContext,
    pub(super) id: HopId,
    pub(super) span: Option<Telling>,
    ended: AtomicBool,
}

/// A span, and the propagator whose policy says what may be told of it.
pub(super) struct Telling {
    span: Box<dyn BridgeSpan>,
    pub(super) propagator: Propagator,
    pub(super) noted: OnceLock<Box<Exception>>,
    /// Whether a panic has unwound through a scope of the hop.
    panicked: AtomicBool,
    /// The outcome that a [`HopSpan::refining`] handle has decided.
    decided: OnceLock<Box<Outcome>>,
}

impl Telling {
    /// Out of line: most hops record nothing and skip this.
    #[inline(never)]
    fn finish(&self, outcome: &Outcome) {
        let outcome = match self.decided.get() {
            // A layer between the two has answered with an error of its own.
            Some(decided)
                if matches!(
                    (&**decided, outcome),
                    (Outcome::Error { .. }, _) | (_, Outcome::Unset | Outcome::Cancelled)
                ) =>
            {
                decided
            }
            _ => outcome,
        };
        let panicked = self.panicked.load(Ordering::Relaxed) && matches!(outcome, Outcome::Unset | Outcome::Cancelled);
        let outcome = if panicked { &Outcome::raised(Exception::new("panic")) } else { outcome };
        let outcome = outcome.guarded(self.noted.get().map(AsRef::as_ref), || self.propagator.policy());
        self.span.end(&outcome);
    }
}

/// Marks a hop as failed if it is dropped before the work has returned: then a panic unwinds through the hop.
///
/// Unlike [`std::thread::panicking`], this does not mistake a hop that is dropped while another task's panic unwinds.
pub(super) struct PanicMark<'a>(pub(super) Option<&'a Telling>);

impl Drop for PanicMark<'_> {
    fn drop(&mut self) {
        if let Some(span) = self.0 {
            span.panicked.store(true, Ordering::Relaxed);
        }
    }
}

impl std::ops::Deref for Telling {
    type Target = dyn BridgeSpan;

    fn deref(&self) -> &Self::Target {
        &*self.span
    }
}

/// A hop that was started: its context, its span if a bridge made one.
///
/// Dropped before [`end`](Self::end), it ends as [`Outcome::Cancelled`]. Cheap to move from a future into the body it answers with.
///
/// A panic that unwinds through [`in_scope`](Self::in_scope), or through a poll or drop of [`scope`](Self::scope), marks the hop as
/// failed: it ends with the `error.type` `panic`, unless its end names another error.
pub struct HopSpan(Arc<Active>, Role);

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
    pub(crate) fn new(context: PropagationContext, id: HopId) -> Self {
        Self(Arc::new(Active { context, id, span: None, ended: AtomicBool::new(false) }), Role::Owner)
    }

    pub(crate) fn telling(
        context: PropagationContext,
        id: HopId,
        span: Box<dyn BridgeSpan>,
        propagator: Propagator,
    ) -> Self {
        let span = Some(Telling {
            span,
            propagator,
            noted: OnceLock::new(),
            panicked: AtomicBool::new(false),
            decided: OnceLock::new(),
        });
        Self(Arc::new(Active { context, id, span, ended: AtomicBool::new(false) }), Role::Owner)
    }

    /// Returns a second handle on the hop that changes its span and decides its outcome: for a layer inside of another one around the
    /// same message. The span ends when its owner does.
    #[must_use]
    pub fn refining(&self) -> Self {
        Self(Arc::clone(&self.0), Role::Refining)
    }

    /// Returns a second handle on the hop that enters it, and records nothing.
    #[must_use]
    pub fn following(&self) -> Self {
        Self(Arc::clone(&self.0), Role::Following)
    }

    /// Returns `true` once the span has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::Relaxed)
    }

    /// Returns `true` if a panic has unwound through a scope of the hop. Always `false` where no span is made.
    #[must_use]
    pub fn has_panicked(&self) -> bool {
        self.0.span.as_ref().is_some_and(|span| span.panicked.load(Ordering::Relaxed))
    }

    /// The span, if this handle may change it.
    fn span(&self) -> Option<&Telling> {
        self.0.span.as_ref().filter(|_| self.1 != Role::Following && !thread_end::is_ending())
    }

    /// The hop's own context: what calls made inside it carry.
    #[must_use]
    pub fn context(&self) -> &PropagationContext {
        &self.0.context
    }

    /// Whether a bridge made a span: if not, attributes go nowhere.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.span().is_some()
    }

    /// Runs `run` inside the hop.
    ///
    /// A guard of the tracing API that was taken inside and is still in force afterwards is reported, or makes this panic, as the
    /// propagator's [`GuardLeaks`] ask: work that runs next on this thread would run in it.
    #[track_caller]
    pub fn in_scope<R>(&self, run: impl FnOnce() -> R) -> R {
        enter(&self.0, CallSite::here(), run)
    }

    /// The same for who was called from elsewhere.
    pub(crate) fn in_scope_from<R>(&self, place: CallSite, run: impl FnOnce() -> R) -> R {
        enter(&self.0, place, run)
    }

    /// A future that runs inside the hop, on whichever thread polls or drops it. It does not end the hop.
    ///
    /// A guard that is held across an await is reported, as by [`in_scope`](Self::in_scope).
    #[track_caller]
    pub fn scope<F: Future>(&self, future: F) -> Scope<F> {
        Scope::new(Arc::clone(&self.0), CallSite::here(), future)
    }

    /// Adds or replaces an attribute. An external value passes the policy's guard.
    pub fn set_attribute(&self, key: &'static str, value: impl Into<AttributeValue>) {
        if self.span().is_some() {
            self.set(Attribute::new(key, value));
        }
    }

    /// Adds or replaces an attribute. An external value passes the policy's guard.
    pub fn set(&self, attribute: Attribute) {
        let Some(span) = self.span() else { return };
        if !gate::is_external(&attribute.value) {
            span.set_attribute(attribute);
        } else if let Some(guarded) = gate::attribute(&*span.propagator.policy(), attribute) {
            span.set_attribute(guarded);
        }
    }

    /// Adds a link. Its tracestate and its external attributes pass the policy's guard.
    pub fn add_link(&self, link: impl Into<Link>) {
        let Some(span) = self.span() else { return };
        let mut link = link.into();
        gate::link(&*span.propagator.policy(), &mut link);
        span.add_link(link);
    }

    /// Changes the span's name.
    pub fn rename(&self, name: impl Into<std::borrow::Cow<'static, str>>) {
        if let Some(span) = self.span() {
            span.rename(gate::name(&*span.propagator.policy(), name.into()));
        }
    }

    /// Ends the hop.
    pub fn end(self, outcome: &Outcome) {
        match self.1 {
            Role::Owner => self.0.end(outcome),
            Role::Refining => {
                if let Some(span) = &self.0.span {
                    // The innermost layer knows the protocol best.
                    let _ = span.decided.set(Box::new(outcome.clone()));
                }
            }
            Role::Following => {}
        }
    }
}

impl Drop for HopSpan {
    fn drop(&mut self) {
        if self.1 == Role::Owner {
            self.0.end(&Outcome::Cancelled);
        }
    }
}

impl Active {
    fn end(self: &Arc<Self>, outcome: &Outcome) {
        if !self.ended.swap(true, Ordering::Relaxed)
            && let Some(span) = &self.span
            && thread_end::access(Access::End, || span.finish(outcome)).is_none()
        {
            let (active, outcome) = (Arc::clone(self), outcome.clone());
            thread_end::elsewhere(move || active.span.iter().for_each(|span| span.finish(&outcome)));
        }
    }
}

impl Drop for Active {
    /// A span of `tracing` closes here, which its subscriber acts on.
    fn drop(&mut self) {
        if let Some(span) = self.span.take_if(|_| thread_end::is_ending()) {
            thread_end::elsewhere(move || drop(span));
        }
    }
}

impl fmt::Debug for HopSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.0.span.as_ref().map(|telling| &telling.span);
        f.debug_struct("HopSpan").field("context", &self.0.context).field("span", &span).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
