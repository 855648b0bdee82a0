//! Names the place where a guard of the tracing API was left behind.
//!
//! Hops are entered by closures, so there is no guard of ours to leak; but a guard of the tracing API can be: one that is held
//! across an await, or forgotten, is still in force when the poll has returned, and work that runs next on the thread runs inside of
//! it. And code that switches stacks in the middle of a hop (stackful coroutines) leaves hops in another order than it entered them.

use std::{fmt, panic::Location, sync::Arc};

use super::{
    span::{Active, Telling},
    stack, thread_end,
};
use crate::{SpanId, bridge::CurrentHop};

/// The reaction to a guard of the tracing API that is still in force when its hop is left.
///
/// The default is [`Report`](Self::Report) in builds with debug assertions, and [`Ignore`](Self::Ignore) in others: looking costs some hundred
/// instructions for each poll of a hop with a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuardLeaks {
    /// Does not look.
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

/// The place where a hop is entered, or was captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallSite(&'static Location<'static>);

impl CallSite {
    /// The caller's place.
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

/// Compares the spans in force on this thread before a hop is entered with those after it was left.
pub(super) struct GuardLeakCheck<'a> {
    active: &'a Arc<Active>,
    telling: &'a Telling,
    place: CallSite,
    panics: bool,
    depth: usize,
    /// The `tracing` span that is current.
    span: Option<tracing::Id>,
    /// The span of OpenTelemetry's own context, if that is inside of the hop already.
    inside: Option<SpanId>,
    /// A hop that is entered inside of itself has spans around it that may rightly end.
    again: bool,
}

impl<'a> GuardLeakCheck<'a> {
    /// `None` for a hop without a span, and where nobody wants to know.
    pub(super) fn before(active: &'a Arc<Active>, place: CallSite) -> Option<Self> {
        let telling = active.span.as_ref()?;
        let leaks = telling.propagator.guard_leaks();
        if leaks == GuardLeaks::Ignore || thread_end::is_ending() {
            return None;
        }
        let (depth, again) =
            stack::look(|entered| (entered.len(), entered.iter().any(|each| each.active.id == active.id)));
        let inside = telling.propagator.span_inside(active.id);
        let span = thread_end::access(thread_end::Access::Current, || tracing::Span::current().id()).flatten();
        Some(Self { active, telling, place, panics: leaks == GuardLeaks::Panic, depth, span, inside, again })
    }

    /// Only where the work has returned: while a panic unwinds, guards are on their way out.
    pub(super) fn after(self) {
        let Some(left_behind) = self.stack().or_else(|| self.tracing_api()) else { return };
        let place = self.place;
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

    /// Hops that were entered after this one and are not left.
    fn stack(&self) -> Option<String> {
        let above = stack::look(|entered| entered.get(self.depth).map(|entered| entered.place));
        above.map(|place| format!("the hop that was entered at {place} was still entered"))
    }

    /// A span or context of the tracing API that was entered inside of the hop.
    fn tracing_api(&self) -> Option<String> {
        if self.again || thread_end::is_ending() {
            return None;
        }
        let propagator = &self.telling.propagator;
        let current = tracing::Span::current();
        let changed = current.id().filter(|id| Some(id) != self.span.as_ref()).is_some();
        // A user's span that is current as before is not asked: asking starts it.
        if changed && propagator.sees(CurrentHop { id: self.active.id, trace: &self.active.context.trace }) {
            let metadata = current.metadata()?;
            let (file, line) = (metadata.file().unwrap_or("?"), metadata.line().unwrap_or_default());
            return Some(format!("the span `{}` of {file}:{line} was still entered", metadata.name()));
        }
        let inside = propagator.span_inside(self.active.id).filter(|span| Some(*span) != self.inside)?;
        Some(format!("a context of OpenTelemetry was still attached, with the span {inside}"))
    }
}
