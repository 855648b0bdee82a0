//! Datadog: `x-datadog-…`.

use super::parts::{self, Refused};
use crate::{
    Extract, FieldName, Fields, Format, Priority, PropagationContext, Reading, Reason, Rejection, Sampling,
    SamplingPriority, TraceContext, TraceId, list,
};

static TRACE_ID: FieldName = FieldName::from_static("x-datadog-trace-id");
static PARENT_ID: FieldName = FieldName::from_static("x-datadog-parent-id");
static PRIORITY: FieldName = FieldName::from_static("x-datadog-sampling-priority");
static TAGS: FieldName = FieldName::from_static("x-datadog-tags");

/// Where the tags hold the upper half of a trace id of 128 bits.
const HIGH_HALF: &[u8] = b"_dd.p.tid";
/// The most bytes of tags that Datadog's own libraries take.
const MAX_TAGS: usize = 512;

/// Datadog's own format (`datadog`): decimal 64-bit ids, the upper half of the trace id in `x-datadog-tags`, a priority.
///
/// A priority from −1 to 2 goes on as [`Sampling::Priority`]. Other tags are not read and not kept. A parent id of 0 names no span (a
/// browser's or a synthetic test's trace): only the priority counts then. A trace whose lower half is zero can't be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatadogFormat;

impl Format for DatadogFormat {
    fn name(&self) -> &'static str {
        "datadog"
    }

    fn extract(&self, from: &dyn Extract, into: &mut Reading) {
        if !into.has_trace()
            && let Ok(trace) = read(from, into)
        {
            into.offer_trace(trace);
        }
    }

    fn write(&self, context: &PropagationContext, fields: &mut Fields) {
        let Some(parent) = context.trace.parent else { return };
        let (high, low) = halves(parent.trace_id);
        if low == 0 {
            fields.leave_out(Rejection::new("x-datadog-trace-id", Reason::Unrepresentable));
            return;
        }
        fields.push(&TRACE_ID, parts::text(&low), Priority::Ids);
        fields.push(&PARENT_ID, parts::text(&u64::from_be_bytes(parent.span_id.to_bytes())), Priority::Ids);
        if let Some(priority) = priority(context.trace.sampling) {
            fields.push(&PRIORITY, parts::text(&priority.to_i8()), Priority::Ids);
        }
        if high != 0 {
            fields.push(&TAGS, parts::text(&format!("_dd.p.tid={high:016x}")), Priority::Ids);
        }
    }

    fn own(&self, fields: &mut Fields) {
        for name in [&TRACE_ID, &PARENT_ID, &PRIORITY, &TAGS] {
            fields.own(name);
        }
    }
}

fn read(from: &dyn Extract, into: &mut Reading) -> Result<TraceContext, Refused> {
    let low = parts::one(from, &TRACE_ID, into, parse_low_half).transpose()?;
    let span_id = parts::one(from, &PARENT_ID, into, parts::decimal).transpose()?;
    let priority = parts::one(from, &PRIORITY, into, parse_priority).transpose()?;
    let sampling = priority.map_or(Sampling::Defer, Sampling::Priority);
    let Some(low) = low else { return Ok(TraceContext::EMPTY.with_sampling(sampling)) };
    let span_id = span_id.and_then(|id| crate::SpanId::from_bytes(id.to_be_bytes()));
    let Some(span_id) = span_id else { return Ok(TraceContext::EMPTY.with_sampling(sampling)) };
    // Bad tags are noted, and the lower half goes on: so do Datadog's own libraries.
    let high = parts::one(from, &TAGS, into, parse_high_half).and_then(Result::ok).flatten().unwrap_or_default();
    let id = u128::from(high) << 64 | u128::from(low);
    let trace_id = TraceId::from_bytes(id.to_be_bytes()).ok_or(Reason::ZeroId)?;
    Ok(parts::context(trace_id, span_id, sampling))
}

fn parse_low_half(text: &[u8]) -> Result<u64, Refused> {
    match parts::decimal(text)? {
        0 => Err(Reason::ZeroId),
        id => Ok(id),
    }
}

fn parse_priority(text: &[u8]) -> Result<SamplingPriority, Refused> {
    match text {
        b"-1" => Ok(SamplingPriority::UserReject),
        b"0" => Ok(SamplingPriority::Reject),
        b"1" => Ok(SamplingPriority::Keep),
        b"2" => Ok(SamplingPriority::UserKeep),
        _ => Err(Reason::Malformed),
    }
}

/// The upper half in a list `key=value,…`, if it is there: exactly 16 lower-case hex digits.
fn parse_high_half(tags: &[u8]) -> Result<Option<u64>, Refused> {
    if tags.len() > MAX_TAGS {
        return Err(Reason::TooLong);
    }
    let mut values = tags
        .split(|&byte| byte == b',')
        .filter_map(|tag| list::split_once(tag, b'='))
        .filter(|(key, _)| list::trim(key) == HIGH_HALF)
        .map(|(_, value)| list::trim(value));
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Reason::DuplicateKey);
    }
    if value.len() != 16 {
        return Err(Reason::Malformed);
    }
    Ok(Some(u64::from_be_bytes(parts::hex_padded::<8>(value)?)))
}

/// What a decision is as a priority; none while nothing is decided.
fn priority(sampling: Sampling) -> Option<SamplingPriority> {
    match sampling {
        Sampling::Defer => None,
        Sampling::Drop => Some(SamplingPriority::Reject),
        Sampling::Sample => Some(SamplingPriority::Keep),
        Sampling::Debug => Some(SamplingPriority::UserKeep),
        Sampling::Priority(priority) => Some(priority),
    }
}

fn halves(id: TraceId) -> (u64, u64) {
    let id = u128::from_be_bytes(id.to_bytes());
    // Each half fits by construction.
    (u64::try_from(id >> 64).unwrap_or_default(), u64::try_from(id & u128::from(u64::MAX)).unwrap_or_default())
}
