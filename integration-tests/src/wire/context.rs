//! The W3C fields, read as strictly as they must be written.

use crate::text::percent;
use crate::trace::{SpanId, TraceId};

/// A `traceparent` as it must be written: version 00, lower case, ids that are not zero, no unknown flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The sender's span.
    pub parent_id: SpanId,
    /// Sampled (1) and random (2).
    pub flags: u8,
}

impl TraceParent {
    /// Reads a value of 55 bytes.
    ///
    /// # Errors
    /// Why it is not one, in words.
    pub fn read(value: &[u8]) -> Result<Self, &'static str> {
        let [b'0', b'0', b'-', rest @ ..] = value else { return Err("does not begin with `00-`") };
        if value.len() != 55 {
            return Err("is not 55 bytes long");
        }
        let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        let part = |from: usize, to: usize| {
            rest.get(from..to).filter(|part| part.iter().all(hex)).and_then(|part| std::str::from_utf8(part).ok())
        };
        let (Some(trace), Some(parent), Some(flags)) = (part(0, 32), part(33, 49), part(50, 52)) else {
            return Err("has a character that is not a lower-case hexadecimal digit where one must be");
        };
        if rest.get(32) != Some(&b'-') || rest.get(49) != Some(&b'-') {
            return Err("has no `-` between its parts");
        }
        let trace_id: TraceId = trace.parse().map_err(|_| "has no trace id")?;
        let parent_id: SpanId = parent.parse().map_err(|_| "has no parent id")?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| "has no flags")?;
        if trace_id.is_zero() || parent_id.is_zero() {
            return Err("has an id of zeros");
        }
        if flags & !0x03 != 0 {
            return Err("sets flags that version 00 does not have");
        }
        Ok(Self { trace_id, parent_id, flags })
    }
}

/// A member of a `baggage` field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaggageMember {
    /// Its key.
    pub key: String,
    /// Its value, decoded.
    pub value: String,
    /// The properties after the value, as written.
    pub properties: String,
}

/// Each member of one `baggage` value; malformed ones as an error with their bytes as text.
pub fn baggage_members(value: &[u8]) -> impl Iterator<Item = Result<BaggageMember, String>> {
    let trimmed = |part: &[u8]| part.trim_ascii().to_vec();
    value.split(|byte| *byte == b',').map(trimmed).filter(|member| !member.is_empty()).map(move |member| {
        let malformed = || String::from_utf8_lossy(&member).into_owned();
        let equals = member.iter().position(|byte| *byte == b'=').ok_or_else(malformed)?;
        let (key, rest) = member.split_at(equals);
        let key = key.trim_ascii();
        let rest = rest.get(1..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
        let (value, properties) = rest.split_at(end);
        let value = value.trim_ascii();
        if key.is_empty()
            || !key.iter().all(is_token)
            || !value.iter().all(is_baggage_octet)
            || properties.iter().any(u8::is_ascii_control)
        {
            return Err(malformed());
        }
        Ok(BaggageMember {
            key: String::from_utf8_lossy(key).into_owned(),
            value: String::from_utf8_lossy(&percent::decode(value)).into_owned(),
            properties: String::from_utf8_lossy(properties.get(1..).unwrap_or_default()).into_owned(),
        })
    })
}

/// Why this list of `tracestate` members is not one a writer may write.
pub(super) fn trace_state_fault(value: &[u8]) -> Option<&'static str> {
    let mut keys: Vec<&[u8]> = Vec::new();
    for member in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if member.is_empty() {
            continue;
        }
        let Some(equals) = member.iter().position(|byte| *byte == b'=') else {
            return Some("has a member without `=`");
        };
        let (key, rest) = member.split_at(equals);
        let value = rest.get(1..).unwrap_or_default();
        let first = key.first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let key_byte = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(byte);
        if !first || key.len() > 256 || !key.iter().all(key_byte) {
            return Some("has a key that is not legal");
        }
        let value_byte = |byte: &u8| (0x20..=0x7e).contains(byte) && !b",=".contains(byte);
        if value.is_empty() || value.len() > 256 || !value.iter().all(value_byte) {
            return Some("has a value that is not legal");
        }
        if keys.contains(&key) {
            return Some("has a key twice");
        }
        keys.push(key);
    }
    match keys.len() {
        0 => Some("is empty"),
        33.. => Some("has more than 32 members"),
        _ => None,
    }
}

fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

fn is_baggage_octet(byte: &u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}
