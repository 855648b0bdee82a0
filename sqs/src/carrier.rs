//! Carriers of messages: attributes, the packed attribute, the trace header.

mod fields;
mod incoming;
mod limits;
mod outgoing;

pub use incoming::MessageCarrier;
pub(crate) use limits::{attributes_size, kept_size};
pub use outgoing::{MessageCarrierMut, OutgoingMessage};

/// The name of the attribute that holds all fields in [`AttributeMode::Packed`](crate::AttributeMode::Packed): the text of a
/// [`StoredContext`](propagation_core::StoredContext).
pub const PACKED_ATTRIBUTE: &str = "propagation-context";

/// The field name that formats use for `AWSTraceHeader`.
pub(crate) const TRACE_HEADER: &str = "x-amzn-trace-id";
