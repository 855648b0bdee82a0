//! Detects guards of the tracing API that outlive the scope of a hop.
//!
//! Hops are entered by closures, so no guard of ours can leak. A guard of the tracing API can: held across an await, or forgotten, it is
//! still in force when the poll has returned, and work that runs next on the thread runs inside its span. Code that switches stacks in
//! the middle of a hop (stackful coroutines) leaves hops in another order than it entered them.

use std::{fmt, panic::Location, sync::Arc};

use super::{
    CurrentHop,
    active::{ActiveHop, SpanState},
    seam::HopHost,
    stack,
    thread_end::{self, Access},
};
use crate::SpanId;

/// The reaction to a guard of the tracing API that is still in force after its scope.
///
/// The default is [`Report`](Self::Report) in builds with debug assertions, and [`Ignore`](Self::Ignore) in others: the check costs some
/// hundred instructions for each poll of a hop with a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuardLeaks {
    /// Makes no check.
    Ignore,
    /// Emits an error event of the target `propagation` with the file and line of the scope, and of the span if it is one of `tracing`.
    Report,
    /// Emits the event, and panics: for tests.
    Panic,
}

impl Default for GuardLeaks {
    fn default() -> Self {
        if cfg!(debug_assertions) { Self::Report } else { Self::Ignore }
    }
}

impl GuardLeaks {
    /// Parses a value of the variable `PROPAGATION_GUARD_LEAKS`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [("ignore", Self::Ignore), ("report", Self::Report), ("panic", Self::Panic)];
        all.into_iter().find(|(known, _)| name.trim().eq_ignore_ascii_case(known)).map(|(_, found)| found)
    }
}

/// The code that entered or captured a hop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallSite(&'static Location<'static>);

impl CallSite {
    /// Returns the caller's location.
    #[track_caller]
    pub(crate) fn here() -> Self {
        Self(Location::caller())
    }
}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Compares the spans in force on this thread before and after a scope of a hop.
pub(super) struct GuardLeakCheck<'a> {
    hop: &'a ActiveHop,
    host: &'a dyn HopHost,
    site: CallSite,
    panics: bool,
    /// The number of hops on the stack before.
    depth: usize,
    /// The current `tracing` span before.
    span: Option<tracing::Id>,
    /// The span of OpenTelemetry's own context before, if it was inside the hop already.
    inside: Option<SpanId>,
    /// Whether the hop was entered inside itself: spans around the inner scope may end in it.
    reentered: bool,
}

impl<'a> GuardLeakCheck<'a> {
    /// Returns `None` for a hop without a span, and if leaks are ignored.
    pub(super) fn before(hop: &'a Arc<ActiveHop>, site: CallSite) -> Option<Self> {
        let SpanState { host, .. } = hop.span.as_ref()?;
        let leaks = host.guard_leaks();
        if leaks == GuardLeaks::Ignore || thread_end::is_ending() {
            return None;
        }
        let (depth, reentered) =
            stack::peek(|entries| (entries.len(), entries.iter().any(|entry| entry.hop.id == hop.id)));
        let inside = host.span_inside(hop.id);
        let span = thread_end::access(Access::Current, || tracing::Span::current().id()).flatten();
        let panics = leaks == GuardLeaks::Panic;
        Some(Self { hop, host: &**host, site, panics, depth, span, inside, reentered })
    }

    /// Reports a leak. Called only after the work has returned: while a panic unwinds, guards are about to be dropped.
    pub(super) fn after(self) {
        let Some(left_behind) = self.entered_hop().or_else(|| self.entered_span()) else { return };
        let place = self.site;
        tracing::error!(
            target: "propagation",
            %place,
            %left_behind,
            "a guard was left behind: do not hold it across an await, and do not forget it"
        );
        assert!(
            !self.panics || std::thread::panicking(),
            "{left_behind} when the hop that was entered at {place} was left: a guard was held across an await, or forgotten"
        );
    }

    /// Returns a hop that was entered after this one and has not been left.
    fn entered_hop(&self) -> Option<String> {
        let above = stack::peek(|entries| entries.get(self.depth).map(|entry| entry.site));
        above.map(|site| format!("the hop that was entered at {site} was still entered"))
    }

    /// Returns a span or context of the tracing API that was entered inside the hop and has not been left.
    fn entered_span(&self) -> Option<String> {
        if self.reentered || thread_end::is_ending() {
            return None;
        }
        let current = tracing::Span::current();
        let changed = current.id().filter(|id| Some(id) != self.span.as_ref()).is_some();
        // Only a new span is looked at: looking starts it.
        let innermost = CurrentHop { id: self.hop.id, trace: &self.hop.context.trace };
        if changed && self.host.has_span_inside(innermost) {
            let metadata = current.metadata()?;
            let (file, line) = (metadata.file().unwrap_or("?"), metadata.line().unwrap_or_default());
            return Some(format!("the span `{}` of {file}:{line} was still entered", metadata.name()));
        }
        let inside = self.host.span_inside(self.hop.id).filter(|span| Some(*span) != self.inside)?;
        Some(format!("a context of OpenTelemetry was still attached, with the span {inside}"))
    }
}
