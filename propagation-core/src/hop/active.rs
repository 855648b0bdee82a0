//! A started hop, shared by its handles, its scopes and the stack of each thread that it is entered on.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use super::{
    BridgeSpan, Exception, HopId, Outcome,
    findings::Findings,
    seam::HopHost,
    thread_end::{self, Access},
};
use crate::PropagationContext;

pub(super) struct ActiveHop {
    pub(super) context: PropagationContext,
    pub(super) id: HopId,
    pub(super) span: Option<SpanState>,
    /// The detectors' findings in the baggage of `context`.
    pub(super) findings: Findings,
    ended: AtomicBool,
}

/// A hop's span, and the events that decide how it ends.
pub(super) struct SpanState {
    pub(super) span: Box<dyn BridgeSpan>,
    pub(super) host: Arc<dyn HopHost>,
    /// The first exception that code inside the hop has recorded.
    pub(super) exception: OnceLock<Box<Exception>>,
    /// Whether a panic has unwound through a scope of the hop.
    pub(super) panicked: AtomicBool,
    /// The outcome that a [`HopSpan::refining`](super::HopSpan::refining) handle has decided.
    pub(super) decided: OnceLock<Box<Outcome>>,
}

impl ActiveHop {
    #[inline]
    pub(super) fn new(
        context: PropagationContext,
        id: HopId,
        span: Option<(Box<dyn BridgeSpan>, Arc<dyn HopHost>)>,
    ) -> Self {
        let span = span.map(|(span, host)| SpanState {
            span,
            host,
            exception: OnceLock::new(),
            panicked: AtomicBool::new(false),
            decided: OnceLock::new(),
        });
        Self { context, id, span, findings: Findings::default(), ended: AtomicBool::new(false) }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Ends the span, unless it has ended.
    pub(super) fn end(self: &Arc<Self>, outcome: &Outcome) {
        if !self.ended.swap(true, Ordering::Relaxed)
            && let Some(span) = &self.span
            && thread_end::access(Access::End, || span.end(outcome)).is_none()
        {
            let (active, outcome) = (Arc::clone(self), outcome.clone());
            thread_end::elsewhere(move || active.span.iter().for_each(|span| span.end(&outcome)));
        }
    }
}

impl Drop for ActiveHop {
    /// Dropping a span of `tracing` closes it, which calls the subscriber.
    fn drop(&mut self) {
        if let Some(span) = self.span.take_if(|_| thread_end::is_ending()) {
            thread_end::elsewhere(move || drop(span));
        }
    }
}

impl SpanState {
    /// Out of line: most hops record nothing and skip this.
    #[inline(never)]
    fn end(&self, outcome: &Outcome) {
        let outcome = self.decided.get().map_or(outcome, |decided| stronger(decided, outcome));
        let panicked = self.panicked.load(Ordering::Relaxed) && matches!(outcome, Outcome::Unset | Outcome::Cancelled);
        let outcome = if panicked { &Outcome::raised(Exception::new("panic")) } else { outcome };
        self.span.end(&outcome.guarded(self.exception.get().map(AsRef::as_ref), &*self.host));
    }
}

/// Returns the outcome of the inner layer, which knows the protocol best, unless only the outer layer reports an error: then a layer
/// between the two has replaced the response.
fn stronger<'o>(decided: &'o Outcome, outcome: &'o Outcome) -> &'o Outcome {
    match (decided, outcome) {
        (Outcome::Error { .. }, _) | (_, Outcome::Unset | Outcome::Cancelled) => decided,
        _ => outcome,
    }
}

/// Marks a hop as failed if it is dropped before [`disarm`](Self::disarm): then a panic unwinds through the hop.
///
/// Unlike [`std::thread::panicking`], this does not mistake a hop that is dropped while another task's panic unwinds.
pub(super) struct PanicMark<'a>(Option<&'a SpanState>);

impl<'a> PanicMark<'a> {
    pub(super) fn new(span: &'a SpanState) -> Self {
        Self(Some(span))
    }

    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for PanicMark<'_> {
    fn drop(&mut self) {
        if let Some(span) = self.0 {
            span.panicked.store(true, Ordering::Relaxed);
        }
    }
}
