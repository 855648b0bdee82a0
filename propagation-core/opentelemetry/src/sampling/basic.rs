//! Samplers that decide alone: always, never, by probability; and one that adds attributes.

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::{SamplingDecision, ShouldSample};

use super::{ComposableSampler, NewSpan, SamplingIntent};
use crate::sampling::{SamplerError, Threshold};

/// Samples every span, with `th:0`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOn;

impl ComposableSampler for AlwaysOn {
    fn intent(&self, _: &NewSpan<'_>) -> SamplingIntent {
        SamplingIntent::keep(Threshold::ALWAYS)
    }
}

/// Samples no span.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOff;

impl ComposableSampler for AlwaysOff {
    fn intent(&self, _: &NewSpan<'_>) -> SamplingIntent {
        SamplingIntent::drop()
    }
}

/// Samples a share of all traces, consistently in every service (OpenTelemetry, SDK, "ComposableProbability").
#[derive(Clone, Copy, Debug)]
pub struct Probability(Option<Threshold>);

impl Probability {
    /// Creates a sampler with this probability, from 0 to 1.
    ///
    /// # Errors
    ///
    /// Returns an error for a number outside 0 to 1, and for one above zero and below 2⁻⁵⁶.
    pub fn new(probability: f64) -> Result<Self, SamplerError> {
        if probability == 0.0 { Ok(Self(None)) } else { Threshold::from_probability(probability).map(Self::from) }
    }

    /// Returns the threshold; `None` for a probability of zero.
    #[must_use]
    pub fn threshold(&self) -> Option<Threshold> {
        self.0
    }
}

impl From<Threshold> for Probability {
    fn from(threshold: Threshold) -> Self {
        Self(Some(threshold))
    }
}

impl ComposableSampler for Probability {
    fn intent(&self, _: &NewSpan<'_>) -> SamplingIntent {
        self.0.map_or_else(SamplingIntent::drop, SamplingIntent::keep)
    }
}

/// Adds attributes to the spans that another sampler samples, for example to show the matching rule in the backend.
///
/// ```
/// use opentelemetry::KeyValue;
/// use propagation_opentelemetry::sampling::{AlwaysOn, Annotating, Rule, RuleBased};
///
/// let checkout = Annotating::new([KeyValue::new("sampler.rule", "checkout")], AlwaysOn);
/// let rules = RuleBased::new().rule(Rule::new().route("/checkout*"), checkout);
/// # let _ = rules;
/// ```
#[derive(Clone, Debug)]
pub struct Annotating<S> {
    attributes: Vec<KeyValue>,
    delegate: S,
}

impl<S: ComposableSampler> Annotating<S> {
    /// Adds these attributes to the spans that `delegate` samples.
    #[must_use]
    pub fn new(attributes: impl IntoIterator<Item = KeyValue>, delegate: S) -> Self {
        Self { attributes: attributes.into_iter().collect(), delegate }
    }
}

impl<S: ComposableSampler> ComposableSampler for Annotating<S> {
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
        self.delegate.intent(span).with_attributes(self.attributes.iter().cloned())
    }
}

/// Uses any sampler of the SDK as a part: its decision and its attributes. Its probability is unknown, so no `th` is propagated. Spans that
/// it would only record are dropped.
///
/// ```
/// use opentelemetry_sdk::trace::Sampler;
/// use propagation_opentelemetry::sampling::{CompositeSampler, SdkSampler};
///
/// let sampler = CompositeSampler::parent_based(SdkSampler::new(Sampler::TraceIdRatioBased(0.1)));
/// # let _ = sampler;
/// ```
#[derive(Clone, Debug)]
pub struct SdkSampler<S>(S);

impl<S: ShouldSample> SdkSampler<S> {
    /// Wraps a sampler of the SDK.
    #[must_use]
    pub fn new(sampler: S) -> Self {
        Self(sampler)
    }
}

impl<S: ShouldSample> ComposableSampler for SdkSampler<S> {
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
        let result =
            self.0.should_sample(span.context, span.trace_id, span.name, span.kind, span.attributes, span.links);
        match result.decision {
            SamplingDecision::RecordAndSample => SamplingIntent::keep_uncounted().with_attributes(result.attributes),
            SamplingDecision::Drop | SamplingDecision::RecordOnly => SamplingIntent::drop(),
        }
    }
}
