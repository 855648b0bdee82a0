use std::borrow::Cow;

use smallvec::SmallVec;

use crate::{FieldName, OutgoingFields, RejectReason, Rejection};

/// The result of an injection: the fields that were written, and those that were rejected.
///
/// ```
/// use propagation_core::{Peer, PropagationContext, Propagator, TraceContext};
///
/// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// let mut context = PropagationContext::new(TraceContext::new(parent));
/// context.baggage.set("tenant.id", "blue")?;
/// let mut message: Vec<(String, Vec<u8>)> = Vec::new();
/// // The default policy lets no baggage out.
/// let report = Propagator::default().inject(&Peer::http("api.example.com"), &context, &mut message);
/// assert!(report.written().eq(["traceparent"]));
/// assert_eq!(report.rejected()[0].to_string(), "baggage tenant.id: not_allowed (rule default)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InjectionReport {
    written: SmallVec<[Cow<'static, str>; 3]>,
    rejected: Vec<Rejection>,
}

impl InjectionReport {
    /// Creates an empty report: nothing was written or rejected.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a report of an injection that wrote all fields.
    #[must_use]
    pub fn all_written(fields: &OutgoingFields<'_>) -> Self {
        Self { written: fields.iter().map(|field| field.name().to_cow()).collect(), rejected: Vec::new() }
    }

    /// Creates a report of an injection that rejected all fields for the same reason.
    #[must_use]
    pub fn all_rejected(fields: &OutgoingFields<'_>, reason: RejectReason) -> Self {
        let mut report = Self::default();
        for field in fields.iter() {
            report.record_rejected(field.name(), reason);
        }
        report
    }

    /// Records a field as written.
    pub fn record_written(&mut self, name: &FieldName) {
        self.written.push(name.to_cow());
    }

    /// Records a header that the carrier derived from the trace context, under the transport's own spelling: `AWSTraceHeader`.
    pub fn record_derived(&mut self, name: &'static str) {
        self.written.push(Cow::Borrowed(name));
    }

    /// Records a field as rejected, or as truncated.
    pub fn record_rejected(&mut self, name: &FieldName, reason: RejectReason) {
        // Names that are made at run time contain baggage keys.
        self.rejected.push(Rejection::new(name.literal().unwrap_or("baggage"), reason));
    }

    pub(crate) fn append_rejected(&mut self, rejections: &mut Vec<Rejection>) {
        if !rejections.is_empty() {
            self.rejected.append(rejections);
        }
    }

    /// Returns the names of the written fields, in order.
    pub fn written(&self) -> impl ExactSizeIterator<Item = &str> {
        self.written.iter().map(|name| &**name)
    }

    /// Returns true if a field was written under this name.
    #[must_use]
    pub fn is_written(&self, name: &str) -> bool {
        self.written().any(|written| written == name)
    }

    /// Returns the fields and keys that were rejected or changed, by the policy, a format or the carrier, with the reasons.
    #[must_use]
    pub fn rejected(&self) -> &[Rejection] {
        &self.rejected
    }
}
