//! The two ids, as they were received.

use std::fmt;
use std::str::FromStr;

/// An invalid id: wrong length, or not hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id: want 32 hexadecimal digits for a trace, 16 for a span")
    }
}

impl std::error::Error for InvalidId {}

/// The id of a trace: 16 bytes, shown as 32 lower-case hexadecimal digits.
///
/// Holds any bytes that arrived. A zero id is not valid on the wire, but a broken exporter can send one:
/// see [`TraceId::is_zero`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TraceId([u8; 16]);

/// The id of a span: 8 bytes, shown as 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpanId([u8; 8]);

macro_rules! id {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// Takes the bytes as they are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// Reads bytes of any origin; `None` unless there are exactly as many as the id has.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes, most significant first.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; $bytes] {
                self.0
            }

            /// Whether every byte is zero, which no valid id is.
            #[must_use]
            pub fn is_zero(self) -> bool {
                self.0.iter().all(|byte| *byte == 0)
            }
        }

        impl From<[u8; $bytes]> for $name {
            fn from(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Reads hexadecimal digits of either case.
            ///
            /// # Errors
            /// Any other length or digit.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let text = text.as_bytes();
                if text.len() != $bytes * 2 {
                    return Err(InvalidId);
                }
                let mut bytes = [0; $bytes];
                for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
                    *byte = match pair {
                        [high, low] => (digit(*high)? << 4) | digit(*low)?,
                        _ => return Err(InvalidId),
                    };
                }
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(TraceId, 16);
id!(SpanId, 8);

fn digit(byte: u8) -> Result<u8, InvalidId> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(InvalidId),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_round_trips_through_text() {
        let id: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse().expect("valid");
        assert_eq!(id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!("00F067AA0BA902B7".parse::<SpanId>().expect("valid").to_string(), "00f067aa0ba902b7");
    }

    #[test]
    fn nothing_but_the_right_number_of_hex_digits_is_an_id() {
        for text in ["", "4bf9", "+0f067aa0ba902b7", "00f067aa0ba902bg", "00f067aa0ba902b7 ", "é0f067aa0ba902b"] {
            assert_eq!(text.parse::<SpanId>(), Err(InvalidId), "{text:?}");
        }
        assert!(SpanId::default().is_zero());
        assert_eq!(TraceId::from_slice(&[1; 15]), None);
    }
}
