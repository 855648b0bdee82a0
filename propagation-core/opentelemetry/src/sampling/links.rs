use super::{ComposableSampler, NewSpan, SamplingIntent};

/// Samples a span if a linked span is sampled, such as a batch with one sampled message. Otherwise uses another sampler.
///
/// A link to the trace of an untrusted caller (`restart-with-link`) counts as not sampled.
/// Only links at the start of a span count. As the root of a [`ParentThreshold`](super::ParentThreshold) it decides for spans without a
/// parent, such as those of consumers that link to their messages.
///
/// ```
/// use propagation_opentelemetry::sampling::{CompositeSampler, LinksBased, Probability};
///
/// let sampler = CompositeSampler::parent_based(LinksBased::new(Probability::new(0.1)?));
/// # let _ = sampler;
/// # Ok::<(), propagation_opentelemetry::sampling::SamplerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LinksBased<S> {
    otherwise: S,
}

impl<S: ComposableSampler> LinksBased<S> {
    /// Creates a sampler that uses `otherwise` if no link is sampled.
    #[must_use]
    pub fn new(otherwise: S) -> Self {
        Self { otherwise }
    }
}

impl<S: ComposableSampler> ComposableSampler for LinksBased<S> {
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
        if span.links().iter().any(|link| link.span_context.is_sampled()) {
            // The linked traces have a randomness of their own, so the probability of this decision is unknown.
            return SamplingIntent::keep_uncounted();
        }
        self.otherwise.intent(span)
    }
}
