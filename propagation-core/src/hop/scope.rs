//! Entering a hop: for a closure, and for every poll and the drop of a future.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{
    CallSite,
    active::{ActiveHop, PanicMark},
    guard_leak::GuardLeakCheck,
    stack::push,
    thread_end,
};

pin_project! {
    /// The future of [`HopSpan::scope`](super::HopSpan::scope).
    #[must_use = "futures do nothing unless polled"]
    pub struct Scope<F> {
        hop: Arc<ActiveHop>,
        site: CallSite,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Scope<F> {
        // Destructors of the future's values may make calls, which belong to the hop.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            enter(this.hop, *this.site, || this.future.set(None));
        }
    }
}

impl<F> Scope<F> {
    pub(super) fn new(hop: Arc<ActiveHop>, site: CallSite, future: F) -> Self {
        Self { hop, site, future: Some(future) }
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.as_pin_mut() {
            Some(future) => enter(this.hop, *this.site, || future.poll(task)),
            None => Poll::Pending,
        }
    }
}

impl<F> fmt::Debug for Scope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Runs `run` inside a hop: on this thread's stack, and in the hop's span.
pub(super) fn enter<R>(hop: &Arc<ActiveHop>, site: CallSite, run: impl FnOnce() -> R) -> R {
    let check = GuardLeakCheck::before(hop, site);
    let result = enter_span(hop, site, run);
    if let Some(check) = check {
        check.after();
    }
    result
}

fn enter_span<R>(hop: &Arc<ActiveHop>, site: CallSite, run: impl FnOnce() -> R) -> R {
    let _pop = push(hop, site);
    let Some(span) = &hop.span else { return run() };
    let mark = PanicMark::new(span);
    let result = thread_end::enter(|within| span.span.enter(within), run);
    mark.disarm();
    result
}
