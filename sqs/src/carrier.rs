//! Messages as carriers: attributes, the packed attribute, the trace header.

mod incoming;
mod limits;
mod outgoing;
mod reading;

pub use incoming::MessageCarrier;
pub(crate) use limits::{attributes_size, kept_size};
pub use outgoing::{MessageCarrierMut, OutgoingMessage};

/// The attribute that holds all fields in [`AttributeMode::Packed`](crate::AttributeMode::Packed): the text of a
/// [`StoredContext`](propagation_core::StoredContext).
pub const PACKED_ATTRIBUTE: &str = "propagation-context";

/// The name under which formats know `AWSTraceHeader`.
pub(crate) const TRACE_HEADER: &str = "x-amzn-trace-id";
