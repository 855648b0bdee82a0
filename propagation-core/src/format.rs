//! Formats: what a context looks like on the wire. Mechanism only; a format never asks the policy.

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

use crate::{
    Admission, Baggage, Extract, OutgoingFields, PropagationContext, RejectReason, Rejection, TraceContext, Transport,
};

/// One wire format.
pub trait Format: fmt::Debug + Send + Sync {
    /// The name in `OTEL_PROPAGATORS`.
    fn name(&self) -> &'static str;

    /// Reads what the carrier has of this format into `into`. What is refused is noted there; nothing fails.
    fn extract(&self, from: &dyn Extract, into: &mut Extracted);

    /// Writes what the format can say of a context.
    fn write(&self, context: &PropagationContext, fields: &mut OutgoingFields);

    /// Declares the names that the format owns on a carrier, whether it writes them or not.
    fn fields(&self, fields: &mut OutgoingFields);
}

/// What formats have read so far from one carrier: the first valid trace wins, baggage merges.
#[derive(Clone, Debug, Default)]
pub struct Extracted {
    /// What the policy has yet to judge. It is large, and so it is judged where it was read.
    admission: Admission,
    duplicate_parent: DuplicateParent,
}

/// What several `traceparent` values on one carrier mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DuplicateParent {
    /// None of them counts: HTTP and gRPC, where somebody on the way must be wrong.
    #[default]
    Reject,
    /// The last counts, and the repetition is noted: Kafka, where other libraries append on every retry.
    UseLast,
}

impl Extracted {
    /// Nothing read yet.
    #[must_use]
    pub fn new(duplicate_parent: DuplicateParent) -> Self {
        Self { admission: Admission::default(), duplicate_parent }
    }

    /// Nothing read yet from a carrier of a transport.
    pub(crate) fn over(transport: Transport) -> Self {
        Self::new(if transport == Transport::KAFKA { DuplicateParent::UseLast } else { DuplicateParent::Reject })
    }

    /// What several `traceparent` values mean here.
    #[must_use]
    pub fn duplicate_parent(&self) -> DuplicateParent {
        self.duplicate_parent
    }

    /// Returns true if a previous format has found a trace-id and a parent-id: the next ones need not look.
    #[must_use]
    pub fn has_trace(&self) -> bool {
        self.admission.context.trace.has_ids()
    }

    /// Offers a trace. The first with a parent-id wins, then the first with a trace-id alone, then the last sampling decision.
    pub fn offer_trace(&mut self, trace: TraceContext) {
        let found = &mut self.admission.context.trace;
        let replaces = trace.has_ids() || (found.trace_id().is_none() && !trace.is_empty());
        if replaces && !found.has_ids() {
            *found = trace;
        }
    }

    /// Adds baggage; keys that a format before has read stay as they are.
    pub fn merge_baggage(&mut self, baggage: Baggage) {
        let read = &mut self.admission.context.baggage;
        if read.is_empty() {
            *read = baggage;
        } else {
            read.merge(&baggage);
        }
    }

    /// Notes what was refused.
    pub fn reject(&mut self, rejection: Rejection) {
        // One message can't make the list long: what counts is that it was bad, and how.
        if self.admission.rejections.len() < Self::MAX_REJECTIONS {
            self.admission.rejections.push(rejection);
        }
    }

    /// The same, for a whole field.
    pub fn reject_field(&mut self, field: &'static str, reason: RejectReason) {
        self.reject(Rejection::new(field, reason));
    }

    /// The most rejections that one message can leave; the rest are dropped.
    pub const MAX_REJECTIONS: usize = 32;

    /// What was read.
    #[must_use]
    pub fn context(&self) -> &PropagationContext {
        &self.admission.context
    }

    /// The same, to be judged.
    pub(crate) fn admission_mut(&mut self) -> &mut Admission {
        &mut self.admission
    }

    pub(crate) fn into_admission(self) -> Admission {
        self.admission
    }

    /// The context and what was refused.
    #[must_use]
    pub fn into_parts(self) -> (PropagationContext, Vec<Rejection>) {
        (self.admission.context, self.admission.rejections)
    }
}
