//! The data that propagates: ids, flags, `traceparent`, `tracestate`, baggage, and the contexts made of them.

mod baggage;
mod context;
mod flags;
mod id;
pub(crate) mod list_header;
pub(crate) mod origin;
mod reject_reason;
mod sampling;
mod traceparent;
mod tracestate;
mod value;

pub(crate) use self::baggage::{Rewrite, decode_each, encode, is_token};
pub use self::{
    baggage::{Baggage, BaggageError, Member},
    context::{PropagationContext, TraceContext},
    flags::TraceFlags,
    id::{SpanId, SpanIdError, TraceId, TraceIdError},
    reject_reason::RejectReason,
    sampling::{SamplingDecision, SamplingPriority},
    traceparent::{TraceParent, TraceParentError},
    tracestate::{TraceState, TraceStateError, ot},
    value::{FieldValue, Value},
};
