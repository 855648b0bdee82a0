//! The current context, carried over the boundaries that Rust does not carry it over: tasks, threads, streams, channels, callbacks.
//!
//! Everything here captures what is current where it is called, and runs the work in it, wherever that happens. There is no guard
//! to hold and so none to leak: work is entered by a closure, or on every poll and on drop, and left again.
//!
//! ```
//! use propagation_core::{Hop, PropagationContext, Propagator, SpanKind, task};
//!
//! let propagator = Propagator::default();
//! let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
//! let request = propagator.start(Hop::remote(SpanKind::Server, PropagationContext::new(propagation_core::TraceContext::new(parent))));
//! let sent = request.in_scope(|| {
//!     let inner = propagator.clone();
//!     std::thread::spawn(task::carry(&propagator, move || inner.current()))
//! });
//! assert_eq!(sent.join().ok().as_ref(), Some(request.context()));
//! # Ok::<(), propagation_core::TraceParentError>(())
//! ```

mod future;
#[cfg(feature = "stream")]
mod stream;
#[cfg(feature = "tokio")]
mod tokio;

use std::{fmt, sync::Arc};

use tracing::Span;

pub use future::{InContext, InContextExt};
#[cfg(feature = "stream")]
pub use stream::InContextStreamExt;
#[cfg(feature = "tokio")]
pub use tokio::{JoinSetExt, spawn, spawn_blocking};

use crate::{
    Hop, HopSpan, PropagationContext, Propagator,
    current::{
        self, CallSite,
        thread_end::{self, Access},
    },
};

/// What was current at one place, to run work in at another.
///
/// Cheap to clone and free to cross threads. Send it through a channel beside a message, keep it in a callback's state, hand it to
/// each closure of a parallel loop. Spans made inside are children of the span that was current at the capture. A hop's span ends
/// when the hop does; a span of user code that ends by being dropped ends only when its last `Current` is gone, too.
#[derive(Clone)]
pub struct Current(Arc<Inner>);

struct Inner {
    hop: HopSpan,
    /// The `tracing` span: log lines of carried work stand in the same scope.
    span: Span,
    place: CallSite,
}

impl Current {
    /// Captures what is current here. Outside of any hop and span that is nothing, and carried work then runs in nothing, even
    /// where it is polled or called inside of another request.
    #[must_use]
    #[track_caller]
    pub fn capture(propagator: &Propagator) -> Self {
        let marker = current::innermost(|hop| hop.map(|(_, marker)| marker));
        // Spans of user code inherit the marker of the hop that they are in. A `tracing` span that is in no hop has none to pass on:
        // its children find their parent through the bridge's context instead.
        let own = marker.is_some() || !propagator.makes_spans();
        let current = || if own { Span::current() } else { Span::none() };
        let span = thread_end::access(Access::Current, current).unwrap_or_else(Span::none);
        let hop = propagator.start(Hop::carry(propagator.current(), marker));
        Self(Arc::new(Inner { hop, span, place: CallSite::here() }))
    }

    /// A context that was stored or received, to resume work in.
    #[must_use]
    #[track_caller]
    pub fn resume(propagator: &Propagator, context: PropagationContext) -> Self {
        let hop = propagator.start(Hop::resume(context));
        Self(Arc::new(Inner { hop, span: Span::none(), place: CallSite::here() }))
    }

    /// The context that was captured.
    #[must_use]
    pub fn context(&self) -> &PropagationContext {
        self.0.hop.context()
    }

    /// Runs `run` in the context: for callbacks that are called more than once.
    ///
    /// A guard that is left behind is reported as by [`HopSpan::in_scope`](crate::HopSpan::in_scope), with the place of the capture.
    pub fn in_scope<R>(&self, run: impl FnOnce() -> R) -> R {
        let span = &self.0.span;
        thread_end::enter(|within| span.in_scope(within), || self.0.hop.in_scope_from(self.0.place, run))
    }

    /// A future (or, with the feature `stream`, a stream) that runs in the context, on whichever thread polls or drops it.
    pub fn scope<F>(&self, future: F) -> InContext<F> {
        InContext::new(self.clone(), future)
    }
}

impl Drop for Inner {
    /// The last handle on a span of `tracing` closes it, which its subscriber acts on.
    fn drop(&mut self) {
        if !self.span.is_none() && thread_end::is_ending() {
            let span = std::mem::replace(&mut self.span, Span::none());
            thread_end::elsewhere(move || drop(span));
        }
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("context", self.context()).finish_non_exhaustive()
    }
}

/// Carries what is current here into a closure that runs elsewhere: a thread, a rayon job, `spawn_blocking`, a callback.
///
/// What the closure holds is dropped in the context, too, when it has run. For one that is called more than once, see
/// [`Current::in_scope`].
#[track_caller]
pub fn carry<R, F: FnOnce() -> R>(propagator: &Propagator, run: F) -> impl FnOnce() -> R + use<R, F> {
    let current = Current::capture(propagator);
    move || current.in_scope(run)
}
