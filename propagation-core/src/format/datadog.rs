//! Datadog: `x-datadog-…`.

mod member;

use self::member::{Member, Received};
use super::fields::{self, Decimal, Refused};
use crate::{
    Extract, Extracted, FieldName, FieldNames, FieldPriority, FieldValue, Format, OutgoingFields, PropagationContext,
    RejectReason, Rejection, SamplingDecision, SamplingPriority, SpanId, TraceContext, TraceId,
};

static TRACE_ID: FieldName = FieldName::from_static("x-datadog-trace-id");
static PARENT_ID: FieldName = FieldName::from_static("x-datadog-parent-id");
static PRIORITY: FieldName = FieldName::from_static("x-datadog-sampling-priority");
static ORIGIN: FieldName = FieldName::from_static("x-datadog-origin");
static TAGS: FieldName = FieldName::from_static(TAGS_NAME);
const TAGS_NAME: &str = "x-datadog-tags";

/// The tag with the upper half of a trace-id of 128 bits.
const HIGH_HALF: &str = "_dd.p.tid";
/// The maximum length of tags in Datadog's own libraries.
const MAX_TAGS: usize = 512;

/// Datadog's own format (`datadog`): decimal 64-bit ids, the upper half of the trace id in `x-datadog-tags`, a priority.
///
/// A priority from −1 to 2 goes on as [`SamplingDecision::Priority`]; any other value is rejected alone. The origin and the tags that start with
/// `_dd.p.` travel in tracestate's member `dd`, as in Datadog's own libraries, up to its 256 bytes, and are written from there. After a
/// parent id of 0, or none (a browser's or a synthetic test's trace), the next span is the root of the trace; with an origin it is written
/// as 0 again. A trace whose lower half is zero can't be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatadogFormat;

impl Format for DatadogFormat {
    fn name(&self) -> &'static str {
        "datadog"
    }

    fn extract(&self, from: &dyn Extract, into: &mut Extracted) {
        if !into.has_trace()
            && let Ok(trace) = read(from, into)
        {
            into.offer_trace(trace);
        }
    }

    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>) {
        let trace = &context.trace;
        let Some(parent) = trace.parent_to_write() else { return };
        let (high, low) = halves(parent.trace_id);
        if low == 0 {
            fields.reject(Rejection::new("x-datadog-trace-id", RejectReason::Unrepresentable));
            return;
        }
        let member = Member::of(&trace.state);
        let mut origin = member.and_then(Member::origin);
        if origin.take_if(|origin| origin.len() > member::MAX_ORIGIN).is_some() {
            fields.reject(Rejection::new("x-datadog-origin", RejectReason::TooManyBytes));
        }
        // Datadog's libraries continue a trace without a parent only if it has an origin.
        let without_parent = trace.root_trace_id().is_some() && origin.is_some();
        let span_id = if without_parent { 0 } else { u64::from_be_bytes(parent.span_id.to_bytes()) };
        fields.push(&TRACE_ID, fields::concat(&[Decimal::new(low).as_bytes()]), FieldPriority::Ids);
        fields.push(&PARENT_ID, fields::concat(&[Decimal::new(span_id).as_bytes()]), FieldPriority::Ids);
        if let Some(priority) = priority(trace.sampling, member) {
            fields.push(&PRIORITY, FieldValue::from_static(priority_text(priority)), FieldPriority::Ids);
        }
        if let Some(origin) = origin {
            fields.push(&ORIGIN, origin.into_bytes().into(), FieldPriority::Ids);
        }
        let mut tags = Vec::new();
        if let Some((digits, _)) = parent.trace_id.to_hex().split_first_chunk::<16>().filter(|_| high != 0) {
            tags = [HIGH_HALF.as_bytes(), b"=", digits].concat();
        }
        if let Some(Err(reason)) = member.map(|member| member.append_tags(&mut tags)) {
            fields.reject(Rejection::new(TAGS_NAME, reason));
        }
        if !tags.is_empty() {
            fields.push(&TAGS, tags.into(), FieldPriority::Ids);
        }
    }

    fn fields(&self, names: &mut FieldNames) {
        for name in [&TRACE_ID, &PARENT_ID, &PRIORITY, &ORIGIN, &TAGS] {
            names.declare(name);
        }
    }
}

