use super::{ComposableSampler, NewSpan, SamplingIntent};

/// Keeps a span if any span it links to is sampled: a batch with one sampled message in it. Otherwise another sampler is asked.
///
/// The link to the trace of a caller whom the policy doesn't believe (`restart-with-link`) counts as not sampled.
/// Only the links that a span starts with count. As the root of a [`ParentThreshold`](super::ParentThreshold) it decides for spans
/// without a parent, which is what consumers that link to their messages make.
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
    /// Where no link is sampled, `otherwise` is asked.
    #[must_use]
    pub fn new(otherwise: S) -> Self {
        Self { otherwise }
    }
}

impl<S: ComposableSampler> ComposableSampler for LinksBased<S> {
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
        if span.links().iter().any(|link| link.span_context.is_sampled()) {
            // The linked traces have a randomness of their own: how likely this was, nobody knows.
            return SamplingIntent::keep_uncounted();
        }
        self.otherwise.intent(span)
    }
}
