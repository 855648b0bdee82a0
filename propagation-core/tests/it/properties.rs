//! Properties of every value and every input: written fields parse to the same value, nothing panics, every limit holds.

mod baggage;
mod formats;
pub(crate) mod tracestate;

use propagation_core::{SamplingDecision, SpanId, TraceFlags, TraceId, TraceParent, model::SamplingPriority};
use proptest::prelude::*;

pub(crate) fn parents() -> impl Strategy<Value = TraceParent> {
    // Small numbers too: ids with leading zeros.
    let trace_ids = prop_oneof![any::<u128>(), (1..=u128::from(u64::MAX))];
    let span_ids = prop_oneof![any::<u64>(), 1..1000_u64];
    (trace_ids, span_ids, any::<u8>()).prop_filter_map("zero id", |(trace_id, span_id, flags)| {
        Some(TraceParent {
            trace_id: TraceId::from_bytes(trace_id.to_be_bytes())?,
            span_id: SpanId::from_bytes(span_id.to_be_bytes())?,
            flags: TraceFlags::from_byte(flags),
        })
    })
}

fn samplings() -> impl Strategy<Value = SamplingDecision> {
    prop_oneof![
        Just(SamplingDecision::Defer),
        Just(SamplingDecision::Drop),
        Just(SamplingDecision::Sample),
        Just(SamplingDecision::Debug),
        (-1..=2_i8).prop_filter_map("priority", |n| SamplingPriority::from_i8(n).map(SamplingDecision::Priority)),
    ]
}

/// Texts as a hostile peer makes them: legal pieces in illegal places.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        Just(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_vec()),
        Just(b"4bf92f3577b34da6a3ce929d0e0e4736".to_vec()),
        Just(b"00f067aa0ba902b7".to_vec()),
        Just(b"18446744073709551615".to_vec()),
        Just(b"Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1".to_vec()),
        Just(b"AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE".to_vec()),
        Just(b"k=v;p=1,".to_vec()),
        "[0-9a-f,;:=%/ \t+?-]{1,3}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}
