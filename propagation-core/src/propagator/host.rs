//! The propagator as running hops see it.

use std::sync::Arc;

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

impl Propagator {
    pub(super) fn host(&self) -> Arc<dyn HopHost> {
        Arc::clone(&self.0) as Arc<dyn HopHost>
    }
}

/// Guards with the policy in force: a long-lived hop follows a policy that is replaced.
impl TextGuard for Inner {
    fn limits(&self) -> TelemetryLimits {
        self.policy.load().limits()
    }

    fn allows_text(&self, key: &str, text: &str) -> bool {
        self.policy.load().allows_text(key, text)
    }

    fn allows_link_state(&self, trace: &TraceContext) -> bool {
        self.policy.load().allows_link_state(trace)
    }
}

impl HopHost for Inner {
    fn guard_leaks(&self) -> GuardLeaks {
        self.guard_leaks
    }

    fn takes_stack_traces(&self) -> bool {
        self.stack_traces
    }

    fn semantic_conventions(&self) -> SemanticConventions {
        self.semantic_conventions
    }

    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        access(Access::Current, || self.bridge.span_inside(id)).flatten()
    }

    fn has_span_inside(&self, hop: CurrentHop<'_>) -> bool {
        access(Access::Current, || self.bridge.current(Some(hop))).flatten().is_some()
    }
}
