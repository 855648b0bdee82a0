use std::{borrow::Cow, fmt};

use super::encoding;
use crate::{
    RejectReason,
    model::list_header,
    octets::{self, PROPERTY, VALUE},
};

/// One member of a baggage list: key, value, properties.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// The raw member; parsed lazily.
    wire: &'a [u8],
}

impl<'a> Member<'a> {
    /// Wraps a valid member.
    pub(crate) fn from_wire(piece: &'a [u8]) -> Self {
        Self { wire: piece }
    }

    /// Returns the key: a token, case-sensitive, never decoded.
    #[must_use]
    pub fn key(&self) -> &'a str {
        std::str::from_utf8(self.wire_key()).unwrap_or_default()
    }

    /// Returns the bytes of the key.
    pub(crate) fn wire_key(&self) -> &'a [u8] {
        list_header::split_once(self.wire, b'=').map_or(self.wire, |(key, _)| key)
    }

    /// Returns whether this is its key. Cheaper than a comparison with `key`.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        // No key has a `=` in it.
        self.wire.get(key.len()) == Some(&b'=') && self.wire.starts_with(key.as_bytes())
    }

    /// Returns the text after the `=`.
    fn rest(&self) -> &'a [u8] {
        list_header::split_once(self.wire, b'=').map_or(&[], |(_, rest)| rest)
    }

    /// Returns the whole member as on the wire.
    pub(crate) fn as_wire(&self) -> &'a [u8] {
        self.wire
    }

    /// Returns the decoded value; bytes that are not UTF-8 become U+FFFD. Allocates only for encoded values.
    #[must_use]
    pub fn value(&self) -> Cow<'a, str> {
        encoding::decode(self.wire_value())
    }

    /// Returns the value as on the wire.
    #[must_use]
    pub fn wire_value(&self) -> &'a [u8] {
        let rest = self.rest();
        list_header::split_once(rest, b';').map_or(rest, |(value, _)| value)
    }

    /// Returns the properties, unchanged: the text after the first `;`.
    #[must_use]
    pub fn properties(&self) -> &'a str {
        let properties = list_header::split_once(self.rest(), b';').map_or(&[][..], |(_, properties)| properties);
        std::str::from_utf8(properties).unwrap_or_default()
    }
}

impl fmt::Debug for Member<'_> {
    /// The key only: a value may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Member({})", self.key())
    }
}

/// Returns key, decoded value and properties of a valid member.
pub(super) fn parts(member: &str) -> (&str, Cow<'_, str>, &str) {
    let (key, rest) = split_once(member, b'=').unwrap_or((member, ""));
    let (value, properties) = split_once(rest, b';').unwrap_or((rest, ""));
    let is_encoded = octets::find(value.as_bytes(), b'%').is_some();
    (key, if is_encoded { encoding::decode(value.as_bytes()) } else { value.into() }, properties)
}

/// Splits at the first `separator`, an ASCII byte; the separator itself is in neither part.
pub(super) fn split_once(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = octets::find(text.as_bytes(), separator)?;
    text.get(..at).zip(text.get(at + 1..))
}

/// The parts of a valid member, without white space around its `=`.
pub(super) struct Checked<'a> {
    pub(super) key: &'a [u8],
    value: &'a [u8],
    /// With its `;`, or empty.
    tail: &'a [u8],
}

impl<'a> Checked<'a> {
    /// Checks a member without white space around it (W3C Baggage, 3.3.1).
    pub(super) fn read(member: &'a [u8]) -> Result<Self, RejectReason> {
        let (key, rest) = list_header::split_once(member, b'=').ok_or(RejectReason::Malformed)?;
        let key = list_header::trim_end(key);
        if !encoding::is_token(key) {
            return Err(RejectReason::Malformed);
        }
        let value_end = octets::find(rest, b';').unwrap_or(rest.len());
        let (raw_value, tail) = rest.split_at_checked(value_end).ok_or(RejectReason::Malformed)?;
        let value = list_header::trim(raw_value);
        if !octets::all(value, VALUE) || !tail.get(1..).is_none_or(check_properties) {
            return Err(RejectReason::IllegalByte);
        }
        Ok(Self { key, value, tail })
    }

    /// Writes the member. May stop once `out` is longer than `limit`.
    pub(super) fn write(&self, out: &mut Vec<u8>, limit: usize) {
        out.extend_from_slice(self.key);
        out.push(b'=');
        encoding::mend_escapes(self.value, out, limit);
        out.extend_from_slice(self.tail);
    }
}

/// A member as on the wire.
pub(super) fn write(key: &str, value: &str, properties: &str) -> Vec<u8> {
    let mut member = Vec::with_capacity(key.len() + value.len() + properties.len() + 2);
    member.extend_from_slice(key.as_bytes());
    member.push(b'=');
    encoding::encode(value.as_bytes(), &mut member);
    if !properties.is_empty() {
        member.push(b';');
        member.extend_from_slice(properties.as_bytes());
    }
    member
}

/// Returns whether properties contain only allowed bytes.
pub(super) fn check_properties(text: &[u8]) -> bool {
    octets::all(text, PROPERTY)
}

/// Baggage could not be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaggageError {
    /// The key is not a token.
    Key,
    /// A property contains a comma or a control byte.
    Properties,
    /// More than 64 members or 8,192 bytes.
    Limit,
}

impl fmt::Display for BaggageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "the key is not a token",
            Self::Properties => "a property holds a comma, a control byte or a byte outside ASCII",
            Self::Limit => "more than 64 members or 8192 bytes of baggage",
        })
    }
}

impl std::error::Error for BaggageError {}
