//! The two sides that a running hop calls: the span that a bridge made, and the propagator that started the hop.

use std::{borrow::Cow, fmt};

use super::{Attribute, GuardLeaks, HopId, Link, Outcome, TextGuard};
use crate::{SpanId, TraceContext, semconv::SemanticConventions};

/// A span that a bridge has started.
pub trait BridgeSpan: fmt::Debug + Send + Sync {
    /// Runs `run` once, with the span as the tracing API's current one.
    fn enter(&self, run: &mut dyn FnMut());

    /// Adds or replaces an attribute.
    fn set_attribute(&self, attribute: Attribute);

    /// Adds a link.
    fn add_link(&self, link: Link);

    /// Changes the name, for a route that is known only after the start.
    fn rename(&self, name: Cow<'static, str>);

    /// Ends the span. Called once. The guard has passed every text of the outcome.
    fn end(&self, outcome: &Outcome);
}

/// The innermost hop on this thread, as a bridge sees it.
#[derive(Clone, Copy, Debug)]
pub struct CurrentHop<'a> {
    /// The id that the bridge has left in its own context.
    pub id: HopId,
    /// The hop's trace, with the parts that a tracing API's types cannot hold: tracestate as received, a sampling priority.
    pub trace: &'a TraceContext,
}

/// The propagator that started a hop, as the running hop sees it. Its guard is the policy in force.
pub(crate) trait HopHost: TextGuard + Send + Sync {
    /// Returns the reaction to guards of the tracing API that outlive their scope.
    fn guard_leaks(&self) -> GuardLeaks;

    /// Returns `true` if recorded exceptions get a stack trace.
    fn takes_stack_traces(&self) -> bool;

    /// Returns the names that attributes are recorded with.
    fn semantic_conventions(&self) -> SemanticConventions;

    /// Returns the span in the tracing API's own context, if that is inside the hop.
    fn span_inside(&self, id: HopId) -> Option<SpanId>;

    /// Returns `true` if the tracing API's innermost span is inside the hop. May start that span.
    fn has_span_inside(&self, hop: CurrentHop<'_>) -> bool;
}
