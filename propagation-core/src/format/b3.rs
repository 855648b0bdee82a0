//! B3 (Zipkin): one header or several.

use super::fields::{self, Refused};
use crate::{
    Extract, Extracted, FieldName, FieldNames, FieldPriority, FieldValue, Format, OutgoingFields, PropagationContext,
    RejectReason, SamplingDecision, SpanId, TraceContext, TraceId, model::list_header,
};

static SINGLE: FieldName = FieldName::from_static("b3");
static TRACE_ID: FieldName = FieldName::from_static("x-b3-traceid");
static SPAN_ID: FieldName = FieldName::from_static("x-b3-spanid");
static PARENT_SPAN_ID: FieldName = FieldName::from_static("x-b3-parentspanid");
static SAMPLED: FieldName = FieldName::from_static("x-b3-sampled");
static FLAGS: FieldName = FieldName::from_static("x-b3-flags");

/// B3, as Zipkin's libraries speak it. Reads the single header first, then the several; writes one of the two.
///
/// A decision without ids (`b3: 0`) goes on as one. Ids of 64 bits are padded on the left. Debug is kept, and means
/// sampled. `X-B3-ParentSpanId` is checked and then ignored, and never written.
///
/// ```
/// use propagation_core::{Peer, Propagator, Transport, format::B3Format};
///
/// let propagator = Propagator::builder()
///     .extract_formats(vec![Box::new(B3Format::single())])
///     .inject_formats(vec![Box::new(B3Format::multi())])
///     .build();
/// let received = vec![("b3".to_owned(), b"80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1".to_vec())];
/// let context = propagator.extract(&Peer::caller(Transport::HTTP), &received).context;
/// let mut sent = Vec::new();
/// propagator.inject(&Peer::http("api"), &context, &mut sent);
/// assert_eq!(sent[0], ("x-b3-traceid".to_owned(), b"80f198ee56343ba864fe8b2a57d3eff7".to_vec()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct B3Format {
    multi: bool,
}

impl B3Format {
    /// Writes the single header: `b3` in `OTEL_PROPAGATORS`.
    #[must_use]
    pub const fn single() -> Self {
        Self { multi: false }
    }

    /// Writes the `X-B3-…` headers: `b3multi` in `OTEL_PROPAGATORS`.
    #[must_use]
    pub const fn multi() -> Self {
        Self { multi: true }
    }
}

impl Format for B3Format {
    fn name(&self) -> &'static str {
        if self.multi { "b3multi" } else { "b3" }
    }

    fn extract(&self, from: &dyn Extract, into: &mut Extracted) {
        if into.has_trace() {
            return;
        }
        // A single header that is refused gives way to the several, as in Zipkin's own libraries.
        let trace = match fields::one(from, &SINGLE, into, parse_single) {
            Some(Ok(trace)) => Ok(trace),
            _ => read_multi(from, into),
        };
        if let Ok(trace) = trace {
            into.offer_trace(trace);
        }
    }

    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>) {
        if self.multi {
            write_multi(&context.trace, fields);
        } else {
            fields.push(&SINGLE, format_single(&context.trace), FieldPriority::Ids);
        }
    }

    fn fields(&self, names: &mut FieldNames) {
        for name in [&SINGLE, &TRACE_ID, &SPAN_ID, &PARENT_SPAN_ID, &SAMPLED, &FLAGS] {
            names.declare(name);
        }
    }

    fn extracts_like(&self) -> Option<&'static str> {
        Some("b3")
    }
}

/// `{trace id}-{span id}[-{state}][-{parent span id}]`, or a state alone.
fn parse_single(text: &[u8]) -> Result<TraceContext, Refused> {
    if let Ok(sampling) = parse_state(text) {
        return Ok(TraceContext::EMPTY.with_sampling(sampling));
    }
    let (trace_id, rest) = list_header::split_once(text, b'-').ok_or(RejectReason::Malformed)?;
    let (span_id, rest) = list_header::split_once(rest, b'-').map_or((rest, None), |(id, rest)| (id, Some(rest)));
    let (trace_id, span_id) = (parse_trace_id(trace_id)?, parse_span_id(span_id)?);
    // State and parent id are each optional.
    let (state, parent) = match rest.map(|rest| (rest.len(), list_header::split_once(rest, b'-'), rest)) {
        None => (None, None),
        Some((_, Some((state, parent)), _)) => (Some(state), Some(parent)),
        Some((1, None, state)) => (Some(state), None),
        Some((_, None, parent)) => (None, Some(parent)),
    };
    parent.map(parse_parent_id).transpose()?;
    let sampling = state.map(parse_state).transpose()?.unwrap_or_default();
    Ok(fields::context(trace_id, span_id, sampling))
}

