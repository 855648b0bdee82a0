//! Jaeger: `uber-trace-id` and `uberctx-…`.

use super::fields::{self, Refused};
use crate::{
    Baggage, Extract, Extracted, FieldName, FieldNames, FieldPriority, FieldValue, Format, Member, OutgoingFields,
    PropagationContext, RejectReason, Rejection, SamplingDecision, TraceContext, hex, model,
};

static TRACE: FieldName = FieldName::from_static("uber-trace-id");
const PREFIX: &str = "uberctx-";

/// Jaeger's format (`jaeger` in `OTEL_PROPAGATORS`): `uber-trace-id`, and a field `uberctx-{key}` for each baggage key.
///
/// - Ids shorter than the full length are padded on the left. Colons may be encoded as `%3A`.
/// - The id of the parent's parent is validated and ignored, and written as 0.
/// - The debug flag is kept, and implies sampled. A deferred decision is written as not sampled.
/// - Baggage keys are read in the carrier's spelling, which is lower case in HTTP/2. Of keys that differ only in case, the first is written.
/// - Properties of baggage cannot be expressed. The limit of 8,192 bytes also holds for escaped values. Losses are recorded as rejections.
#[derive(Clone, Copy, Debug, Default)]
pub struct JaegerFormat;

impl Format for JaegerFormat {
    fn name(&self) -> &'static str {
        "jaeger"
    }

    fn extract(&self, from: &dyn Extract, into: &mut Extracted) {
        if !into.has_trace()
            && let Some(Ok(trace)) = fields::one(from, &TRACE, into, parse)
        {
            into.offer_trace(trace);
        }
        if from.name_filter().might_start_with(PREFIX) {
            let baggage = read_baggage(from, into);
            into.merge_baggage(baggage);
        }
    }

    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>) {
        if let Some(value) = format(&context.trace) {
            fields.push(&TRACE, value, FieldPriority::Ids);
        }
        if !context.baggage.is_empty() {
            write_baggage(&context.baggage, fields);
        }
    }

    fn fields(&self, names: &mut FieldNames) {
        names.declare(&TRACE);
        names.declare_prefix(PREFIX);
    }
}

/// Parses `{trace-id}:{span-id}:{parent-span-id}:{flags}`.
fn parse(text: &[u8]) -> Result<TraceContext, Refused> {
    let mut rest = Some(text);
    let mut next = || {
        let text = rest?;
        let (field, tail) = split_colon(text);
        rest = tail;
        Some(field)
    };
    let (Some(trace_id), Some(span_id), Some(parent), Some(flags), None) = (next(), next(), next(), next(), next())
    else {
        return Err(RejectReason::Malformed);
    };
    let (trace_id, span_id) = (fields::trace_id(trace_id)?, fields::span_id(span_id)?);
    fields::hex_padded::<8>(parent)?;
    let [flags] = fields::hex_padded::<1>(flags)?;
    let sampling =
        if flags & DEBUG != 0 { SamplingDecision::Debug } else { SamplingDecision::from_sampled(flags & SAMPLED != 0) };
    Ok(fields::context(trace_id, span_id, sampling))
}

const SAMPLED: u8 = 1;
const DEBUG: u8 = 2;

/// Splits at the first colon, plain or percent-encoded.
fn split_colon(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let tail = match rest {
            [b':', tail @ ..] | [b'%', b'3', b'A' | b'a', tail @ ..] => tail,
            [] => break,
            [_, ..] => {
                at += 1;
                continue;
            }
        };
        return (text.get(..at).unwrap_or(text), Some(tail));
    }
    (text, None)
}

/// Like `traceparent`, the format has no deferred decision: it becomes not sampled.
fn format(trace: &TraceContext) -> Option<FieldValue> {
    let parent = trace.parent_to_write()?;
    let flags: &[u8] = match (trace.sampling, trace.sampling.decided()) {
        (SamplingDecision::Debug, _) => b":0:3",
        (_, Some(true)) => b":0:1",
        (_, _) => b":0:0",
    };
    Some(fields::concat(&[&parent.trace_id.to_hex(), b":", &parent.span_id.to_hex(), flags]))
}

fn write_baggage(baggage: &Baggage, fields: &mut OutgoingFields<'_>) {
    fields.reserve(baggage.len());
    let (mut bytes, mut text) = (0, String::with_capacity(PREFIX.len() + 32));
    for member in baggage.iter() {
        let key = member.key();
        text.clear();
        text.push_str(PREFIX);
        text.push_str(key);
        let Some(name) = FieldName::new(&text) else { continue };
        let value = encode_member(&member);
        let size = key.len() + 1 + value.len();
        let lost = if fields.writes(name.as_str()) {
            Some(RejectReason::DuplicateKey)
        } else if bytes + size > Baggage::MAX_BYTES {
            // More bytes are escaped here than in W3C's list.
            Some(RejectReason::TooManyBytes)
        } else {
            bytes += size + 1;
            fields.push_named(name, value.into(), FieldPriority::Baggage);
            (!member.properties().is_empty()).then_some(RejectReason::Unrepresentable)
        };
        if let Some(reason) = lost {
            fields.reject(Rejection::new("uberctx", reason).with_key(key.as_bytes()));
        }
    }
}

