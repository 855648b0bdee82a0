use super::{ComposableSampler, NewSpan, SamplingIntent};

/// Follows the parent's decision, and its threshold if that agrees with the decision. Another sampler decides for roots and deferred
/// decisions (OpenTelemetry, SDK, "ComposableParentThreshold").
///
/// A sampled parent without a threshold, or with one that contradicts its decision, is followed without a threshold: its adjusted count is
/// unknown.
#[derive(Clone, Debug)]
pub struct ParentThreshold<S> {
    root: S,
}

impl<S: ComposableSampler> ParentThreshold<S> {
    /// Creates a sampler that uses `root` if there is no decision yet.
    #[must_use]
    pub fn new(root: S) -> Self {
        Self { root }
    }
}

impl<S: ComposableSampler> ComposableSampler for ParentThreshold<S> {
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
        match span.caller().decided() {
            None => self.root.intent(span),
            Some(false) => SamplingIntent::drop(),
            Some(true) => span.parent_threshold().map_or_else(SamplingIntent::keep_uncounted, SamplingIntent::keep),
        }
    }
}
