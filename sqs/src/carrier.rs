//! Carriers of messages: attributes, the packed attribute, the trace header.

#[cfg(feature = "eventbridge")]
pub(crate) mod event;
mod fields;
mod incoming;
mod limits;
mod outgoing;
#[cfg(feature = "sns")]
mod topic;

#[cfg(feature = "eventbridge")]
pub use event::EventCarrierMut;
pub use incoming::MessageCarrier;
#[cfg(feature = "sns")]
pub(crate) use limits::is_ours;
pub(crate) use limits::{attributes_size, kept_size};
pub use outgoing::{MessageCarrierMut, OutgoingMessage};
#[cfg(feature = "sns")]
pub use topic::NotificationCarrierMut;

/// The name of the attribute that holds all fields in [`AttributeMode::Packed`](crate::AttributeMode::Packed): the text of a
/// [`StoredContext`](propagation_core::StoredContext).
pub const PACKED_ATTRIBUTE: &str = "propagation-context";

/// The field name that formats use for `AWSTraceHeader`.
pub(crate) const TRACE_HEADER: &str = "x-amzn-trace-id";
