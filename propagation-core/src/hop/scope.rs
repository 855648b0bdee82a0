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
    guard_leak::GuardLeakCheck,
    span::{Active, PanicMark},
    stack::push,
    thread_end,
};

pin_project! {
    /// The future of [`HopSpan::scope`].
    pub struct Scope<F> {
        hop: Arc<Active>,
        place: CallSite,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Scope<F> {
        // What the future holds may make calls while it is dropped: they belong to the hop, too.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            enter(this.hop, *this.place, || this.future.set(None));
        }
    }
}

impl<F> Scope<F> {
    pub(super) fn new(hop: Arc<Active>, place: CallSite, future: F) -> Self {
        Self { hop, place, future: Some(future) }
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.as_pin_mut() {
            Some(future) => enter(this.hop, *this.place, || future.poll(task)),
            None => Poll::Pending,
        }
    }
}

impl<F> fmt::Debug for Scope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

pub(super) fn enter<R>(active: &Arc<Active>, place: CallSite, run: impl FnOnce() -> R) -> R {
    let check = GuardLeakCheck::before(active, place);
    let answer = enter_span(active, place, run);
    if let Some(check) = check {
        check.after();
    }
    answer
}

fn enter_span<R>(active: &Arc<Active>, place: CallSite, run: impl FnOnce() -> R) -> R {
    let _left = push(active, place);
    let Some(span) = &active.span else { return run() };
    let mut mark = PanicMark(Some(span));
    let answer = thread_end::enter(|within| span.enter(within), run);
    mark.0 = None;
    answer
}
