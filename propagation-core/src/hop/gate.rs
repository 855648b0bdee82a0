//! The one place where text from outside becomes text for a bridge.

use std::borrow::Cow;

use super::{Attribute, AttributeValue, ExternalText, Hop, Link};
use crate::{
    TraceContext,
    escape::{cut, escaped, escaped_lines},
};

/// Bounds of the texts that spans and metrics hold, in bytes.
///
/// A longer text is cut before anything scans it. The last 64 bytes within the bound are scanned and not shown, so that no half of an
/// address or a secret remains at the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TelemetryLimits {
    /// Span names and `error.type`; 128.
    pub name: usize,
    /// Attribute values, messages of exceptions, descriptions of a status, and all values of a list together; 1,024.
    pub value: usize,
    /// Stack traces; 8,192.
    pub stacktrace: usize,
}

impl TelemetryLimits {
    /// The highest bound; higher ones count as this.
    pub const MAX_BYTES: usize = 8192;
    /// The lowest bound; lower ones count as this.
    pub const MIN_BYTES: usize = 32;

    /// Replaces the bound of names.
    #[must_use]
    pub fn with_name(mut self, bytes: usize) -> Self {
        self.name = bytes.clamp(Self::MIN_BYTES, Self::MAX_BYTES);
        self
    }

    /// Replaces the bound of values.
    #[must_use]
    pub fn with_value(mut self, bytes: usize) -> Self {
        self.value = bytes.clamp(Self::MIN_BYTES, Self::MAX_BYTES);
        self
    }

    /// Replaces the bound of stack traces.
    #[must_use]
    pub fn with_stacktrace(mut self, bytes: usize) -> Self {
        self.stacktrace = bytes.clamp(Self::MIN_BYTES, Self::MAX_BYTES);
        self
    }

    /// Returns the bounds within the lowest and highest one: the fields can be set to any number.
    pub(crate) fn clamped(self) -> Self {
        self.with_name(self.name).with_value(self.value).with_stacktrace(self.stacktrace)
    }
}

impl Default for TelemetryLimits {
    fn default() -> Self {
        Self { name: 128, value: 1024, stacktrace: Self::MAX_BYTES }
    }
}

/// Decides which text from outside a bridge may receive. The policy implements it.
pub trait TextGuard {
    /// Returns the bounds of texts.
    fn limits(&self) -> TelemetryLimits;

    /// Returns `false` if a text must not be recorded. It is within the bounds. `key` is the attribute's.
    fn allows_text(&self, key: &str, text: &str) -> bool;

    /// Returns `true` if a link's tracestate may be recorded unchanged.
    fn allows_link_state(&self, trace: &TraceContext) -> bool;
}

/// The text that replaces a value of a list, and the whole of a name.
const REDACTED: &str = "REDACTED";
const OTHER: &str = "_OTHER";

/// The bytes before the cut that are scanned and not shown.
const OVERLAP: usize = 64;

/// The bytes that are shown of a text that is one token, and too long.
const SHOWN_OF_ONE_TOKEN: usize = 32;

/// Cuts, scans and escapes a text. `None` if it must not be recorded.
pub(crate) fn text<'a>(guard: &dyn TextGuard, key: &str, text: &'a str, limit: usize) -> Option<Cow<'a, str>> {
    shown(guard, key, text, limit).map(|shown| escaped(shown, limit))
}

fn shown<'a>(guard: &dyn TextGuard, key: &str, text: &'a str, limit: usize) -> Option<&'a str> {
    let (scanned, shown) = bounds(text, limit);
    (scanned.is_empty() || guard.allows_text(key, scanned)).then_some(shown)
}

/// Returns the beginning of a text that is scanned, and the beginning that is shown.
pub(crate) fn bounds(text: &str, limit: usize) -> (&str, &str) {
    let scanned = cut(text, limit);
    if scanned.len() == text.len() {
        return (text, text);
    }
    let shown = cut(scanned, limit.saturating_sub(OVERLAP.min(limit / 2)));
    // A token that the bound divides is not shown at all: a secret may be longer than its scanned part.
    let token = scanned.rfind(|letter| !is_of_token(letter)).map_or(0, |at| at.saturating_add(1));
    let divided = text.get(scanned.len()..).and_then(|rest| rest.chars().next()).is_some_and(is_of_token);
    // Of one token alone the beginning is shown: as little as the header of a JWT.
    (scanned, if divided { cut(shown, if token == 0 { SHOWN_OF_ONE_TOKEN } else { token }) } else { shown })
}

fn is_of_token(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-' | '+' | '%' | '~' | '@')
}

