//! OpenCensus' binary format in gRPC metadata: `grpc-trace-bin`.

use smallvec::SmallVec;

use super::{
    base64,
    fields::{self, Refused},
};
use crate::{
    Extract, Extracted, FieldName, FieldNames, FieldPriority, Format, OutgoingFields, PropagationContext, RejectReason,
    SamplingDecision, SpanId, TraceContext, TraceId,
};

static TRACE: FieldName = FieldName::from_static("grpc-trace-bin");

/// OpenCensus' binary format under `grpc-trace-bin`, base64 as binary metadata is on the wire.
///
/// Parsed with or without padding, written without, as gRPC's specification requires. Version 0 only. The fields can be in any
/// order and end at the first unknown one. A clear lowest bit of the options is read as not sampled, as OpenTelemetry's
/// implementations do (OpenCensus calls it undecided), and so are missing options. A deferred decision is written without options.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcTraceBinFormat;

impl Format for GrpcTraceBinFormat {
    fn name(&self) -> &'static str {
        "grpc-trace-bin"
    }

    fn extract(&self, from: &dyn Extract, into: &mut Extracted) {
        if !into.has_trace()
            && let Some(Ok(trace)) = fields::one(from, &TRACE, into, parse)
        {
            into.offer_trace(trace);
        }
    }

    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>) {
        if let Some(bytes) = encode(&context.trace) {
            fields.push(&TRACE, base64::encode(&bytes).into(), FieldPriority::Ids);
        }
    }

    fn fields(&self, names: &mut FieldNames) {
        names.declare(&TRACE);
    }
}

const VERSION: u8 = 0;
const TRACE_ID: u8 = 0;
const SPAN_ID: u8 = 1;
const OPTIONS: u8 = 2;

fn parse(text: &[u8]) -> Result<TraceContext, Refused> {
    decode(&base64::decode(text).ok_or(RejectReason::Malformed)?)
}

fn decode(bytes: &[u8]) -> Result<TraceContext, Refused> {
    let (&version, mut rest) = bytes.split_first().ok_or(RejectReason::Malformed)?;
    if version != VERSION {
        return Err(RejectReason::UnsupportedVersion);
    }
    let (mut trace_id, mut span_id, mut options) = (None, None, None);
    while let Some((&field, tail)) = rest.split_first() {
        rest = match field {
            TRACE_ID => take::<16>(tail, &mut trace_id)?,
            SPAN_ID => take::<8>(tail, &mut span_id)?,
            OPTIONS => take::<1>(tail, &mut options)?,
            // Fields of later versions come last, and their lengths are not known.
            _ => break,
        };
    }
    let sampling = SamplingDecision::from_sampled(options.is_some_and(|[options]| options & 1 == 1));
    match (trace_id, span_id) {
        (Some(trace_id), Some(span_id)) => Ok(fields::context(
            TraceId::from_bytes(trace_id).ok_or(RejectReason::ZeroId)?,
            SpanId::from_bytes(span_id).ok_or(RejectReason::ZeroId)?,
            sampling,
        )),
        // Without ids, only options are a decision.
        (None, None) if options.is_some() => Ok(TraceContext::EMPTY.with_sampling(sampling)),
        (None, None) => Ok(TraceContext::EMPTY),
        (Some(_), None) | (None, Some(_)) => Err(RejectReason::Malformed),
    }
}

fn take<'a, const N: usize>(bytes: &'a [u8], slot: &mut Option<[u8; N]>) -> Result<&'a [u8], Refused> {
    let (value, rest) = bytes.split_first_chunk::<N>().ok_or(RejectReason::Malformed)?;
    if slot.replace(*value).is_some() { Err(RejectReason::Duplicate) } else { Ok(rest) }
}

fn encode(trace: &TraceContext) -> Option<SmallVec<[u8; 32]>> {
    let parent = trace.parent_to_write()?;
    let mut out = SmallVec::new();
    out.extend_from_slice(&[VERSION, TRACE_ID]);
    out.extend_from_slice(&parent.trace_id.to_bytes());
    out.push(SPAN_ID);
    out.extend_from_slice(&parent.span_id.to_bytes());
    if let Some(sampled) = trace.sampling.decided() {
        out.extend_from_slice(&[OPTIONS, u8::from(sampled)]);
    }
    Some(out)
}
