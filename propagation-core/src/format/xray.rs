//! AWS X-Ray: `x-amzn-trace-id`.

use super::fields::{self, Refused};
use crate::{
    Extract, Extracted, FieldName, FieldNames, FieldPriority, Format, OutgoingFields, PropagationContext, RejectReason,
    SamplingDecision, TraceContext, model::list_header,
};

static TRACE: FieldName = FieldName::from_static("x-amzn-trace-id");

/// AWS X-Ray's tracing header (`xray` in `OTEL_PROPAGATORS`), under HTTP's name or one of yours.
///
/// Fields are read in any order, unknown ones are ignored (`Self`, `Lineage`, your own). `Sampled=?` leaves the decision open. After a
/// `Root` without `Parent`, or with an empty one, as a load balancer makes it, the next span is the root of that trace; passed on, it is
/// written as it came.
///
/// SQS carries the same text in its `AWSTraceHeader` attribute: see [`parse`](Self::parse) and [`format`](Self::format).
///
/// ```
/// use propagation_core::{SamplingDecision, format::XRayFormat};
///
/// let text = b"Parent=53995c3f42cd8ad8;Sampled=?;Root=1-5759e988-bd862e3fe1be46a994272793";
/// let trace = XRayFormat::parse(text)?;
/// assert_eq!(trace.trace_id().unwrap().to_string(), "5759e988bd862e3fe1be46a994272793");
/// assert_eq!(trace.sampling, SamplingDecision::Defer);
/// assert_eq!(
///     XRayFormat::format(&trace.with_sampling(SamplingDecision::Sample)).as_deref(),
///     Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"),
/// );
/// # Ok::<(), propagation_core::RejectReason>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct XRayFormat {
    name: &'static FieldName,
}

impl XRayFormat {
    /// The most bytes of a header that are looked at.
    pub const MAX_BYTES: usize = fields::MAX_BYTES;

    /// Under `x-amzn-trace-id`.
    #[must_use]
    pub fn new() -> Self {
        Self { name: &TRACE }
    }

    /// Under another name.
    #[must_use]
    pub const fn named(name: &'static FieldName) -> Self {
        Self { name }
    }

    /// Parses a tracing header. Without `Root`, only the sampling decision is left.
    ///
    /// # Errors
    ///
    /// Refuses a `Root`, `Parent` or `Sampled` that is not of X-Ray's grammar or stands twice, an id of zeros, and more than
    /// [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn parse(text: &[u8]) -> Result<TraceContext, RejectReason> {
        if text.len() > Self::MAX_BYTES {
            return Err(RejectReason::TooManyBytes);
        }
        let (mut root, mut parent, mut sampling) = (None, None, None);
        for field in text.split(|&byte| byte == b';') {
            let Some((name, value)) = list_header::split_once(list_header::trim(field), b'=') else { continue };
            match name {
                b"Root" => once(&mut root, parse_root(value)?)?,
                b"Parent" if list_header::trim(value).is_empty() => {}
                b"Parent" => once(&mut parent, parse_parent(value)?)?,
                b"Sampled" => once(&mut sampling, parse_sampled(value)?)?,
                _ => {}
            }
        }
        let sampling = sampling.unwrap_or_default();
        Ok(match root {
            Some(root) => fields::context_or_root(root, parent, sampling),
            None => TraceContext::EMPTY.with_sampling(sampling),
        })
    }

    /// Returns the tracing header of a trace, at most 75 bytes of ASCII; `None` without a trace-id. `Parent` is left out without a
    /// parent-id, `Sampled` while nothing is decided.
    #[must_use]
    pub fn format(trace: &TraceContext) -> Option<String> {
        String::from_utf8(format(trace)?).ok()
    }
}

impl Default for XRayFormat {
    fn default() -> Self {
        Self::new()
    }
}

impl Format for XRayFormat {
    fn name(&self) -> &'static str {
        "xray"
    }

    fn extract(&self, from: &dyn Extract, into: &mut Extracted) {
        if !into.has_trace()
            && let Some(Ok(trace)) = fields::one(from, self.name, into, Self::parse)
        {
            into.offer_trace(trace);
        }
    }

    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>) {
        if let Some(text) = format(&context.trace) {
            fields.push(self.name, text.into(), FieldPriority::Ids);
        }
    }

    fn fields(&self, names: &mut FieldNames) {
        names.declare(self.name);
    }
}

fn format(trace: &TraceContext) -> Option<Vec<u8>> {
    let id = trace.trace_id()?.to_hex();
    let (time, unique) = id.split_first_chunk::<8>()?;
    let span_id = trace.parent.map(|parent| parent.span_id.to_hex());
    let (parent, span_id): (&[u8], &[u8]) = match &span_id {
        Some(span_id) => (b";Parent=", span_id),
        None => (b"", b""),
    };
    let sampled: &[u8] = match trace.sampling.decided() {
        None => b"",
        Some(false) => b";Sampled=0",
        Some(true) => b";Sampled=1",
    };
    Some([b"Root=1-", time.as_slice(), b"-", unique, parent, span_id, sampled].concat())
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Refused> {
    if slot.replace(value).is_some() { Err(RejectReason::Duplicate) } else { Ok(()) }
}

/// `1-{8 digits: seconds}-{24 digits}`
fn parse_root(text: &[u8]) -> Result<crate::TraceId, Refused> {
    let (version, rest) = list_header::split_once(text, b'-').ok_or(RejectReason::Malformed)?;
    let (time, unique) = list_header::split_once(rest, b'-').ok_or(RejectReason::Malformed)?;
    if version != b"1" {
        return Err(RejectReason::UnsupportedVersion);
    }
    if time.len() != 8 || unique.len() != 24 {
        return Err(RejectReason::Malformed);
    }
    let mut digits = [0; 32];
    let (head, tail) = digits.split_at_mut(8);
    head.copy_from_slice(time);
    tail.copy_from_slice(unique);
    fields::trace_id(&digits)
}

fn parse_parent(text: &[u8]) -> Result<crate::SpanId, Refused> {
    if text.len() == 16 { fields::span_id(text) } else { Err(RejectReason::Malformed) }
}

fn parse_sampled(text: &[u8]) -> Result<SamplingDecision, Refused> {
    match text {
        b"0" => Ok(SamplingDecision::Drop),
        b"1" => Ok(SamplingDecision::Sample),
        b"?" => Ok(SamplingDecision::Defer),
        _ => Err(RejectReason::Malformed),
    }
}
