//! Names the place where a guard was left behind, in debug builds. Release builds have nothing of it.
//!
//! Hops are entered by closures, so there is no guard of ours to leak; but a guard of the tracing API can be: one that is held
//! across an await, or forgotten, is still in force when the poll has returned, and whatever runs next on the thread runs inside of
//! it. And who switches stacks in the middle of a hop (stackful coroutines) leaves hops in an order that they were not entered in.

#[cfg(debug_assertions)]
use std::{fmt, panic::Location};

use std::sync::Arc;

use super::Active;
#[cfg(debug_assertions)]
use super::Telling;
#[cfg(debug_assertions)]
use crate::{SpanId, bridge::Innermost};

/// Where a hop is entered, or was captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    #[cfg(debug_assertions)]
    location: &'static Location<'static>,
}

impl Place {
    /// The caller's.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn here() -> Self {
        Self {
            #[cfg(debug_assertions)]
            location: Location::caller(),
        }
    }
}

#[cfg(debug_assertions)]
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location.fmt(f)
    }
}

/// Compares what is in force on this thread before a hop is entered with what is after it was left.
#[cfg(not(debug_assertions))]
pub(super) struct Watch;

#[cfg(not(debug_assertions))]
#[expect(clippy::unused_self, reason = "as in debug builds")]
impl Watch {
    pub(super) fn before(_: &Arc<Active>, _: Place) -> Self {
        Self
    }

    pub(super) fn after(self) {}
}

/// Compares what is in force on this thread before a hop is entered with what is after it was left.
#[cfg(debug_assertions)]
pub(super) struct Watch<'a> {
    active: &'a Arc<Active>,
    place: Place,
    depth: usize,
    /// The `tracing` span that is current.
    span: Option<tracing::Id>,
    /// The span of OpenTelemetry's own context, if that is inside of the hop already.
    inside: Option<SpanId>,
    /// A hop that is entered inside of itself has spans around it that may rightly end.
    again: bool,
}

#[cfg(debug_assertions)]
impl<'a> Watch<'a> {
    pub(super) fn before(active: &'a Arc<Active>, place: Place) -> Self {
        let (depth, again) =
            super::look(|stack| (stack.len(), stack.iter().any(|entered| entered.active.marker == active.marker)));
        let inside = active.span.as_ref().and_then(|telling| telling.propagator.span_inside(active.marker));
        Self { active, place, depth, span: tracing::Span::current().id(), inside, again }
    }

    /// Only where the work has returned: while a panic unwinds, guards are on their way out.
    pub(super) fn after(self) {
        let Some(left_behind) = self.stack().or_else(|| self.tracing_api()) else { return };
        let place = self.place;
        tracing::error!(target: "propagation", %place, %left_behind, "a guard was left behind");
        debug_assert!(
            std::thread::panicking(),
            "{left_behind} when the hop that was entered at {place} was left: a guard was held across an await, or forgotten"
        );
    }

    /// Hops that were entered after this one and are not left.
    fn stack(&self) -> Option<String> {
        let above = super::look(|stack| stack.get(self.depth).map(|entered| entered.place));
        above.map(|place| format!("the hop that was entered at {place} was still entered"))
    }

    /// A span or context of the tracing API that was entered inside of the hop.
    fn tracing_api(&self) -> Option<String> {
        let Telling { propagator, .. } = self.active.span.as_ref().filter(|_| !self.again)?;
        let current = tracing::Span::current();
        let changed = current.id().filter(|id| Some(id) != self.span.as_ref()).is_some();
        // A user's span that is current as before is not asked: asking starts it.
        if changed && propagator.sees(Innermost { marker: self.active.marker, trace: &self.active.context.trace }) {
            let metadata = current.metadata()?;
            let (file, line) = (metadata.file().unwrap_or("?"), metadata.line().unwrap_or_default());
            return Some(format!("the span `{}` of {file}:{line} was still entered", metadata.name()));
        }
        let inside = propagator.span_inside(self.active.marker).filter(|span| Some(*span) != self.inside)?;
        Some(format!("a context of OpenTelemetry was still attached, with the span {inside}"))
    }
}
