//! How a context stands on a message, and how large a message may be.

/// Where on a message the context goes.
///
/// A message has ten attributes at most, the user's own among them. Whatever the mode, ids that find no room go into the
/// system attribute `AWSTraceHeader`, which takes neither a slot nor size, and receivers understand all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttributeMode {
    /// An attribute for each field: `traceparent`, `tracestate`, `baggage`. What other libraries read.
    #[default]
    Separate,
    /// All fields in one attribute, [`PACKED_ATTRIBUTE`](crate::PACKED_ATTRIBUTE): for messages with eight or nine attributes of their own between
    /// services that all use this crate.
    Packed,
    /// The ids alone, in `AWSTraceHeader`: no attribute is used. Baggage does not travel.
    XRay,
    /// Separate attributes if there is room for all of them, else packed if more of them fit so, else `AWSTraceHeader`.
    Auto,
}

/// The most bytes of a message, and of all messages of a batch together: bodies, and names, types and values of attributes.
///
/// The [default](Self::DEFAULT) never makes a send fail that would not fail without this crate. Queues that were made before
/// August 2025 still refuse more than 262,144 bytes, and nothing in a send tells which queue it goes to. So a message whose own size is at
/// most that is kept within it, with the context; a larger one can only go to a queue of the newer limit, and is kept within that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimit(Option<usize>);

impl SizeLimit {
    /// 262,144 bytes for messages whose own size is at most that, else 1,048,576 bytes.
    pub const DEFAULT: Self = Self(None);

    /// The limit of SQS until August 2025, which older queues still have: 262,144 bytes.
    pub const KIB_256: Self = Self(Some(262_144));

    /// The limit of SQS since August 2025, unless a queue's `MaximumMessageSize` is less: 1,048,576 bytes.
    pub const MIB_1: Self = Self(Some(1_048_576));

    /// A limit in bytes: the queue's `MaximumMessageSize`.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self(Some(bytes))
    }

    /// Returns the limit in bytes for a message, or a batch, that takes so many bytes without the context.
    #[must_use]
    pub const fn for_own_size(self, own: usize) -> usize {
        match self.0 {
            Some(bytes) => bytes,
            None if own <= 262_144 => 262_144,
            None => 1_048_576,
        }
    }
}

impl Default for SizeLimit {
    fn default() -> Self {
        Self::DEFAULT
    }
}
