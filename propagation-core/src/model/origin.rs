//! The origin of a context: the admission that let the work in.

use std::{
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering},
};

/// The origin of a context, kept beside it wherever it goes inside the process. Never written to a carrier.
///
/// Child hops, tasks and threads inherit it with the context, so forwarding is judged by the rule that admitted the work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The admission that let the work in; `None` for work that began in this process.
    pub(crate) admission: Option<AdmissionToken>,
    /// Whether the context is that of a hop over several messages, which adopts the process spans of those messages.
    pub(crate) in_batch: bool,
    /// The process hop that the context is inside of.
    pub(crate) process: Option<ProcessId>,
    /// Whether the context is that of a scope without telemetry and injection.
    pub(crate) suppressed: bool,
}

impl Origin {
    /// Work that began in this process.
    pub(crate) const OWN: Self = Self { admission: None, in_batch: false, process: None, suppressed: false };
}

impl Default for Origin {
    fn default() -> Self {
        Self::OWN
    }
}

/// A reference to one inbound rule of one compiled policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdmissionToken {
    pub(crate) policy: Generation,
    /// The index of the rule; `None` where no rule matched the peer.
    pub(crate) rule: Option<u32>,
    /// Whether the rule's baggage allow-list counts. Not after two rules were merged.
    pub(crate) with_baggage: bool,
}

/// Identifies one compiled policy within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(NonZeroU64);

impl Generation {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NonZeroU64::new(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap_or(NonZeroU64::MAX))
    }

    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }
}

impl Default for Generation {
    /// A generation of its own: `Policy::default()` is a policy like any other.
    fn default() -> Self {
        Self::next()
    }
}

/// Identifies one process hop within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessId(NonZeroU64);

impl ProcessId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NonZeroU64::new(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap_or(NonZeroU64::MAX))
    }
}
