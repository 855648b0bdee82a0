use std::{fmt, sync::Arc};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{Link, SpanContext, SpanKind, TraceId},
};

use super::{limited::Bucket, member};
use propagation_core::SamplingDecision;

use crate::{
    bridge::Caller,
    sampling::{Randomness, Threshold},
};

/// Says how likely a span is to be kept, without deciding it: the part that a [`CompositeSampler`](super::CompositeSampler) is
/// made of.
///
/// ```
/// use propagation_opentelemetry::sampling::{ComposableSampler, CompositeSampler, NewSpan, Probability, SamplingIntent};
///
/// /// More of the large batches.
/// #[derive(Debug)]
/// struct ByLinks(Probability, Probability);
///
/// impl ComposableSampler for ByLinks {
///     fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
///         if span.links().len() > 10 { self.0.intent(span) } else { self.1.intent(span) }
///     }
/// }
///
/// let sampler = CompositeSampler::parent_based(ByLinks(Probability::new(0.5)?, Probability::new(0.1)?));
/// # let _ = sampler;
/// # Ok::<(), propagation_opentelemetry::sampling::SamplerError>(())
/// ```
pub trait ComposableSampler: fmt::Debug + Send + Sync {
    /// What this sampler wants for a new span.
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent;
}

impl<S: ComposableSampler + ?Sized> ComposableSampler for Arc<S> {
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
        (**self).intent(span)
    }
}

impl<S: ComposableSampler + ?Sized> ComposableSampler for Box<S> {
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
        (**self).intent(span)
    }
}

/// What a sampler wants for a span.
#[derive(Clone, Debug)]
pub struct SamplingIntent {
    pub(super) threshold: Option<Threshold>,
    pub(super) reliable: bool,
    pub(super) attributes: Vec<KeyValue>,
    /// What a positive decision must pass, too.
    pub(super) buckets: Vec<Arc<Bucket>>,
}

impl SamplingIntent {
    /// Not to be sampled.
    #[must_use]
    pub fn drop() -> Self {
        Self { threshold: None, reliable: false, attributes: Vec::new(), buckets: Vec::new() }
    }

    /// To be sampled where the trace's randomness is not below the threshold, which goes out as `th`. The threshold must not depend
    /// on the trace id.
    #[must_use]
    pub fn keep(threshold: Threshold) -> Self {
        Self { threshold: Some(threshold), reliable: true, ..Self::drop() }
    }

    /// To be sampled for a reason that has no known probability: no `th` goes out, so nobody counts one span for many.
    #[must_use]
    pub fn keep_uncounted() -> Self {
        Self { threshold: Some(Threshold::ALWAYS), ..Self::drop() }
    }

    /// The same with attributes for the span, if it is sampled.
    #[must_use]
    pub fn with_attributes(mut self, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.attributes.extend(attributes);
        self
    }

    /// The threshold; `None` if the span is not to be sampled.
    #[must_use]
    pub fn threshold(&self) -> Option<Threshold> {
        self.threshold
    }

    /// Whether the threshold tells how many spans a sampled one stands for.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        self.reliable && self.buckets.is_empty()
    }
}

/// A span that is about to start, as samplers see it. Its trace id is not shown: a threshold must not depend on it.
#[derive(Clone, Copy, Debug)]
pub struct NewSpan<'a> {
    pub(super) context: Option<&'a Context>,
    pub(super) parent: Option<&'a SpanContext>,
    pub(super) trace_id: TraceId,
    pub(super) name: &'a str,
    pub(super) kind: &'a SpanKind,
    pub(super) attributes: &'a [KeyValue],
    pub(super) links: &'a [Link],
    pub(super) randomness: Randomness,
    pub(super) explicit: bool,
}

impl<'a> NewSpan<'a> {
    pub(super) fn new(
        context: Option<&'a Context>,
        parent: Option<&'a SpanContext>,
        trace_id: TraceId,
        (name, kind): (&'a str, &'a SpanKind),
        (attributes, links): (&'a [KeyValue], &'a [Link]),
    ) -> Self {
        // A root's first tracestate may bring randomness, too.
        let explicit = parent.and_then(|parent| member::randomness(parent.trace_state()));
        let randomness = explicit.unwrap_or_else(|| Randomness::of_bytes(trace_id.to_bytes()));
        let parent = parent.filter(|parent| parent.is_valid());
        let explicit = explicit.is_some();
        Self { context, parent, trace_id, name, kind, attributes, links, randomness, explicit }
    }

    /// The name it starts with.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &'a SpanKind {
        self.kind
    }

    /// The attributes it starts with. What is set later, no sampler sees.
    #[must_use]
    pub fn attributes(&self) -> &'a [KeyValue] {
        self.attributes
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&'a Value> {
        self.attributes.iter().rev().find_map(|found| (found.key.as_str() == key).then_some(&found.value))
    }

    /// The links it starts with.
    #[must_use]
    pub fn links(&self) -> &'a [Link] {
        self.links
    }

    /// OpenTelemetry's context around it, with baggage in it.
    #[must_use]
    pub fn context(&self) -> Option<&'a Context> {
        self.context
    }

    /// Its parent; `None` for the root of a trace.
    #[must_use]
    pub fn parent(&self) -> Option<&'a SpanContext> {
        self.parent
    }

    /// What is decided already, in all the words that formats have: [`SamplingDecision::Defer`] for a root, and where the caller left it
    /// open (X-Ray's `Sampled=?`, B3 without a state, a policy that accepts ids only).
    ///
    /// More than the sampled flag is known only of hops that this crate's bridges and propagator have started.
    #[must_use]
    pub fn caller(&self) -> SamplingDecision {
        let said = self.context.and_then(|context| Caller::said_of(context, self.trace_id, self.parent));
        said.or(self.parent.map(|parent| SamplingDecision::from_sampled(parent.is_sampled()))).unwrap_or_default()
    }

    /// The threshold of a sampled parent, unless it contradicts the decision (Probability Sampling, "General requirements").
    #[must_use]
    pub fn parent_threshold(&self) -> Option<Threshold> {
        let parent = self.parent.filter(|parent| parent.is_sampled())?;
        member::threshold(parent.trace_state()).filter(|threshold| threshold.keeps(self.randomness))
    }
}
