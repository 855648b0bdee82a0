//! Values of fields, borrowed from a carrier or shared.

use std::fmt;

use bytes::Bytes;

use crate::escape::MaskedLength;

/// A borrowed value of a carrier.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Bytes that must be copied to be kept.
    Borrowed(&'a [u8]),
    /// A header whose bytes can be shared.
    #[cfg(feature = "http")]
    Shared(&'a http::HeaderValue),
}

impl<'a> Value<'a> {
    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            #[cfg(feature = "http")]
            Self::Shared(header) => header.as_bytes(),
        }
    }

    /// Returns the number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

/// Prints the length alone.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        MaskedLength(self.as_bytes().len()).fmt(f)
    }
}

/// The bytes of a field value, reference counted. Not copied if the carrier shares its bytes.
#[derive(Clone, Default)]
pub struct FieldValue(Repr);

#[derive(Clone, Default)]
enum Repr {
    #[default]
    Empty,
    Bytes(Bytes),
    #[cfg(feature = "http")]
    Header(http::HeaderValue),
}

impl FieldValue {
    /// The empty value.
    pub const EMPTY: Self = Self(Repr::Empty);

    /// Creates a value of static bytes.
    #[must_use]
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        Self(Repr::Bytes(Bytes::from_static(bytes)))
    }

    /// Shares the bytes of a carrier's value if possible, and copies them otherwise.
    #[must_use]
    pub fn from_value(value: &Value<'_>) -> Self {
        match value {
            Value::Borrowed(bytes) => Self(Repr::Bytes(Bytes::copy_from_slice(bytes))),
            #[cfg(feature = "http")]
            Value::Shared(header) => Self(Repr::Header((*header).clone())),
        }
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Empty => &[],
            Repr::Bytes(bytes) => bytes,
            #[cfg(feature = "http")]
            Repr::Header(header) => header.as_bytes(),
        }
    }

    /// Returns whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// Returns a copy: a shared slice of a header keeps the connection's whole read buffer alive.
    #[must_use]
    pub fn detach(&self) -> Self {
        match &self.0 {
            Repr::Empty => Self::EMPTY,
            _ => Self(Repr::Bytes(Bytes::copy_from_slice(self.as_bytes()))),
        }
    }

    /// Returns a header value that shares the bytes; `None` if a byte is not allowed in headers.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn to_header_value(&self) -> Option<http::HeaderValue> {
        match &self.0 {
            Repr::Empty => Some(http::HeaderValue::from_static("")),
            Repr::Bytes(bytes) => http::HeaderValue::from_maybe_shared(bytes.clone()).ok(),
            Repr::Header(header) => Some(header.clone()),
        }
    }
}

impl From<Vec<u8>> for FieldValue {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() { Self::EMPTY } else { Self(Repr::Bytes(bytes.into())) }
    }
}

impl From<Bytes> for FieldValue {
    fn from(bytes: Bytes) -> Self {
        Self(Repr::Bytes(bytes))
    }
}

impl PartialEq for FieldValue {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for FieldValue {}

/// Prints the length alone.
impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        MaskedLength(self.as_bytes().len()).fmt(f)
    }
}
