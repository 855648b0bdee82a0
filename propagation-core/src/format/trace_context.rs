//! W3C Trace Context Level 2: `traceparent` and `tracestate`.

use crate::{
    DuplicateParent, Extract, Extracted, FieldName, FieldNames, FieldPriority, Format, OutgoingFields,
    PropagationContext, RejectReason, TraceContext, TraceParent, TraceState, Value, carrier::Joined,
};

static TRACEPARENT: FieldName = FieldName::from_static("traceparent");
static TRACESTATE: FieldName = FieldName::from_static("tracestate");

/// `traceparent` and `tracestate` of W3C Trace Context Level 2 (`tracecontext` in `OTEL_PROPAGATORS`).
///
/// Several byte-identical `traceparent` values count as one; values that differ are rejected, and so is a joined `a, a`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceContextFormat;

impl Format for TraceContextFormat {
    fn name(&self) -> &'static str {
        "tracecontext"
    }

    fn extract(&self, from: &dyn Extract, into: &mut Extracted) {
        if into.has_trace() {
            return;
        }
        let Some(parent) = read_parent(from, into) else {
            return from.root_trace().map_or((), |root| into.offer_trace(root));
        };
        let state = read_state(from, into);
        into.offer_trace(TraceContext::new(parent).with_state(state));
    }

    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>) {
        let Some(parent) = context.trace.parent_to_write() else { return };
        fields.push_parent(&TRACEPARENT, parent.to_bytes());
        fields.push(&TRACESTATE, context.trace.state.text().clone(), FieldPriority::State);
    }

    fn fields(&self, names: &mut FieldNames) {
        names.declare(&TRACEPARENT);
        names.declare(&TRACESTATE);
    }
}

fn read_parent(from: &dyn Extract, into: &mut Extracted) -> Option<TraceParent> {
    let mut found: Option<Value<'_>> = None;
    let mut repeated = false;
    from.visit(&TRACEPARENT, &mut |value| {
        // Sidecars write the same header twice.
        repeated |= found.is_some_and(|found| found.as_bytes() != value.as_bytes());
        found = Some(value);
    });
    let value = found?;
    if repeated {
        into.reject_field("traceparent", RejectReason::Duplicate);
        if from.duplicate_parent() == DuplicateParent::Reject {
            note_state(from, into);
            return None;
        }
    }
    match TraceParent::from_bytes(crate::model::list_header::trim(value.as_bytes())) {
        Ok(parent) => Some(parent),
        Err(error) => {
            into.reject_field("traceparent", error.reason());
            note_state(from, into);
            None
        }
    }
}

/// A refused `traceparent` takes `tracestate` with it (Trace Context, 4.3).
fn note_state(from: &dyn Extract, into: &mut Extracted) {
    let mut found = false;
    from.visit(&TRACESTATE, &mut |_| found = true);
    if found {
        into.reject_field("tracestate", RejectReason::MissingTraceParent);
    }
}

fn read_state(from: &dyn Extract, into: &mut Extracted) -> TraceState {
    let joined = Joined::read(from, &TRACESTATE, TraceState::MAX_BYTES);
    if joined.is_none() {
        return TraceState::EMPTY;
    }
    match TraceState::read(joined.as_bytes(), || joined.to_text()) {
        Ok((state, duplicates)) => {
            if duplicates {
                into.reject_field("tracestate", RejectReason::DuplicateKey);
            }
            state
        }
        Err(error) => {
            into.reject_field("tracestate", error.reason());
            TraceState::EMPTY
        }
    }
}
