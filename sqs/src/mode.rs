//! The place of a context on a message, and the size limits of messages.

/// The place of the context on a message.
///
/// A message has at most ten attributes, including the user's own. In every mode, ids without room go into the system attribute
/// `AWSTraceHeader`, which takes neither slot nor size. Receivers read all modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttributeMode {
    /// An attribute for each field: `traceparent`, `tracestate`, `baggage`. Other libraries read these.
    #[default]
    Separate,
    /// All fields in the attribute [`PACKED_ATTRIBUTE`](crate::PACKED_ATTRIBUTE). For messages with eight or nine attributes of
    /// their own, between services that all use this crate.
    Packed,
    /// Only the ids, in `AWSTraceHeader`, without attributes. Baggage is not sent.
    XRay,
    /// Separate attributes if there is room for all fields, otherwise packed if more fields fit, otherwise `AWSTraceHeader`.
    Auto,
}

/// The most bytes of a message, and of all messages of a batch together: bodies, and names, types and values of attributes.
///
/// With the [default](Self::DEFAULT), a send fails only if it would fail without this crate. Queues that were created before
/// August 2025 reject more than 262,144 bytes, and a request does not contain its queue's limit. So a message whose own size is at
/// most that stays within it, including the context. A larger one can only go to a queue of the newer limit, and stays within that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimit(Option<usize>);

impl SizeLimit {
    /// 262,144 bytes for messages whose own size is at most that, otherwise 1,048,576 bytes.
    pub const DEFAULT: Self = Self(None);

    /// The limit of queues that were created before August 2025: 262,144 bytes.
    pub const KIB_256: Self = Self(Some(262_144));

    /// The limit of SQS since August 2025, unless a queue's `MaximumMessageSize` is less: 1,048,576 bytes.
    pub const MIB_1: Self = Self(Some(1_048_576));

    /// Creates a limit in bytes, such as the queue's `MaximumMessageSize`.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self(Some(bytes))
    }

    /// Returns the limit in bytes for a message, or a batch, of the given size without the context.
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
