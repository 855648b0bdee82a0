//! Arbitrary traceparents and tracestates.

use propagation_core::{SpanId, TraceFlags, TraceId, TraceParent, TraceState};
use proptest::{collection::vec, prelude::*};

pub(crate) fn parents() -> impl Strategy<Value = TraceParent> {
    (1..=u128::MAX, 1..=u64::MAX, any::<u8>()).prop_filter_map("zero id", |(trace_id, span_id, flags)| {
        Some(TraceParent {
            trace_id: TraceId::from_bytes(trace_id.to_be_bytes())?,
            span_id: SpanId::from_bytes(span_id.to_be_bytes())?,
            flags: TraceFlags::from_byte(flags),
        })
    })
}

/// Lists of up to 40 legal members.
pub(crate) fn states() -> impl Strategy<Value = TraceState> {
    let member = ("[a-z0-9][a-z0-9_*/@-]{0,20}", "[ -+\\--<>-~]{0,20}[!-+\\--<>-~]");
    vec(member, 0..40).prop_map(|members| {
        let mut state = TraceState::EMPTY;
        for (key, value) in &members {
            state.set(key, value).unwrap();
        }
        state
    })
}