fn parse_state(text: &[u8]) -> Result<SamplingDecision, Refused> {
    match text {
        b"0" => Ok(SamplingDecision::Drop),
        b"1" => Ok(SamplingDecision::Sample),
        b"d" => Ok(SamplingDecision::Debug),
        _ => Err(RejectReason::Malformed),
    }
}

/// 32 digits, or 16 for a trace of 64 bits.
fn parse_trace_id(digits: &[u8]) -> Result<TraceId, Refused> {
    if digits.len() == 32 || digits.len() == 16 { fields::trace_id(digits) } else { Err(RejectReason::Malformed) }
}

fn parse_span_id(digits: &[u8]) -> Result<SpanId, Refused> {
    if digits.len() == 16 { fields::span_id(digits) } else { Err(RejectReason::Malformed) }
}

/// Checked because a header that is wrong there can't be trusted elsewhere; zeros are seen in the wild and do no harm.
fn parse_parent_id(digits: &[u8]) -> Result<(), Refused> {
    if digits.len() == 16 { fields::hex_padded::<8>(digits).map(drop) } else { Err(RejectReason::Malformed) }
}

fn read_multi(from: &dyn Extract, into: &mut Extracted) -> Result<TraceContext, Refused> {
    let trace_id = fields::one(from, &TRACE_ID, into, parse_trace_id).transpose()?;
    let span_id = fields::one(from, &SPAN_ID, into, parse_span_id).transpose()?;
    fields::one(from, &PARENT_SPAN_ID, into, parse_parent_id).transpose()?;
    let sampled = fields::one(from, &SAMPLED, into, parse_sampled).transpose()?;
    // Any other value of the flags may be ignored.
    let debug = fields::one(from, &FLAGS, into, |text| Ok(text == b"1")).transpose()?;
    let sampling = if debug == Some(true) { SamplingDecision::Debug } else { sampled.unwrap_or_default() };
    match (trace_id, span_id) {
        (Some(trace_id), Some(span_id)) => Ok(fields::context(trace_id, span_id, sampling)),
        (None, None) => Ok(TraceContext::EMPTY.with_sampling(sampling)),
        (Some(_), None) | (None, Some(_)) => {
            into.reject_field(TRACE_ID.as_str(), RejectReason::Malformed);
            Err(RejectReason::Malformed)
        }
    }
}

/// `true` and `false` come from tracers that are older than the specification, which lets them in; some write `True`.
fn parse_sampled(text: &[u8]) -> Result<SamplingDecision, Refused> {
    match text {
        b"1" => Ok(SamplingDecision::Sample),
        b"0" => Ok(SamplingDecision::Drop),
        word if word.eq_ignore_ascii_case(b"true") => Ok(SamplingDecision::Sample),
        word if word.eq_ignore_ascii_case(b"false") => Ok(SamplingDecision::Drop),
        _ => Err(RejectReason::Malformed),
    }
}

/// Returns the state of a decision: empty if sampling is deferred.
fn state(sampling: SamplingDecision) -> &'static [u8] {
    match (sampling, sampling.decided()) {
        (SamplingDecision::Debug, _) => b"d",
        (_, Some(true)) => b"1",
        (_, Some(false)) => b"0",
        (_, None) => b"",
    }
}

fn format_single(trace: &TraceContext) -> FieldValue {
    let state = state(trace.sampling);
    let Some(parent) = trace.parent_to_write() else { return FieldValue::from_static(state) };
    let separator: &[u8] = if state.is_empty() { b"" } else { b"-" };
    fields::concat(&[&parent.trace_id.to_hex(), b"-", &parent.span_id.to_hex(), separator, state])
}

fn write_multi(trace: &TraceContext, fields: &mut OutgoingFields<'_>) {
    if let Some(parent) = trace.parent_to_write() {
        fields.push(&TRACE_ID, fields::concat(&[&parent.trace_id.to_hex()]), FieldPriority::Ids);
        fields.push(&SPAN_ID, fields::concat(&[&parent.span_id.to_hex()]), FieldPriority::Ids);
    }
    if trace.sampling == SamplingDecision::Debug {
        // Debug implies sampled, which is then omitted.
        fields.push(&FLAGS, FieldValue::from_static(b"1"), FieldPriority::Ids);
    } else {
        // Empty values are not written.
        fields.push(&SAMPLED, FieldValue::from_static(state(trace.sampling)), FieldPriority::Ids);
    }
}
