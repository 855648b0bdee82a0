//! Wire formats. A format parses and writes fields; it does not consult the policy.

mod b3;
mod baggage;
mod base64;
mod datadog;
mod fields;
mod google_cloud;
mod grpc_trace_bin;
mod jaeger;
mod list;
mod trace_context;
mod xray;

use std::fmt;

pub use b3::B3Format;
pub use baggage::BaggageFormat;
pub use datadog::DatadogFormat;
pub use google_cloud::GoogleCloudFormat;
pub use grpc_trace_bin::GrpcTraceBinFormat;
pub use jaeger::JaegerFormat;
pub use list::{Formats, FormatsError};
pub use trace_context::TraceContextFormat;
pub use xray::XRayFormat;

use crate::{Baggage, Extract, FieldNames, OutgoingFields, PropagationContext, RejectReason, Rejection, TraceContext};

/// A wire format.
pub trait Format: fmt::Debug + Send + Sync {
    /// Returns the name in `OTEL_PROPAGATORS`.
    fn name(&self) -> &'static str;

    /// Parses the format's fields on a carrier. Adds the context and the rejected fields to `into`. Never fails.
    fn extract(&self, from: &dyn Extract, into: &mut Extracted);

    /// Adds the fields that express a context.
    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields<'_>);

    /// Declares the names of the format's fields, including those that it only reads.
    fn fields(&self, names: &mut FieldNames);

    /// Returns a name that formats share which extract alike, and differ only in the fields that they write. A propagator extracts with the
    /// first of them.
    fn extracts_like(&self) -> Option<&'static str> {
        None
    }
}

/// The context that formats extracted from one carrier, before the policy is applied. The first valid trace wins; baggage is merged.
///
/// ```
/// use propagation_core::{Format, Peer, Policy, Transport, format::{Extracted, TraceContextFormat}};
///
/// let received = vec![("traceparent".to_owned(), b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_vec())];
/// let mut extracted = Extracted::new();
/// TraceContextFormat.extract(&received, &mut extracted);
/// let admission = Policy::default().admit(&Peer::caller(Transport::HTTP), extracted);
/// assert!(admission.context.trace.has_ids());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Extracted {
    pub(crate) context: PropagationContext,
    pub(crate) rejections: Vec<Rejection>,
}

impl Extracted {
    /// The maximum number of rejections of one message. Further ones are dropped.
    pub const MAX_REJECTIONS: usize = 32;

    /// Creates an empty context without rejections.
    #[must_use]
    pub const fn new() -> Self {
        Self { context: PropagationContext::EMPTY, rejections: Vec::new() }
    }

    /// Returns true if a format has found a trace-id and a parent-id. Later formats need not look for them.
    #[must_use]
    pub fn has_trace(&self) -> bool {
        self.context.trace.has_ids()
    }

    /// Offers a trace. The first with a parent-id wins; without one, the first with a trace-id; without either, the last sampling decision.
    pub fn offer_trace(&mut self, trace: TraceContext) {
        let found = &mut self.context.trace;
        let replaces = trace.has_ids() || (found.trace_id().is_none() && !trace.is_empty());
        if replaces && !found.has_ids() {
            *found = trace;
        }
    }

    /// Adds baggage. Keys that an earlier format has found keep their values.
    pub fn merge_baggage(&mut self, baggage: Baggage) {
        let found = &mut self.context.baggage;
        if found.is_empty() {
            *found = baggage;
        } else {
            found.merge(&baggage);
        }
    }

    /// Adds a rejection, up to [`MAX_REJECTIONS`](Self::MAX_REJECTIONS).
    pub fn reject(&mut self, rejection: Rejection) {
        if self.rejections.len() < Self::MAX_REJECTIONS {
            self.rejections.push(rejection);
        }
    }

    /// Adds the rejection of a whole field.
    pub fn reject_field(&mut self, field: &'static str, reason: RejectReason) {
        self.reject(Rejection::new(field, reason));
    }

    /// Returns the context.
    #[must_use]
    pub fn context(&self) -> &PropagationContext {
        &self.context
    }

    /// Returns the rejected fields and keys, with the reasons.
    #[must_use]
    pub fn rejections(&self) -> &[Rejection] {
        &self.rejections
    }

    /// Returns the context and the rejections.
    #[must_use]
    pub fn into_parts(self) -> (PropagationContext, Vec<Rejection>) {
        (self.context, self.rejections)
    }
}

impl From<PropagationContext> for Extracted {
    fn from(context: PropagationContext) -> Self {
        Self { context, rejections: Vec::new() }
    }
}
