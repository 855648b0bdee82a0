//! The propagator as running hops see it.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Inner, Propagator};
use crate::{
    GuardLeaks, SpanId, TelemetryLimits, TextGuard, TraceContext,
    bridge::{CurrentHop, HopId},
    hop::{
        HopHost,
        thread_end::{Access, access},
    },
    semconv::SemanticConventions,
};

/// A handle that the hops of a group of threads share.
///
/// Each hop with a span counts a reference to its handle, at its start and its end. With one handle for all threads, they would all write to
/// the same count. A handle and its count are on cache lines of their own.
#[repr(align(64))]
pub(super) struct Host(Arc<Inner>);

/// The number of handles. More threads than that share them.
const HANDLES: usize = 32;

impl Host {
    /// Creates the handles of a propagator.
    pub(super) fn handles(propagator: &Arc<Inner>) -> Arc<[Arc<Self>]> {
        (0..HANDLES).map(|_| Arc::new(Self(Arc::clone(propagator)))).collect()
    }
}

impl Propagator {
    /// Returns the handle for hops that start on this thread.
    pub(super) fn host(&self) -> Arc<dyn HopHost> {
        let handle = self.1.get(thread_number() % HANDLES).map(Arc::clone);
        handle.unwrap_or_else(|| Arc::new(Host(Arc::clone(&self.0))))
    }
}

/// Returns the number of this thread, in the order in which threads start their first span.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        /// Without a destructor: readable to the end of the thread.
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.get().unwrap_or_else(|| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        NUMBER.set(Some(number));
        number
    })
}

/// Guards with the policy in force: a long-lived hop follows a policy that is replaced.
impl TextGuard for Host {
    fn limits(&self) -> TelemetryLimits {
        self.0.policy.load().limits()
    }

    fn allows_text(&self, key: &str, text: &str) -> bool {
        self.0.policy.load().allows_text(key, text)
    }

    fn allows_link_state(&self, trace: &TraceContext) -> bool {
        self.0.policy.load().allows_link_state(trace)
    }
}

impl HopHost for Host {
    fn guard_leaks(&self) -> GuardLeaks {
        self.0.guard_leaks
    }

    fn takes_stack_traces(&self) -> bool {
        self.0.stack_traces
    }

    fn semantic_conventions(&self) -> SemanticConventions {
        self.0.semantic_conventions
    }

    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        access(Access::Current, || self.0.bridge.span_inside(id)).flatten()
    }

    fn has_span_inside(&self, hop: CurrentHop<'_>) -> bool {
        access(Access::Current, || self.0.bridge.current(Some(hop))).flatten().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_count_their_hops_apart() {
        let propagator = Propagator::default();
        let own = propagator.host();
        assert!(Arc::ptr_eq(&own, &propagator.clone().host()));
        let other = thread::scope(|scope| scope.spawn(|| propagator.host()).join().unwrap());
        assert!(!Arc::ptr_eq(&own, &other));
    }

    #[test]
    fn propagator_lives_as_long_as_its_hops() {
        let propagator = Propagator::default();
        let (inner, host) = (Arc::downgrade(&propagator.0), propagator.host());
        drop(propagator);
        assert!(inner.upgrade().is_some());
        drop(host);
        assert!(inner.upgrade().is_none());
    }
}
