//! Jaeger: `uber-trace-id` and `uberctx-…`.

use super::fields::{self, Refused};
use crate::{
    Baggage, Extract, Extracted, FieldName, FieldNames, FieldPriority, Format, OutgoingFields, PropagationContext,
    RejectReason, Rejection, SamplingDecision, TraceContext, hex, model,
};

static TRACE: FieldName = FieldName::from_static("uber-trace-id");
const PREFIX: &str = "uberctx-";

/// Jaeger's own format (`jaeger` in `OTEL_PROPAGATORS`): `uber-trace-id`, and a field `uberctx-{key}` for each baggage key.
///
/// Ids may be short and are padded on the left; the colons may be escaped as `%3A`. The parent's id is checked and ignored;
/// it is written as 0. Debug is kept, and means sampled. Baggage keys arrive in the carrier's spelling, which in HTTP/2 is lower
/// case. The format has no properties. Of two keys that differ only in case, the first is written. The limit of 8,192 bytes applies to
/// escaped baggage, too. Lost properties and keys are counted.
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
        let baggage = read_baggage(from, into);
        into.merge_baggage(baggage);
    }

    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>) {
        if let Some(text) = format(&context.trace) {
            fields.push(&TRACE, fields::text(&text), FieldPriority::Ids);
        }
        let mut bytes = 0;
        for member in context.baggage.iter() {
            let Some(name) = FieldName::new(&format!("{PREFIX}{}", member.key())) else { continue };
            let value = encode(&member.value());
            let size = member.key().len() + 1 + value.len();
            let lost = if fields.writes(name.as_str()) {
                Some(RejectReason::DuplicateKey)
            } else if bytes + size > Baggage::MAX_BYTES {
                // More has to be escaped here than in W3C's list.
                Some(RejectReason::TooManyBytes)
            } else {
                bytes += size + 1;
                fields.push_named(name, fields::text(&value), FieldPriority::Baggage);
                (!member.properties().is_empty()).then_some(RejectReason::Unrepresentable)
            };
            if let Some(reason) = lost {
                fields.reject(Rejection::new("uberctx", reason).with_key(member.key().as_bytes()));
            }
        }
    }

    fn fields(&self, names: &mut FieldNames) {
        names.declare(&TRACE);
        names.declare_prefix(PREFIX);
    }
}

/// `{trace id}:{span id}:{parent span id}:{flags}`
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

/// The format has no deferred decision: like `traceparent`, it is then written as not sampled.
fn format(trace: &TraceContext) -> Option<String> {
    let parent = trace.parent_to_write()?;
    let flags = match trace.sampling {
        SamplingDecision::Debug => SAMPLED | DEBUG,
        other => u8::from(other.decided() == Some(true)),
    };
    Some(format!("{}:{}:0:{flags:x}", parent.trace_id, parent.span_id))
}

/// Reads every `uberctx-…`, up to the limits of baggage.
fn read_baggage(from: &dyn Extract, into: &mut Extracted) -> Baggage {
    let mut keys: Vec<&str> = Vec::new();
    let mut list = Vec::new();
    let (mut members, mut bytes) = (0_usize, 0_usize);
    from.visit_all(&mut |name, value| {
        let Some((prefix, key)) = name.split_at_checked(PREFIX.len()) else { return };
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return;
        }
        // What the wire holds counts, as if it were one list.
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
            // A key that a format before has read stays, also in the spelling that a header's name has lost.
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

/// Decodes as Jaeger's libraries encode: percent escapes, and `+` for a space (each of them writes a plus as `%2B`).
///
/// Returns `None` for an unescaped control byte.
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

/// Encodes everything but the unreserved characters of RFC 3986: every library decodes that to the same.
fn encode(value: &str) -> String {
    use std::fmt::Write;

    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_every_library_of_jaeger_writes_them() {
        for (wire, value) in
            [("a+b", "a b"), ("a%20b", "a b"), ("a%2Bb", "a+b"), ("%e2%82%ac", "\u{20ac}"), ("100%", "100%"), ("", "")]
        {
            assert_eq!(decode(wire.as_bytes()).as_deref(), Some(value), "{wire:?}");
        }
        assert_eq!(decode(b"a\nb"), None);
        assert_eq!(decode(encode("a+ %\u{20ac}\n,;").as_bytes()).as_deref(), Some("a+ %\u{20ac}\n,;"));
    }
}
