use std::{
    cell::Cell,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{Direction, Peer, Rejection};

type Callback = dyn Fn(Direction, &Peer<'_>, &Rejection) + Send + Sync;

/// The callback of [`PropagatorBuilder::on_rejection`](super::PropagatorBuilder::on_rejection).
pub(super) struct RejectionCallback {
    callback: Box<Callback>,
    /// Whether a panic was reported.
    has_panicked: AtomicBool,
}

thread_local! {
    /// Whether this thread runs a callback.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

impl RejectionCallback {
    pub(super) fn new(callback: impl Fn(Direction, &Peer<'_>, &Rejection) + Send + Sync + 'static) -> Self {
        Self { callback: Box::new(callback), has_panicked: AtomicBool::new(false) }
    }

    /// Calls the callback for each rejection. Skips rejections that the callback itself causes, and stops at a panic.
    pub(super) fn call(&self, direction: Direction, peer: &Peer<'_>, rejections: &[Rejection]) {
        // A destroyed thread local counts as running: the thread ends.
        if RUNNING.try_with(|running| running.replace(true)).unwrap_or(true) {
            return;
        }
        let calls = || rejections.iter().for_each(|rejection| (self.callback)(direction, peer, rejection));
        let panicked = panic::catch_unwind(AssertUnwindSafe(calls)).is_err();
        let _ = RUNNING.try_with(|running| running.set(false));
        if panicked && !self.has_panicked.swap(true, Ordering::Relaxed) {
            tracing::error!(
                target: "propagation",
                "callback of on_rejection panicked; requests are not affected, further panics are not logged"
            );
        }
    }
}

impl fmt::Debug for RejectionCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectionCallback").finish_non_exhaustive()
    }
}
