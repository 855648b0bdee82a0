//! Carriers: the headers, metadata or attributes that hold context fields on a message.

mod collections;
mod environment;
mod field;
mod field_name;
mod filtered;
mod joined;
#[cfg(feature = "json")]
mod json;
pub mod laws;
mod outgoing;
mod report;
#[cfg(feature = "serde")]
mod serialize;
mod stored;

use crate::TraceContext;

pub(crate) use filtered::FilteredCarrier;
pub(crate) use joined::Joined;
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub use json::{JsonCarrier, JsonCarrierMut};
pub use {
    environment::EnvironmentCarrier,
    field::{Field, FieldPriority},
    field_name::{FieldName, FieldNames, NameFilter},
    outgoing::OutgoingFields,
    report::InjectionReport,
    stored::{StoredContext, StoredContextError},
};

pub use crate::model::{FieldValue, Value};

/// Reads the fields of a message.
///
/// Implementations neither parse nor fail. A value that is not text is passed on as its bytes. A value that has no bytes, such as a
/// null or a number, is passed on as an empty one: a broken `traceparent` differs from an absent one.
pub trait Extract {
    /// Calls `each` with every value of a name, in wire order.
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>));

    /// Calls `each` with every name and value, in wire order, for formats that do not know all of their names (`uberctx-…`).
    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>));

    /// Returns the names of the message, as a filter. Override it if one pass over the names is cheaper than several look-ups: a propagator of
    /// many formats then looks up only the names that may be present.
    fn name_filter(&self) -> NameFilter {
        NameFilter::ALL
    }

    /// Returns the meaning of several values under a name that may occur once. By default, they are rejected.
    fn duplicate_parent(&self) -> DuplicateParent {
        DuplicateParent::Reject
    }

    /// Returns a trace-id without a parent-id that the transport itself carries: SQS's `AWSTraceHeader` with a `Root` alone.
    ///
    /// A `traceparent` cannot express it, so the W3C format calls this where `traceparent` is absent.
    fn root_trace(&self) -> Option<TraceContext> {
        None
    }
}

/// The meaning of several differing values of `traceparent`, or of another field that may occur once, on one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DuplicateParent {
    /// All are rejected: one of them is wrong, and it is unknown which. HTTP and gRPC.
    #[default]
    Reject,
    /// The last is used, and the repetition is recorded: Kafka, where some producers append a header on every retry.
    UseLast,
}

/// Writes the fields of a message, all at once.
///
/// A carrier that sees all fields before it writes any can plan: SQS has ten slots, an AMQP header table must fit into one frame. And it
/// can restore the message if the injection fails.
pub trait Inject {
    /// Writes every field exactly once, in place of any values under its name, and removes the other
    /// [declared names](OutgoingFields::names). All other headers stay, in order.
    ///
    /// Fields that do not fit are rejected, the [least important](FieldPriority) first. An injection that fails leaves the message as it
    /// was. It never makes the send fail.
    ///
    /// `trace` is the trace context that the fields were written from, after the policy was applied. Carriers use it for headers that
    /// they derive from it (SQS's `AWSTraceHeader`); most ignore it.
    fn commit(&mut self, fields: &OutgoingFields<'_>, trace: &TraceContext) -> InjectionReport;
}
