//! A trace-id without a parent-id.

use crate::{SpanId, TraceFlags, TraceId, TraceParent};

/// A trace-id, and a parent-id for formats that cannot do without one.
///
/// Equal if the trace-ids are: the parent-id names no span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RootId {
    trace_id: TraceId,
    made: SpanId,
}

impl RootId {
    pub(super) fn new(trace_id: TraceId) -> Self {
        Self { trace_id, made: SpanId::random() }
    }

    pub(super) fn trace_id(self) -> TraceId {
        self.trace_id
    }

    pub(super) fn parent(self, flags: TraceFlags) -> TraceParent {
        TraceParent { trace_id: self.trace_id, span_id: self.made, flags }
    }
}

impl PartialEq for RootId {
    fn eq(&self, other: &Self) -> bool {
        self.trace_id == other.trace_id
    }
}

impl Eq for RootId {}
