//! Carries the current context into tasks, threads, streams, channels and callbacks.
//!
//! Each helper captures the current context and `tracing` span where it is called, and runs the work in them on any thread. There
//! are no guards that could leak: the context is entered for a closure, or for every poll and the drop of a future.
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
//! # Ok::<(), propagation_core::model::TraceParentError>(())
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
    HopSpan, PropagationContext, Propagator,
    hop::{
        self, CallSite,
        thread_end::{self, Access},
    },
};

/// A captured context and `tracing` span, to run work in elsewhere.
///
/// Cheap to clone, and `Send`. For example, send it through a channel beside a message, keep it in a callback's state, or pass it to
/// each closure of a parallel loop. Spans made inside are children of the span that was current at the capture.
///
/// A captured hop still ends when its owner ends it. A `tracing` span of user code closes only when its last `Current` is dropped.
#[derive(Clone)]
pub struct Current(Arc<Inner>);

struct Inner {
    hop: HopSpan,
    /// The `tracing` span, so that log lines of carried work have the same scope.
    span: Span,
    place: CallSite,
}

impl Current {
    /// Captures the current context and `tracing` span.
    ///
    /// Outside any hop and span it captures an empty context: carried work then runs without a context, even if it is polled or called
    /// inside another request.
    #[must_use]
    #[track_caller]
    pub fn capture(propagator: &Propagator) -> Self {
        let id = hop::current_id();
        // Spans of user code inherit the id of their hop. A `tracing` span outside a hop has no id: its children find their
        // parent through the bridge's context.
        let own = id.is_some() || !propagator.makes_spans();
        let current = || if own { Span::current() } else { Span::none() };
        let span = thread_end::access(Access::Current, current).unwrap_or_else(Span::none);
        let hop = propagator.carry(propagator.current(), id);
        Self(Arc::new(Inner { hop, span, place: CallSite::here() }))
    }

    /// Creates a handle on a stored or received context, to resume work in.
    #[must_use]
    #[track_caller]
    pub fn resume(propagator: &Propagator, context: PropagationContext) -> Self {
        let hop = propagator.continue_from(context);
        Self(Arc::new(Inner { hop, span: Span::none(), place: CallSite::here() }))
    }

    /// Returns the captured context.
    #[must_use]
    pub fn context(&self) -> &PropagationContext {
        self.0.hop.context()
    }

    /// Runs a closure in the context. Suits callbacks that are called more than once.
    ///
    /// A leaked guard is reported as by [`HopSpan::in_scope`](crate::HopSpan::in_scope), with the call site of the capture.
    pub fn in_scope<R>(&self, run: impl FnOnce() -> R) -> R {
        let span = &self.0.span;
        thread_end::enter(|within| span.in_scope(within), || self.0.hop.in_scope_from(self.0.place, run))
    }

    /// Returns a future (or, with the feature `stream`, a stream) that runs in the context on every poll and on drop, on any thread.
    pub fn scope<F>(&self, future: F) -> InContext<F> {
        InContext::new(self.clone(), future)
    }
}

impl Drop for Inner {
    /// Dropping the last handle on a `tracing` span closes it, which calls the subscriber.
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

/// Wraps a closure so that it runs in the current context elsewhere: on a thread, as a rayon job, in `spawn_blocking`, as a callback.
///
/// Values that the closure captured by value are also dropped in the context. For a closure that is called more than once, see
/// [`Current::in_scope`].
#[track_caller]
pub fn carry<R, F: FnOnce() -> R>(propagator: &Propagator, run: F) -> impl FnOnce() -> R + use<R, F> {
    let current = Current::capture(propagator);
    move || current.in_scope(run)
}
