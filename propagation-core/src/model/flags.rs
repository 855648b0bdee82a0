//! Trace flags.

use std::fmt;

/// The flags of a `traceparent` that Trace Context Level 2 defines: sampled and random.
///
/// Bits that the specification does not define are never kept (4.1: they are written as zero).
///
/// ```
/// use propagation_core::TraceFlags;
///
/// let flags = TraceFlags::from_byte(0xff);
/// assert!(flags.is_sampled() && flags.is_random());
/// assert_eq!(flags.to_byte(), 0x03);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// No flag set.
    pub const NONE: Self = Self(0);
    /// The caller may have recorded trace data.
    pub const SAMPLED: Self = Self(0x01);
    /// At least the right-most seven bytes of the trace id are random.
    pub const RANDOM: Self = Self(0x02);

    /// Creates the defined flags of `byte`; others are dropped.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte & 0x03)
    }

    /// Returns the byte on the wire, before hex.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.0
    }

    /// Returns whether the caller may have recorded trace data.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// Returns whether the trace-id's right-most seven bytes are random.
    #[must_use]
    pub const fn is_random(self) -> bool {
        self.0 & Self::RANDOM.0 != 0
    }

    /// Sets the sampled flag.
    #[must_use]
    pub const fn with_sampled(self, sampled: bool) -> Self {
        self.with(Self::SAMPLED, sampled)
    }

    /// Sets the random flag.
    #[must_use]
    pub const fn with_random(self, random: bool) -> Self {
        self.with(Self::RANDOM, random)
    }

    const fn with(self, flag: Self, on: bool) -> Self {
        Self(if on { self.0 | flag.0 } else { self.0 & !flag.0 })
    }
}

impl fmt::Debug for TraceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceFlags({:02x})", self.0)
    }
}
