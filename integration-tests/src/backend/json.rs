//! Small steps into JSON of any shape.

use serde_json::Value as Json;

use super::BackendError;
use crate::trace::{SpanId, TraceId};

/// Members under the first of these names that is there.
pub(super) fn list<'a>(json: &'a Json, names: &[&str]) -> &'a [Json] {
    names.iter().find_map(|name| json.get(name)?.as_array()).map_or(&[], Vec::as_slice)
}

/// Text under the first of these names that is there, or none.
pub(super) fn text<'a>(json: &'a Json, names: &[&str]) -> &'a str {
    names.iter().find_map(|name| json.get(name)?.as_str()).unwrap_or_default()
}

/// A number, which JSON of 64-bit numbers often has as text.
pub(super) fn number(json: Option<&Json>) -> Option<u64> {
    match json? {
        Json::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

/// A trace id of 32 digits, or of 16 as older instrumentation has it.
pub(super) fn trace_id(text: &str) -> Result<TraceId, BackendError> {
    let padded =
        if text.is_ascii() && (1..32).contains(&text.len()) { format!("{text:0>32}") } else { text.to_owned() };
    padded.parse().map_err(|_| BackendError::Malformed(format!("{:?} is no trace id", cut(text))))
}

/// A span id of 16 digits; fewer are taken as leading zeros left out.
pub(super) fn span_id(text: &str) -> Result<SpanId, BackendError> {
    let padded =
        if text.is_ascii() && (1..16).contains(&text.len()) { format!("{text:0>16}") } else { text.to_owned() };
    padded.parse().map_err(|_| BackendError::Malformed(format!("{:?} is no span id", cut(text))))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}
