//! How a context stands on a message, and how large a message may be.

/// Where on a message the context goes.
///
/// A message has ten attributes at most, the user's own among them. Whatever the mode, ids that find no room go into the
/// system attribute `AWSTraceHeader`, which takes neither a slot nor size, and receivers understand all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// An attribute for each field: `traceparent`, `tracestate`, `baggage`. What other libraries read.
    #[default]
    Separate,
    /// All fields in one attribute, [`PACKED`](crate::PACKED): for messages with eight or nine attributes of their own between
    /// services that all use this crate.
    Packed,
    /// The ids alone, in `AWSTraceHeader`: no attribute is used. Baggage does not travel.
    XRay,
    /// Separate attributes if there is room for all of them, else packed if more of them fit so, else `AWSTraceHeader`.
    Auto,
}

/// The most bytes of a message, and of all messages of a batch together: bodies, and names, types and values of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimit(usize);

impl SizeLimit {
    /// What SQS takes unless a queue's `MaximumMessageSize` says less: 1,048,576 bytes.
    pub const DEFAULT: Self = Self(1_048_576);

    /// What SQS took until August 2025, and what older endpoints and queues still have: 262,144 bytes.
    pub const OLDER: Self = Self(262_144);

    /// A limit in bytes: the queue's `MaximumMessageSize`.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self(bytes)
    }

    /// The limit in bytes.
    #[must_use]
    pub const fn to_bytes(self) -> usize {
        self.0
    }
}

impl Default for SizeLimit {
    fn default() -> Self {
        Self::DEFAULT
    }
}