/// Guards the text of an error, literals too: errors are rare.
pub(crate) fn value(guard: &dyn TextGuard, key: &str, value: Cow<'static, str>) -> Option<Cow<'static, str>> {
    let limit = guard.limits().value;
    match value {
        Cow::Borrowed(literal) => text(guard, key, literal, limit),
        Cow::Owned(owned) => Some(Cow::Owned(text(guard, key, &owned, limit)?.into_owned())),
    }
}

/// Guards a stack trace, whose lines stay apart.
pub(crate) fn stacktrace(guard: &dyn TextGuard, trace: &str) -> Option<Cow<'static, str>> {
    let limit = guard.limits().stacktrace;
    let shown = shown(guard, "exception.stacktrace", trace, limit)?;
    Some(Cow::Owned(escaped_lines(shown, limit).into_owned()))
}

/// Guards `error.type`: it is on metrics, too.
pub(crate) fn error_type(guard: &dyn TextGuard, kind: Cow<'static, str>) -> Cow<'static, str> {
    match kind {
        Cow::Borrowed(literal) => Cow::Borrowed(literal),
        Cow::Owned(owned) => text(guard, "error.type", &owned, guard.limits().name)
            .map_or(Cow::Borrowed(OTHER), |shown| Cow::Owned(shown.into_owned())),
    }
}

/// Guards a span's name. One that must not be recorded is reduced to its first word, an operation or a method.
pub(crate) fn name(guard: &dyn TextGuard, name: Cow<'static, str>) -> Cow<'static, str> {
    let Cow::Owned(owned) = name else { return name };
    match text(guard, "", &owned, guard.limits().name) {
        Some(Cow::Borrowed(shown)) if shown.len() == owned.len() => Cow::Owned(owned),
        Some(shown) => Cow::Owned(shown.into_owned()),
        None => match owned.split_once(' ') {
            Some((word, _)) if word.len() <= 16 && word.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                Cow::Owned(word.to_owned())
            }
            _ => Cow::Borrowed(OTHER),
        },
    }
}

/// Guards an attribute. `None` if it must not be recorded.
pub(crate) fn attribute(guard: &dyn TextGuard, attribute: Attribute) -> Option<Attribute> {
    let Attribute { key, value } = attribute;
    let value = match value {
        AttributeValue::External(external) => {
            AttributeValue::Text(Cow::Owned(external_text(guard, &key, external, guard.limits().value)?))
        }
        AttributeValue::ExternalTexts(texts) => {
            let mut room = guard.limits().value;
            let mut passed = Vec::new();
            for external in &texts {
                if room == 0 {
                    break;
                }
                let hint = external.key_hint().unwrap_or(&key);
                let shown = text(guard, hint, external.as_str(), room);
                let shown = shown.map_or_else(|| REDACTED.to_owned(), Cow::into_owned);
                // An empty value costs, too.
                room = room.saturating_sub(external.as_str().len().max(shown.len()).max(16));
                passed.push(shown);
            }
            AttributeValue::Texts(passed)
        }
        trusted => trusted,
    };
    Some(Attribute { key, value })
}

/// Guards an external text. One that is shown unchanged keeps its memory.
fn external_text(guard: &dyn TextGuard, key: &str, external: ExternalText, limit: usize) -> Option<String> {
    let whole = external.as_str();
    match text(guard, external.key_hint().unwrap_or(key), whole, limit)? {
        Cow::Borrowed(shown) if shown.len() == whole.len() => Some(external.into_string()),
        shown => Some(shown.into_owned()),
    }
}

/// Guards the tracestate and the attributes of a link.
pub(crate) fn link(guard: &dyn TextGuard, link: &mut Link) {
    let state = &link.trace.state;
    if !state.is_empty() && (state.as_bytes().len() > guard.limits().value || !guard.allows_link_state(&link.trace)) {
        link.trace.state = crate::TraceState::EMPTY;
    }
    attributes(guard, &mut link.attributes);
}

fn attributes(guard: &dyn TextGuard, attributes: &mut Vec<Attribute>) {
    attributes.retain_mut(|found| {
        if !is_external(&found.value) {
            return true;
        }
        let external = std::mem::replace(found, Attribute::new("", false));
        attribute(guard, external).map(|guarded| *found = guarded).is_some()
    });
}

/// Guards all that a hop starts with.
pub(crate) fn hop(guard: &dyn TextGuard, hop: &mut Hop) {
    if let Some(guarded) = hop.guarded_name.take().filter(|_| hop.name.is_empty()) {
        hop.name = Cow::Owned(guarded);
    } else if let Cow::Owned(_) = hop.name {
        hop.name = name(guard, std::mem::take(&mut hop.name));
    }
    attributes(guard, &mut hop.attributes);
    for each in &mut hop.links {
        link(guard, each);
    }
}

/// Whether a value has to pass the guard.
pub(crate) fn is_external(value: &AttributeValue) -> bool {
    matches!(value, AttributeValue::External(_) | AttributeValue::ExternalTexts(_))
}

#[cfg(test)]
mod tests;
