use std::sync::Arc;

use super::{ComposableSampler, NewSpan, Rule, SamplingIntent};

/// Asks the sampler of the first rule that a span meets (OpenTelemetry, SDK, "ComposableRuleBased"). What no rule is met by is dropped,
/// unless [`otherwise`](Self::otherwise) says more.
///
/// ```
/// use opentelemetry::trace::SpanKind;
/// use propagation_opentelemetry::sampling::{AlwaysOff, AlwaysOn, CompositeSampler, Rule, RuleBased};
///
/// let rules = RuleBased::new()
///     .rule(Rule::new().kind(SpanKind::Server).route("/health*"), AlwaysOff)
///     .rule(Rule::new().attribute("messaging.destination.name", "orders*"), AlwaysOn)
///     .rule(Rule::new().when(|span| span.links().len() > 10), AlwaysOn);
/// let sampler = CompositeSampler::parent_based(rules);
/// # let _ = sampler;
/// ```
#[derive(Clone, Debug, Default)]
pub struct RuleBased {
    rules: Vec<(Rule, Arc<dyn ComposableSampler>)>,
}

impl RuleBased {
    /// No rules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more rule, after those that are there.
    #[must_use]
    pub fn rule(mut self, rule: Rule, sampler: impl ComposableSampler + 'static) -> Self {
        self.rules.push((rule, Arc::new(sampler)));
        self
    }

    /// A last rule that every span meets.
    #[must_use]
    pub fn otherwise(self, sampler: impl ComposableSampler + 'static) -> Self {
        self.rule(Rule::new(), sampler)
    }
}

impl ComposableSampler for RuleBased {
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
        let met = self.rules.iter().find(|(rule, _)| rule.is_met_by(span));
        met.map_or_else(SamplingIntent::drop, |(_, sampler)| sampler.intent(span))
    }
}
