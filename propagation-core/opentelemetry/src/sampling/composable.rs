//! The trait of samplers that nest, its input and its result.

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

/// Returns the intended probability for a span without deciding: a part of a [`CompositeSampler`](super::CompositeSampler).
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
    /// Returns the intent for a new span.
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

/// The intent of a sampler for a span.
#[derive(Clone, Debug)]
pub struct SamplingIntent {
    pub(super) threshold: Option<Threshold>,
    pub(super) reliable: bool,
    pub(super) attributes: Vec<KeyValue>,
    /// A further condition of a positive decision.
    pub(super) buckets: Vec<Arc<Bucket>>,
}

impl SamplingIntent {
    /// The span is not sampled.
    #[must_use]
    pub fn drop() -> Self {
        Self { threshold: None, reliable: false, attributes: Vec::new(), buckets: Vec::new() }
    }

    /// The span is sampled if the trace's randomness is not below the threshold, which is propagated as `th`. The threshold must not
    /// depend on the trace-id.
    #[must_use]
    pub fn keep(threshold: Threshold) -> Self {
        Self { threshold: Some(threshold), reliable: true, ..Self::drop() }
    }

    /// The span is sampled with an unknown probability: no `th` is propagated, so backends count it as one span.
    #[must_use]
    pub fn keep_uncounted() -> Self {
        Self { threshold: Some(Threshold::ALWAYS), ..Self::drop() }
    }

    /// Adds attributes to the span, if it is sampled.
    #[must_use]
    pub fn with_attributes(mut self, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.attributes.extend(attributes);
        self
    }

    /// Returns the threshold; `None` if the span is not to be sampled.
    #[must_use]
    pub fn threshold(&self) -> Option<Threshold> {
        self.threshold
    }

    /// Returns whether the threshold is the probability of the span, for adjusted counts.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        self.reliable && self.buckets.is_empty()
    }
}

/// A span that is about to start, without its trace-id: a threshold must not depend on it.
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

    /// Returns its name at the start.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> &'a SpanKind {
        self.kind
    }

    /// Returns its attributes at the start. Attributes that are set later are unknown to samplers.
    #[must_use]
    pub fn attributes(&self) -> &'a [KeyValue] {
        self.attributes
    }

    /// Returns the value of an attribute; `None` if the span starts without it.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&'a Value> {
        self.attributes.iter().rev().find_map(|found| (found.key.as_str() == key).then_some(&found.value))
    }

    /// Returns its links at the start.
    #[must_use]
    pub fn links(&self) -> &'a [Link] {
        self.links
    }

    /// Returns OpenTelemetry's context around it, with its baggage; `None` if the SDK passed no parent context.
    #[must_use]
    pub fn context(&self) -> Option<&'a Context> {
        self.context
    }

    /// Returns its parent; `None` for the root of a trace.
    #[must_use]
    pub fn parent(&self) -> Option<&'a SpanContext> {
        self.parent
    }

    /// Returns the decision of the caller: [`SamplingDecision::Defer`] for a root, and if the caller has made none (X-Ray's `Sampled=?`,
    /// B3 without a state, a policy that accepts ids only).
    ///
    /// More than the sampled flag is known only for hops that this crate's bridges and propagator have started.
    #[must_use]
    pub fn caller(&self) -> SamplingDecision {
        let decision = self.context.and_then(|context| Caller::decision_for(context, self.trace_id, self.parent));
        decision.or(self.parent.map(|parent| SamplingDecision::from_sampled(parent.is_sampled()))).unwrap_or_default()
    }

    /// Returns the threshold of a sampled parent, unless it contradicts the decision (Probability Sampling, "General requirements").
    #[must_use]
    pub fn parent_threshold(&self) -> Option<Threshold> {
        let parent = self.parent.filter(|parent| parent.is_sampled())?;
        member::threshold(parent.trace_state()).filter(|threshold| threshold.keeps(self.randomness))
    }
}
