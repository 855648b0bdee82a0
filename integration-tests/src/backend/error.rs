//! Errors of reading spans.

use std::fmt;

/// The spans of a backend or file could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackendError {
    /// The text does not have the expected format.
    Malformed(String),
    /// The address is not an `http://` or `https://` URL, or contains user information.
    Address(String),
    /// A header has an invalid name or value. Contains the name.
    Header(String),
    /// A certificate is invalid, or no certificate authority is known.
    Certificate(String),
    /// The backend could not be reached, or did not respond in time.
    Unreachable(String),
    /// The backend responded with this status and text.
    Refused(u16, String),
    /// The backend has returned only a part of the trace, for this reason.
    Partial(String),
    /// The backend has no such trace (yet).
    NotFound,
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "cannot read the spans: {why}"),
            Self::Address(address) => {
                write!(f, "not an http:// or https:// address without user and password: {address}")
            }
            Self::Header(name) => write!(f, "invalid header `{name}`: write NAME: VALUE"),
            Self::Certificate(why) => write!(f, "cannot use the certificates: {why}"),
            Self::Unreachable(why) => write!(f, "cannot reach the backend: {why}"),
            Self::Refused(status @ (401 | 403), text) => {
                write!(f, "the backend responded with {status}: {text}; add a header with valid credentials")
            }
            Self::Refused(status, text) => write!(f, "the backend responded with {status}: {text}"),
            Self::Partial(why) => write!(f, "the backend returned only a part of the trace: {why}"),
            Self::NotFound => f.write_str("the backend has no such trace"),
        }
    }
}

impl std::error::Error for BackendError {}