fn read(from: &dyn Extract, into: &mut Extracted) -> Result<TraceContext, Refused> {
    let low = fields::one(from, &TRACE_ID, into, parse_low_half).transpose()?;
    let span_id = fields::one(from, &PARENT_ID, into, fields::decimal).transpose()?;
    let priority = fields::one(from, &PRIORITY, into, parse_priority).and_then(Result::ok);
    let sampling = priority.map_or(SamplingDecision::Defer, SamplingDecision::Priority);
    let Some(low) = low else { return Ok(TraceContext::EMPTY.with_sampling(sampling)) };
    let span_id = span_id.and_then(|id| SpanId::from_bytes(id.to_be_bytes()));
    // Bad tags and origins are noted, and the lower half goes on: so do Datadog's own libraries.
    let tags = fields::one(from, &TAGS, into, parse_tags).and_then(Result::ok).unwrap_or_default();
    let high = parse_high_half(&tags).unwrap_or_else(|reason| {
        into.reject_field(TAGS_NAME, reason);
        None
    });
    let origin = fields::one(from, &ORIGIN, into, member::parse_origin).and_then(Result::ok);
    let origin = origin.as_deref().filter(|origin| !origin.is_empty());
    let (state, complete) = Received { priority, origin, parent: span_id, tags: &tags }.to_state();
    if !complete {
        into.reject_field(TAGS_NAME, RejectReason::TooManyBytes);
    }
    let id = u128::from(high.unwrap_or_default()) << 64 | u128::from(low);
    let trace_id = TraceId::from_bytes(id.to_be_bytes()).ok_or(RejectReason::ZeroId)?;
    Ok(fields::context_or_root(trace_id, span_id, sampling).with_state(state))
}

fn parse_low_half(text: &[u8]) -> Result<u64, Refused> {
    match fields::decimal(text)? {
        0 => Err(RejectReason::ZeroId),
        id => Ok(id),
    }
}

fn parse_priority(text: &[u8]) -> Result<SamplingPriority, Refused> {
    match text {
        b"-1" => Ok(SamplingPriority::UserReject),
        b"0" => Ok(SamplingPriority::Reject),
        b"1" => Ok(SamplingPriority::Keep),
        b"2" => Ok(SamplingPriority::UserKeep),
        _ => Err(RejectReason::Malformed),
    }
}

fn priority_text(priority: SamplingPriority) -> &'static [u8] {
    match priority {
        SamplingPriority::UserReject => b"-1",
        SamplingPriority::Reject => b"0",
        SamplingPriority::Keep => b"1",
        SamplingPriority::UserKeep => b"2",
    }
}

/// A list `key=value,…` of printable ASCII.
fn parse_tags(text: &[u8]) -> Result<String, Refused> {
    if text.len() > MAX_TAGS {
        return Err(RejectReason::TooManyBytes);
    }
    if !text.iter().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return Err(RejectReason::IllegalByte);
    }
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Returns the upper half in a list `key=value,…`, if it exists: exactly 16 lower-case hex digits.
fn parse_high_half(tags: &str) -> Result<Option<u64>, Refused> {
    let pairs = tags.split(',').filter_map(|tag| tag.split_once('='));
    let mut values = pairs.filter(|(key, _)| key.trim() == HIGH_HALF).map(|(_, value)| value.trim());
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(RejectReason::DuplicateKey);
    }
    if value.len() != 16 {
        return Err(RejectReason::Malformed);
    }
    Ok(Some(u64::from_be_bytes(fields::hex_padded::<8>(value.as_bytes())?)))
}

/// Returns the priority of a decision; `None` while nothing is decided.
fn priority(sampling: SamplingDecision, member: Option<Member<'_>>) -> Option<SamplingPriority> {
    match sampling {
        SamplingDecision::Defer => None,
        SamplingDecision::Priority(priority) => Some(priority),
        SamplingDecision::Debug => Some(SamplingPriority::UserKeep),
        SamplingDecision::Sample => {
            member.and_then(|member| member.priority(sampling)).or(Some(SamplingPriority::Keep))
        }
        SamplingDecision::Drop => {
            member.and_then(|member| member.priority(sampling)).or(Some(SamplingPriority::Reject))
        }
    }
}

fn halves(id: TraceId) -> (u64, u64) {
    let id = u128::from_be_bytes(id.to_bytes());
    // Each half fits by construction.
    (u64::try_from(id >> 64).unwrap_or_default(), u64::try_from(id & u128::from(u64::MAX)).unwrap_or_default())
}
