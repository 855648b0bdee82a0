//! Futures that run in a captured context.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::Current;
use crate::{PropagationContext, Propagator};

pin_project! {
    /// A future or stream that runs in a captured context on every poll and on drop.
    #[must_use = "futures and streams do nothing unless polled"]
    pub struct InContext<F> {
        current: Current,
        #[pin]
        inner: Option<F>,
    }

    impl<F> PinnedDrop for InContext<F> {
        // Destructors of the future's values may make calls, which belong to the context.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.current.in_scope(|| this.inner.set(None));
        }
    }
}

impl<F> InContext<F> {
    pub(super) fn new(current: Current, inner: F) -> Self {
        Self { current, inner: Some(inner) }
    }

    /// Returns the context that it runs in.
    #[must_use]
    pub fn context(&self) -> &PropagationContext {
        self.current.context()
    }

    /// Polls the inner stream in the context.
    #[cfg(feature = "stream")]
    pub(super) fn poll_inner<R>(self: Pin<&mut Self>, poll: impl FnOnce(Pin<&mut F>) -> R) -> Option<R> {
        let this = self.project();
        this.inner.as_pin_mut().map(|inner| this.current.in_scope(|| poll(inner)))
    }

    #[cfg(feature = "stream")]
    pub(super) fn inner(&self) -> Option<&F> {
        self.inner.as_ref()
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(future) => this.current.in_scope(|| future.poll(task)),
            None => Poll::Pending,
        }
    }
}

impl<F> fmt::Debug for InContext<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InContext").field("current", &self.current).finish_non_exhaustive()
    }
}

/// Runs futures in a context.
///
/// For futures that are passed to an executor. A future that is awaited in place runs in the current context without this.
///
/// ```no_run
/// use propagation_core::{Propagator, task::InContextExt};
///
/// # async fn audit() {}
/// # fn handler(propagator: &Propagator) {
/// tokio::spawn(audit().in_current_context(propagator));
/// # }
/// ```
pub trait InContextExt: Future + Sized {
    /// Captures the current context, and runs the future in it.
    #[track_caller]
    fn in_current_context(self, propagator: &Propagator) -> InContext<Self> {
        Current::capture(propagator).scope(self)
    }

    /// Runs the future in a stored or received context.
    #[track_caller]
    fn in_context(self, propagator: &Propagator, context: PropagationContext) -> InContext<Self> {
        Current::resume(propagator, context).scope(self)
    }
}

impl<F: Future> InContextExt for F {}
