//! Trace and span identifiers.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    str::FromStr,
};

use crate::hex;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $error:ident, $bytes:literal, $int:ty, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $bytes]);

        impl $name {
            #[doc = concat!("Length of a ", $what, " id in bytes.")]
            pub const LEN: usize = $bytes;

            #[doc = concat!("A ", $what, " id of these bytes, or `None` if all are zero (Trace Context, 3.2.2).")]
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Option<Self> {
                if <$int>::from_be_bytes(bytes) == 0 { None } else { Some(Self(bytes)) }
            }

            #[doc = concat!("Reads exactly ", stringify!($bytes), " bytes as lower-case hex.")]
            ///
            /// # Errors
            ///
            /// Refuses any other length, any byte that is not a lower-case hex digit, and an id of zeros.
            pub fn from_hex(text: &[u8]) -> Result<Self, $error> {
                let text: &[u8; $bytes * 2] = text.try_into().map_err(|_| $error(()))?;
                let mut id = [0; $bytes];
                let legal = hex::decode(text, &mut id);
                Self::from_bytes(id).filter(|_| legal).ok_or($error(()))
            }

            /// The bytes, in network order.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; $bytes] {
                self.0
            }

            #[doc = concat!("Lower-case hex, ", stringify!($bytes), " bytes as twice as many digits, on the stack.")]
            #[must_use]
            pub fn to_hex(self) -> [u8; $bytes * 2] {
                let mut out = [0; $bytes * 2];
                hex::encode(&self.0, &mut out);
                out
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(std::str::from_utf8(&self.to_hex()).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::from_hex(text.as_bytes())
            }
        }

        #[doc = concat!("The text is not a ", $what, " id: lower-case hex of the right length, not all zeros.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $error(());

        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "not {} lower-case hex digits other than all zeros", $bytes * 2)
            }
        }

        impl std::error::Error for $error {}
    };
}

id!(
    /// Identifies a trace: 16 bytes, never all zeros.
    ///
    /// ```
    /// use propagation_core::TraceId;
    ///
    /// let id: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
    /// assert_eq!(id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    /// assert!("4BF92F3577B34DA6A3CE929D0E0E4736".parse::<TraceId>().is_err());
    /// # Ok::<(), propagation_core::model::TraceIdError>(())
    /// ```
    TraceId, TraceIdError, 16, u128, "trace"
);

id!(
    /// Identifies one span in a trace (`parent-id` on the wire): 8 bytes, never all zeros.
    ///
    /// ```
    /// use propagation_core::SpanId;
    ///
    /// assert_eq!(SpanId::from_hex(b"00f067aa0ba902b7")?.to_string(), "00f067aa0ba902b7");
    /// assert!(SpanId::from_hex(b"0000000000000000").is_err());
    /// # Ok::<(), propagation_core::model::SpanIdError>(())
    /// ```
    SpanId, SpanIdError, 8, u64, "span"
);

impl SpanId {
    /// A random id. Never zero: one time in 2⁶⁴ an id is a little less random.
    pub(crate) fn random() -> Self {
        Self(RandomState::new().build_hasher().finish().max(1).to_be_bytes())
    }
}
