//! Datadog's member of tracestate, `dd=s:1;o:synthetics;p:00f067aa0ba902b7;t.dm:-4`: the origin and the tags of a trace.

use super::{HIGH_HALF, MAX_TAGS};
use crate::{RejectReason, SamplingDecision, SamplingPriority, SpanId, TraceState, model::list_header};

const KEY: &str = "dd";
const TAG: &str = "_dd.p.";
/// The most bytes of the member's value, here as in Datadog's libraries: the limit of Trace Context Level 2 (3.3.1.3.2).
const MAX_VALUE: usize = 256;
/// The most bytes of an origin, which is a word such as `synthetics`.
pub(super) const MAX_ORIGIN: usize = 128;

/// The contents of `x-datadog-origin` and `x-datadog-tags` beside the ids.
pub(super) struct Received<'a> {
    pub(super) priority: Option<SamplingPriority>,
    pub(super) origin: Option<&'a str>,
    pub(super) parent: Option<SpanId>,
    /// `key=value,…`, already bounded.
    pub(super) tags: &'a str,
}

impl Received<'_> {
    /// Returns a tracestate with the member, and whether all of it had room. Empty if there is neither an origin nor a tag.
    ///
    /// The upper half of the trace-id is no tag here: `traceparent` has it.
    pub(super) fn to_state(&self) -> (TraceState, bool) {
        let mut value = String::new();
        let mut complete = true;
        let mut push = |key: &str, text: &str| {
            let separator = usize::from(!value.is_empty());
            if value.len() + separator + key.len() + 1 + text.len() > MAX_VALUE {
                complete = false;
                return;
            }
            if separator == 1 {
                value.push(';');
            }
            value.push_str(key);
            value.push(':');
            value.push_str(text);
        };
        let tags = || tags(self.tags).filter(|(key, _)| *key != HIGH_HALF);
        if self.origin.is_none() && tags().next().is_none() {
            return (TraceState::EMPTY, true);
        }
        if let Some(priority) = self.priority {
            push("s", &priority.to_i8().to_string());
        }
        if let Some(origin) = self.origin {
            push("o", &to_value(origin));
        }
        if let Some(parent) = self.parent {
            push("p", &parent.to_string());
        }
        for (key, text) in tags() {
            let key = key.strip_prefix(TAG).unwrap_or(key);
            push(&format!("t.{}", to_key(key)), &to_value(text));
        }
        let mut state = TraceState::EMPTY;
        // A value may not end in a space, which is padding on the wire.
        let complete = state.set(KEY, value.trim_end()).is_ok() && complete;
        (state, complete)
    }
}

/// The tags of a list `key=value,…` that travel.
fn tags(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.split(',')
        .filter_map(|tag| tag.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .filter(|(key, value)| key.len() > TAG.len() && key.starts_with(TAG) && !value.is_empty())
}

/// Datadog's libraries replace bytes that a key cannot contain by `_`.
fn to_key(key: &str) -> String {
    key.chars()
        .map(|c| if matches!(c, '\x21'..='\x7e') && !matches!(c, ',' | ';' | ':' | '=') { c } else { '_' })
        .collect()
}

/// Datadog's libraries write `~` for `=`, which a value of tracestate cannot hold, and `_` for everything else that it cannot hold.
fn to_value(text: &str) -> String {
    let to = |c| match c {
        '=' => '~',
        ',' | ';' | '~' => '_',
        '\x20'..='\x7e' => c,
        _ => '_',
    };
    text.chars().map(to).collect()
}

/// Datadog's member, parsed.
#[derive(Clone, Copy)]
pub(super) struct Member<'a>(&'a str);

impl<'a> Member<'a> {
    pub(super) fn of(state: &'a TraceState) -> Option<Self> {
        state.get(KEY).map(Self)
    }

    fn parts(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.split(';').filter_map(|part| part.split_once(':'))
    }

    pub(super) fn origin(self) -> Option<String> {
        self.parts().find(|(key, text)| *key == "o" && !text.trim().is_empty()).map(|(_, text)| from_value(text))
    }

    /// Returns the priority if it agrees with the decision, which is newer.
    pub(super) fn priority(self, sampling: SamplingDecision) -> Option<SamplingPriority> {
        let text = self.parts().find(|(key, _)| *key == "s")?.1;
        let priority = text.parse().ok().and_then(SamplingPriority::from_i8)?;
        let agrees = sampling.decided() == SamplingDecision::Priority(priority).decided();
        agrees.then_some(priority)
    }

    /// Appends the tags to a list `key=value,…`. Returns an error if some had no room.
    pub(super) fn append_tags(self, list: &mut Vec<u8>) -> Result<(), RejectReason> {
        let mut complete = Ok(());
        for (key, text) in self.parts() {
            let Some(key) = key.strip_prefix("t.").filter(|key| *key != "tid" && !key.is_empty()) else { continue };
            let tag = format!("{TAG}{key}={}", from_value(text));
            let separator = usize::from(!list.is_empty());
            if list.len() + separator + tag.len() > MAX_TAGS {
                complete = Err(RejectReason::TooManyBytes);
                continue;
            }
            if separator == 1 {
                list.push(b',');
            }
            list.extend_from_slice(tag.as_bytes());
        }
        complete
    }
}

fn from_value(text: &str) -> String {
    text.trim().replace('~', "=")
}

/// Reads an origin: printable ASCII, trimmed.
pub(super) fn parse_origin(text: &[u8]) -> Result<String, RejectReason> {
    let text = list_header::trim(text);
    if !text.iter().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return Err(RejectReason::IllegalByte);
    }
    if text.len() > MAX_ORIGIN {
        return Err(RejectReason::TooManyBytes);
    }
    Ok(String::from_utf8_lossy(text).into_owned())
}
