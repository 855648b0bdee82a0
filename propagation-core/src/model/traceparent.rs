//! The `traceparent` field.

use std::{fmt, str::FromStr};

use crate::{RejectReason, SpanId, TraceFlags, TraceId, hex};

/// The trace-id, parent-id and flags of a `traceparent`. `Copy`; formatted into 55 bytes on the stack.
///
/// ```
/// use propagation_core::TraceParent;
///
/// let parent: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// assert!(parent.flags.is_sampled());
/// assert_eq!(&parent.to_bytes(), b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
/// # Ok::<(), propagation_core::model::TraceParentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The id of the trace.
    pub trace_id: TraceId,
    /// The parent-id: the id of the calling span.
    pub span_id: SpanId,
    /// The flags `sampled` and `random`.
    pub flags: TraceFlags,
}

impl TraceParent {
    /// The length of version 00, in bytes. Later versions start with the same fields.
    pub const LEN: usize = 55;

    /// Parses a field value (Trace Context Level 2, 3.2.2; for later versions, 4.3). Drops unknown flags.
    ///
    /// # Errors
    ///
    /// Returns an error for version `ff`, a version 00 that is not exactly 55 bytes long, a later version that continues with another byte
    /// than `-`, a digit that is not lower-case hex, and an id of zeros.
    pub fn from_bytes(text: &[u8]) -> Result<Self, TraceParentError> {
        let (fixed, rest) = text.split_first_chunk::<{ Self::LEN }>().ok_or(TraceParentError::Malformed)?;
        let parent = Self::from_fixed(fixed)?;
        let version_0 = fixed.starts_with(b"00");
        let ends = rest.is_empty() || (!version_0 && rest.first() == Some(&b'-'));
        if ends { Ok(parent) } else { Err(TraceParentError::Malformed) }
    }

    fn from_fixed(text: &[u8; Self::LEN]) -> Result<Self, TraceParentError> {
        const MALFORMED: TraceParentError = TraceParentError::Malformed;
        const ZERO: TraceParentError = TraceParentError::ZeroId;
        let &[v1, v2, b'-', ref rest @ ..] = text else { return Err(MALFORMED) };
        let (trace_id, rest) = rest.split_first_chunk::<32>().ok_or(MALFORMED)?;
        let [b'-', rest @ ..] = rest else { return Err(MALFORMED) };
        let (span_id, rest) = rest.split_first_chunk::<16>().ok_or(MALFORMED)?;
        let &[b'-', f1, f2] = rest else { return Err(MALFORMED) };

        let version = hex::decode_byte([v1, v2]).ok_or(MALFORMED)?;
        let flags = hex::decode_byte([f1, f2]).ok_or(MALFORMED)?;
        let (mut trace, mut span) = ([0; TraceId::LEN], [0; SpanId::LEN]);
        if !hex::decode(trace_id, &mut trace) || !hex::decode(span_id, &mut span) {
            return Err(MALFORMED);
        }
        if version == 0xff {
            return Err(TraceParentError::UnsupportedVersion);
        }
        Ok(Self {
            trace_id: TraceId::from_bytes(trace).ok_or(ZERO)?,
            span_id: SpanId::from_bytes(span).ok_or(ZERO)?,
            flags: TraceFlags::from_byte(flags),
        })
    }

    /// Returns the field value in version 00.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        if let [_, _, _, rest @ ..] = &mut out
            && let Some((trace_id, [_, rest @ ..])) = rest.split_first_chunk_mut::<32>()
            && let Some((span_id, [_, rest @ ..])) = rest.split_first_chunk_mut::<16>()
            && let Some(flags) = rest.first_chunk_mut::<2>()
        {
            hex::encode(&self.trace_id.to_bytes(), trace_id);
            hex::encode(&self.span_id.to_bytes(), span_id);
            hex::encode(&[self.flags.to_byte()], flags);
        }
        out
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.to_bytes()).unwrap_or_default())
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes())
    }
}

/// The error of a text that is not a valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceParentError {
    /// The text does not match the grammar.
    Malformed,
    /// The version is `ff`.
    UnsupportedVersion,
    /// The trace-id or the parent-id consists of zeros.
    ZeroId,
}

impl TraceParentError {
    /// Returns the reason in counters and reports.
    #[must_use]
    pub fn reason(&self) -> RejectReason {
        match self {
            Self::Malformed => RejectReason::Malformed,
            Self::UnsupportedVersion => RejectReason::UnsupportedVersion,
            Self::ZeroId => RejectReason::ZeroId,
        }
    }
}

impl fmt::Display for TraceParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "invalid traceparent: not of the form VERSION-TRACE_ID-PARENT_ID-FLAGS in lower-case hex digits"
            }
            Self::UnsupportedVersion => "invalid traceparent: version ff is not allowed",
            Self::ZeroId => "invalid traceparent: an id consists of zeros",
        })
    }
}

impl std::error::Error for TraceParentError {}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn versions_are_read_as_level_2_says() {
        for (text, reads) in [
            (GOOD.to_owned(), true),
            (format!("{GOOD}-"), false),
            (format!("{GOOD}0"), false),
            (GOOD.replacen("00", "01", 1), true),
            (GOOD.replacen("00", "fe", 1) + "-what-the-future-holds", true),
            (GOOD.replacen("00", "fe", 1) + ".", false),
            (GOOD.replacen("00", "ff", 1), false),
            (GOOD.replacen("00", "0x", 1), false),
            (GOOD.replace("-01", "-0"), false),
            (GOOD.to_uppercase(), false),
            (GOOD.replace("4bf92f35", "+bf92f35"), false),
            (GOOD.replace("00f067aa0ba902b7", "0000000000000000"), false),
            (GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)), false),
            (format!("{GOOD},{GOOD}"), false),
            (String::new(), false),
        ] {
            assert_eq!(text.parse::<TraceParent>().is_ok(), reads, "{text}");
        }
    }

    #[test]
    fn unknown_flags_never_refuse_and_are_written_as_zero() {
        let parent: TraceParent = GOOD.replace("-01", "-fd").parse().unwrap();
        assert_eq!(parent.to_string(), GOOD);
    }
}
