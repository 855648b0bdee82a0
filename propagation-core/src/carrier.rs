//! The two sides of a carrier: headers, metadata, attributes, whatever takes names and values.

mod collections;
mod environment;
mod field;
mod joined;
#[cfg(feature = "json")]
mod json;
pub mod laws;
#[cfg(feature = "serde")]
mod serialize;
mod stored;

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::{RejectReason, Rejection, TraceContext, Value};

pub use environment::EnvironmentCarrier;
pub use field::{Field, FieldName, FieldPriority, OutgoingFields};
pub(crate) use joined::Joined;
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub use json::{JsonCarrier, JsonCarrierMut};
pub use stored::{StoredContext, StoredContextError};

/// Shows what a message carries.
///
/// Implementations never parse and never fail: what isn't text is shown as the bytes it has, what has no bytes at all is
/// shown as an empty value, because a broken `traceparent` is not the same as none.
pub trait Extract {
    /// Shows every value of a name, in wire order.
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>));

    /// Shows every name and value in one pass, for formats whose names are only known on arrival (`uberctx-…`).
    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>));

    /// Returns a trace-id without a parent-id that the transport itself carries, where `traceparent` is absent: SQS's `AWSTraceHeader` with
    /// nothing but a `Root`. A `traceparent` cannot hold it, so the format of `traceparent` asks here.
    fn root_trace(&self) -> Option<TraceContext> {
        None
    }
}

/// Takes what is to be written, all at once.
pub trait Inject {
    /// Writes every field exactly once, in place of whatever stood under its name, and removes the names that
    /// [`OutgoingFields`] owns and does not write. Everything else stays, in order.
    ///
    /// Plans slots and bytes first: what has no room is left out, the least important first. An injection that fails leaves the
    /// message as it was. It never makes the send fail.
    fn commit(&mut self, fields: &OutgoingFields) -> InjectionReport;
}

/// What an injection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InjectionReport {
    /// The names that were written.
    pub written: SmallVec<[Cow<'static, str>; 3]>,
    /// What was left out, and why.
    pub left_out: Vec<Rejection>,
}

impl InjectionReport {
    /// Nothing was written.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything was written.
    #[must_use]
    pub fn all(fields: &OutgoingFields) -> Self {
        let mut injection = Self::default();
        for field in fields.iter() {
            injection.wrote(field.name());
        }
        injection
    }

    /// Nothing could be written, for one reason.
    #[must_use]
    pub fn failed(fields: &OutgoingFields, reason: RejectReason) -> Self {
        let mut injection = Self::default();
        for field in fields.iter() {
            injection.left_out(field.name(), reason);
        }
        injection
    }

    /// Notes a field as written.
    pub fn wrote(&mut self, name: &FieldName) {
        self.written.push(name.to_cow());
    }

    /// Notes a field as left out.
    pub fn left_out(&mut self, name: &FieldName, reason: RejectReason) {
        let field = match name.to_cow() {
            Cow::Borrowed(name) => name,
            Cow::Owned(_) => "baggage",
        };
        self.left_out.push(Rejection::new(field, reason));
    }

    /// Whether a name was written.
    #[must_use]
    pub fn wrote_name(&self, name: &str) -> bool {
        self.written.iter().any(|written| written == name)
    }
}
