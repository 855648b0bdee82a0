//! Google Cloud: `x-cloud-trace-context`.

use super::fields::{self, Decimal, Refused};
use crate::{
    Extract, Extracted, FieldName, FieldNames, FieldPriority, FieldValue, Format, OutgoingFields, PropagationContext,
    RejectReason, SamplingDecision, SpanId, TraceContext, model::list_header,
};

static TRACE: FieldName = FieldName::from_static("x-cloud-trace-context");

/// Google Cloud's older format (`gcp`): `{trace id}/{decimal span id};o={options}`.
///
/// Without options, or with empty ones, the decision is deferred. Without a span id, or with 0, the next span is the root of the trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct GoogleCloudFormat;

impl Format for GoogleCloudFormat {
    fn name(&self) -> &'static str {
        "gcp"
    }

    fn extract(&self, from: &dyn Extract, into: &mut Extracted) {
        if !into.has_trace()
            && let Some(Ok(trace)) = fields::one(from, &TRACE, into, parse)
        {
            into.offer_trace(trace);
        }
    }

    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>) {
        if let Some(value) = format(&context.trace) {
            fields.push(&TRACE, value, FieldPriority::Ids);
        }
    }

    fn fields(&self, names: &mut FieldNames) {
        names.declare(&TRACE);
    }
}

fn parse(text: &[u8]) -> Result<TraceContext, Refused> {
    let (ids, options) = list_header::split_once(text, b';').map_or((text, None), |(ids, rest)| (ids, Some(rest)));
    let (trace_id, span_id) = list_header::split_once(ids, b'/').unwrap_or((ids, &[]));
    if trace_id.len() != 32 {
        return Err(RejectReason::Malformed);
    }
    let trace_id = fields::trace_id(trace_id)?;
    let span_id = if span_id.is_empty() { 0 } else { fields::decimal(span_id)? };
    let sampling = options.map(parse_options).transpose()?.unwrap_or_default();
    Ok(fields::context_or_root(trace_id, SpanId::from_bytes(span_id.to_be_bytes()), sampling))
}

/// Parses `o=` and a bit mask of at most three decimal digits. The lowest bit is the sampled flag.
fn parse_options(text: &[u8]) -> Result<SamplingDecision, Refused> {
    let mask = text.strip_prefix(b"o=").filter(|mask| mask.len() <= 3).ok_or(RejectReason::Malformed)?;
    if mask.is_empty() {
        return Ok(SamplingDecision::Defer);
    }
    Ok(SamplingDecision::from_sampled(fields::decimal(mask)? & 1 == 1))
}

fn format(trace: &TraceContext) -> Option<FieldValue> {
    let parent = trace.parent_to_write()?;
    let span_id = Decimal::new(u64::from_be_bytes(parent.span_id.to_bytes()));
    let options: &[u8] = match trace.sampling.decided() {
        None => b"",
        Some(false) => b";o=0",
        Some(true) => b";o=1",
    };
    Some(fields::concat(&[&parent.trace_id.to_hex(), b"/", span_id.as_bytes(), options]))
}
