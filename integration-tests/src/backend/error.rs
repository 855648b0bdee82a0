//! Errors of reading spans.

use std::fmt;

/// Spans could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackendError {
    /// The text does not have the expected format.
    Malformed(String),
    /// The address is not a plain `http://host[:port][/path]`.
    Address(String),
    /// The backend did not answer.
    Unreachable(String),
    /// The backend answered with this status and text.
    Refused(u16, String),
    /// The backend has no such trace (yet).
    NotFound,
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "cannot read the spans: {why}"),
            Self::Address(address) => write!(f, "not a plain http:// address: {address}"),
            Self::Unreachable(why) => write!(f, "the backend did not answer: {why}"),
            Self::Refused(status, text) => write!(f, "the backend answered {status}: {text}"),
            Self::NotFound => f.write_str("the backend has no such trace"),
        }
    }
}

impl std::error::Error for BackendError {}
