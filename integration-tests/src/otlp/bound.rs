//! How much memory an export takes once it is decoded, before it is.
//!
//! Two bytes of protobuf become a span of some hundred bytes, and eight kilobytes of gzip four million of them: a limit on the bytes of a
//! request is none on memory.

use std::fmt;
use std::mem::size_of;

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

/// A request may take this many bytes once it is decoded.
pub(super) const LARGEST_DECODED: usize = 128 * 1024 * 1024;

/// Messages nest no deeper: prost's own limit.
const DEEPEST: usize = 100;

/// A request that is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It would take more than [`LARGEST_DECODED`].
    TooLarge,
    /// It is not protobuf.
    Malformed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(
                f,
                "export too large: it takes more than {} MiB once decoded; export smaller batches",
                LARGEST_DECODED >> 20
            ),
            Self::Malformed => f.write_str("not an export request: the protobuf message is malformed"),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Request,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    KeyValue,
    AnyValue,
    Array,
    KeyValues,
}

impl Kind {
    /// The message in a field, if the field holds one whose parts matter.
    fn child(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Request, 1) => Self::ResourceSpans,
            (Self::ResourceSpans, 1) => Self::Resource,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ScopeSpans, 1) => Self::Scope,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Span, 11) => Self::Event,
            (Self::Span, 13) => Self::Link,
            (Self::Resource | Self::KeyValues, 1)
            | (Self::Scope | Self::Event, 3)
            | (Self::Span, 9)
            | (Self::Link, 4) => Self::KeyValue,
            (Self::KeyValue, 2) | (Self::Array, 1) => Self::AnyValue,
            (Self::AnyValue, 5) => Self::Array,
            (Self::AnyValue, 6) => Self::KeyValues,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::Request => 0,
            Self::ResourceSpans => size_of::<ResourceSpans>(),
            Self::Resource => size_of::<Resource>(),
            Self::ScopeSpans => size_of::<ScopeSpans>(),
            Self::Scope => size_of::<InstrumentationScope>(),
            // The converted spans that the receiver keeps, too.
            Self::Span => size_of::<Span>() + size_of::<crate::trace::Span>(),
            Self::Event => size_of::<Event>(),
            Self::Link => size_of::<Link>(),
            Self::KeyValue => size_of::<KeyValue>(),
            Self::AnyValue | Self::Array | Self::KeyValues => size_of::<AnyValue>(),
        }
    }
}

/// Estimates the memory of a decoded protobuf export request.
pub(super) fn protobuf(request: &[u8]) -> Result<(), Refused> {
    let mut left = LARGEST_DECODED;
    message(Kind::Request, request, DEEPEST, &mut left)
}

fn message(kind: Kind, mut bytes: &[u8], depth: usize, left: &mut usize) -> Result<(), Refused> {
    /// A text or a list that is not a message of its own.
    const TEXT: usize = 32;
    let depth = depth.checked_sub(1).ok_or(Refused::Malformed)?;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let skipped = match key & 7 {
            0 => varint(&mut bytes).map(|_| 0)?,
            1 => 8,
            5 => 4,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|_| Refused::Malformed)?;
                let (value, rest) = bytes.split_at_checked(length).ok_or(Refused::Malformed)?;
                let child = kind.child(key >> 3);
                let size = child.map_or(TEXT + length, Kind::size);
                *left = left.checked_sub(size).ok_or(Refused::TooLarge)?;
                if let Some(child) = child {
                    message(child, value, depth, left)?;
                }
                bytes = rest;
                0
            }
            // Groups are in no message of OTLP.
            _ => return Err(Refused::Malformed),
        };
        bytes = bytes.get(skipped..).ok_or(Refused::Malformed)?;
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Refused> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Refused::Malformed)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Refused::Malformed)
}

/// Estimates the memory of a parsed JSON document: a map has a node, other values are small.
pub(super) fn json(document: &[u8]) -> Result<(), Refused> {
    let size = |byte: &u8| match byte {
        b'{' => 700,
        b'[' | b',' | b':' => 40,
        _ => 1,
    };
    let size: usize = document.iter().map(size).sum();
    if size > LARGEST_DECODED { Err(Refused::TooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn small_and_nested_requests_pass() {
        let value = |value| AnyValue { value: Some(value) };
        let attribute = KeyValue {
            key: "k".into(),
            value: Some(value(opentelemetry_proto::tonic::common::v1::any_value::Value::IntValue(-1))),
            ..KeyValue::default()
        };
        let span = Span { name: "a".into(), start_time_unix_nano: 5, attributes: vec![attribute], ..Span::default() };
        let spans = ScopeSpans { spans: vec![span; 1000], ..ScopeSpans::default() };
        let request = ResourceSpans { scope_spans: vec![spans], ..ResourceSpans::default() };
        let mut bytes = vec![0x0a];
        prost::encoding::encode_varint(request.encoded_len() as u64, &mut bytes);
        request.encode(&mut bytes).unwrap();
        assert_eq!(protobuf(&bytes), Ok(()));
        assert_eq!(protobuf(&bytes[..bytes.len() - 1]), Err(Refused::Malformed));
    }

    #[test]
    fn few_bytes_that_decode_to_many_are_refused() {
        /// A message field around these bytes.
        fn field(number: u8, inner: &[u8]) -> Vec<u8> {
            let mut out = vec![number << 3 | 2];
            prost::encoding::encode_varint(inner.len() as u64, &mut out);
            out.extend_from_slice(inner);
            out
        }
        let many = |number: u8| [number << 3 | 2, 0].repeat(4_000_000);
        for (what, request) in [
            ("resources", many(1)),
            ("scopes", field(1, &many(2))),
            ("spans", field(1, &field(2, &many(2)))),
            ("attributes", field(1, &field(2, &field(2, &many(9))))),
            ("events", field(1, &field(2, &field(2, &many(11))))),
            ("links", field(1, &field(2, &field(2, &many(13))))),
            ("resource attributes", field(1, &field(1, &many(1)))),
        ] {
            assert_eq!(protobuf(&request), Err(Refused::TooLarge), "{what}");
        }
        assert_eq!(protobuf(&[0x0b, 0x0c]), Err(Refused::Malformed), "a group");
        assert_eq!(json(&b"[{\"\":0},".repeat(1_000_000)), Err(Refused::TooLarge));
    }
}