/// Encodes the value of a member. Most values need no escape in either format.
fn encode_member(member: &Member<'_>) -> Vec<u8> {
    let wire = member.wire_value();
    if wire.iter().copied().all(is_unreserved) { wire.to_vec() } else { encode(&member.value()) }
}

/// Parses every `uberctx-…`, up to the limits of baggage.
fn read_baggage(from: &dyn Extract, into: &mut Extracted) -> Baggage {
    let mut keys: Vec<&str> = Vec::new();
    let mut list = Vec::new();
    let (mut members, mut bytes) = (0_usize, 0_usize);
    from.visit_all(&mut |name, value| {
        // Most names end here.
        if !matches!(name.as_bytes(), [b'u' | b'U', b'b' | b'B', ..]) {
            return;
        }
        let Some((prefix, key)) = name.split_at_checked(PREFIX.len()) else { return };
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return;
        }
        // Limits count the received fields, as if they were one list.
        members += 1;
        bytes = bytes.saturating_add(key.len() + 1 + value.len() + usize::from(members > 1));
        let before = list.len();
        let read = if bytes > Baggage::MAX_BYTES {
            Err(RejectReason::TooManyBytes)
        } else if members > Baggage::MAX_MEMBERS {
            Err(RejectReason::TooManyMembers)
        } else if keys.iter().any(|found| found.eq_ignore_ascii_case(key)) {
            Err(RejectReason::DuplicateKey)
        } else {
            append(key, value.as_bytes(), &mut list)
        };
        match read {
            // A key that an earlier format has read is kept, also if it differs in case.
            Ok(()) if holds(&into.context().baggage, key) => list.truncate(before),
            Ok(()) if list.len() > Baggage::MAX_BYTES => {
                list.truncate(before);
                into.reject(Rejection::new("uberctx", RejectReason::TooManyBytes).with_key(key.as_bytes()));
            }
            Ok(()) => keys.push(key),
            Err(reason) => into.reject(Rejection::new("uberctx", reason).with_key(key.as_bytes())),
        }
    });
    Baggage::parse(&list)
}

/// Appends a member in W3C's form.
fn append(key: &str, value: &[u8], list: &mut Vec<u8>) -> Result<(), Refused> {
    if !model::is_token(key.as_bytes()) {
        return Err(RejectReason::Malformed);
    }
    let value = decode(value).ok_or(RejectReason::IllegalByte)?;
    if !list.is_empty() {
        list.push(b',');
    }
    list.extend_from_slice(key.as_bytes());
    list.push(b'=');
    model::encode(value.as_bytes(), list);
    Ok(())
}

fn holds(baggage: &Baggage, key: &str) -> bool {
    baggage.iter().any(|member| member.key().eq_ignore_ascii_case(key))
}

/// Decodes percent escapes, and `+` as a space: Jaeger's libraries write a plus sign as `%2B`. Returns `None` if a control byte is not
/// escaped.
fn decode(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, tail @ ..]) if hex::escaped(*high, *low).is_some() => {
                out.extend(hex::escaped(*high, *low));
                rest = tail;
            }
            (0..0x20 | 0x7f, _) => return None,
            _ => out.push(byte),
        }
    }
    Some(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Encodes all bytes but the unreserved characters of RFC 3986, which every library decodes alike.
fn encode(value: &str) -> Vec<u8> {
    let escaped = value.bytes().filter(|&byte| !is_unreserved(byte)).count();
    let mut out = Vec::with_capacity(value.len() + 2 * escaped);
    for byte in value.bytes() {
        if is_unreserved(byte) {
            out.push(byte);
        } else {
            let [high, low] = hex::escape(byte);
            out.extend_from_slice(&[b'%', high, low]);
        }
    }
    out
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_jaeger_libraries_are_decoded() {
        for (wire, value) in
            [("a+b", "a b"), ("a%20b", "a b"), ("a%2Bb", "a+b"), ("%e2%82%ac", "\u{20ac}"), ("100%", "100%"), ("", "")]
        {
            assert_eq!(decode(wire.as_bytes()).as_deref(), Some(value), "{wire:?}");
        }
        assert_eq!(decode(b"a\nb"), None);
        assert_eq!(decode(&encode("a+ %\u{20ac}\n,;")).as_deref(), Some("a+ %\u{20ac}\n,;"));
    }
}
