use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use crate::escape::{MaskedLength, cut};

/// The most bytes that are kept of an external text until the guard sees it: the largest configurable limit, and enough beyond it to
/// know that the text was longer.
pub(crate) const MOST_KEPT: usize = super::TelemetryLimits::MAX_BYTES + 256;

/// Text that a caller, a publisher or a message chose.
///
/// Making one copies a bounded part of the text. It has no accessor: the policy's [`TextGuard`](crate::hop::TextGuard) alone turns it into
/// the text that a bridge receives.
///
/// ```
/// use propagation_core::{Attribute, ExternalText};
///
/// let attribute = Attribute::external("rabbitmq.destination.routing_key", "order.4711");
/// let printed = format!("{:?}", ExternalText::from("anna@example.com"));
/// assert_eq!(printed, "_ (16 bytes)");
/// # let _ = attribute;
/// ```
#[derive(Clone)]
pub struct ExternalText {
    text: Box<str>,
    key_hint: Option<Box<str>>,
}

impl ExternalText {
    /// Copies a bounded part of the bytes; invalid UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // Without the last bytes of a character that the cut may have split.
        let kept = bytes.get(..MOST_KEPT).unwrap_or(bytes);
        Self::from(&*String::from_utf8_lossy(kept))
    }

    /// Copies a bounded part of the bytes if it is UTF-8, `None` otherwise. Bytes beyond the part are not read.
    ///
    /// ```
    /// use propagation_core::ExternalText;
    ///
    /// assert_eq!(ExternalText::from_utf8(b"order-4711"), Some(ExternalText::from("order-4711")));
    /// assert_eq!(ExternalText::from_utf8(&[0xff; 16]), None);
    /// ```
    #[must_use]
    pub fn from_utf8(bytes: &[u8]) -> Option<Self> {
        let kept = bytes.get(..MOST_KEPT).unwrap_or(bytes);
        let text = match std::str::from_utf8(kept) {
            Ok(text) => text,
            // The cut may have divided a character.
            Err(error) if error.error_len().is_none() && kept.len() < bytes.len() => {
                std::str::from_utf8(kept.get(..error.valid_up_to())?).ok()?
            }
            Err(_) => return None,
        };
        Some(Self::from(text))
    }

    /// Names the key that the scrubbers get as a hint, where it differs from the attribute's.
    #[must_use]
    pub fn with_key_hint(mut self, key: &str) -> Self {
        self.key_hint = Some(cut(key, 128).into());
        self
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn into_string(self) -> String {
        self.text.into()
    }

    pub(super) fn key_hint(&self) -> Option<&str> {
        self.key_hint.as_deref()
    }
}

impl From<&str> for ExternalText {
    fn from(text: &str) -> Self {
        Self { text: cut(text, MOST_KEPT).into(), key_hint: None }
    }
}

impl From<String> for ExternalText {
    fn from(text: String) -> Self {
        if text.len() > MOST_KEPT {
            return Self::from(text.as_str());
        }
        Self { text: text.into_boxed_str(), key_hint: None }
    }
}

impl From<Cow<'_, str>> for ExternalText {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl PartialEq for ExternalText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ExternalText {}

/// Prints the length alone.
impl fmt::Debug for ExternalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Masked::always(&self.text), f)
    }
}

/// Debug output of a text: a literal is printed, owned text is replaced by its length.
pub(crate) struct Masked<'a>(pub(crate) &'a Cow<'static, str>);

impl Masked<'_> {
    /// Replaces the text by its length.
    pub(crate) fn always(text: &str) -> impl fmt::Debug {
        MaskedLength(text.len())
    }
}

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cow::Borrowed(text) => fmt::Debug::fmt(text, f),
            Cow::Owned(text) => MaskedLength(text.len()).fmt(f),
        }
    }
}

/// Formats a bounded part of a value: an error's text may be as long as the input that caused it.
pub(crate) fn bounded(value: &(impl fmt::Display + ?Sized)) -> String {
    let mut out = Bounded(String::new());
    // Stops with an error once the text is long enough.
    let _ = write!(out, "{value}");
    out.0
}

/// Keeps a bounded part of owned text.
pub(crate) fn bounded_cow(text: Cow<'static, str>) -> Cow<'static, str> {
    match text {
        Cow::Owned(text) if text.len() > MOST_KEPT => Cow::Owned(cut(&text, MOST_KEPT).to_owned()),
        other => other,
    }
}

struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST_KEPT.saturating_sub(self.0.len());
        let kept = cut(text, room);
        self.0.push_str(kept);
        if kept.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}
