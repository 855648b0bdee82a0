//! Small steps into JSON of any shape.

use serde_json::Value as Json;

use super::BackendError;
use crate::text::base64;
use crate::trace::{SpanId, TraceId};

/// Returns the list under the first of these names that exists.
pub(super) fn list<'a>(json: &'a Json, names: &[&str]) -> &'a [Json] {
    names.iter().find_map(|name| json.get(name)?.as_array()).map_or(&[], Vec::as_slice)
}

/// Returns the text under the first of these names that exists, or an empty text.
pub(super) fn text<'a>(json: &'a Json, names: &[&str]) -> &'a str {
    names.iter().find_map(|name| json.get(name)?.as_str()).unwrap_or_default()
}

/// Returns a number; JSON often has 64-bit numbers as text.
pub(super) fn number(json: Option<&Json>) -> Option<u64> {
    match json? {
        Json::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

/// Parses a trace id of 32 hexadecimal digits. Shorter ids are padded: older instrumentation has 16.
pub(super) fn trace_id(text: &str) -> Result<TraceId, BackendError> {
    let padded =
        if text.is_ascii() && (1..32).contains(&text.len()) { format!("{text:0>32}") } else { text.to_owned() };
    padded.parse().map_err(|_| BackendError::Malformed(format!("{:?} is not a trace id", cut(text))))
}

/// Parses a span id of 16 hexadecimal digits. Shorter ids are padded, as Jaeger omits leading zeros.
pub(super) fn span_id(text: &str) -> Result<SpanId, BackendError> {
    let padded =
        if text.is_ascii() && (1..16).contains(&text.len()) { format!("{text:0>16}") } else { text.to_owned() };
    padded.parse().map_err(|_| BackendError::Malformed(format!("{:?} is not a span id", cut(text))))
}

/// Like [`trace_id`], but also base64, in which the JSON mapping of Protocol Buffers has bytes.
pub(super) fn otlp_trace_id(text: &str) -> Result<TraceId, BackendError> {
    match bytes(text, 16) {
        Some(bytes) => TraceId::from_slice(&bytes).map_or_else(|| trace_id(text), Ok),
        None => trace_id(text),
    }
}

/// Like [`span_id`], but also base64.
pub(super) fn otlp_span_id(text: &str) -> Result<SpanId, BackendError> {
    match bytes(text, 8) {
        Some(bytes) => SpanId::from_slice(&bytes).map_or_else(|| span_id(text), Ok),
        None => span_id(text),
    }
}

/// Decodes an id from base64. Hexadecimal digits alone are not base64, unless padding marks them as such.
fn bytes(text: &str, length: usize) -> Option<Vec<u8>> {
    let padded = text.len() == length.div_ceil(3) * 4 && text.ends_with('=');
    let unpadded = text.len() == (length * 4).div_ceil(3) && !text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if padded || unpadded { base64::decode(text).filter(|bytes| bytes.len() == length) } else { None }
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}
