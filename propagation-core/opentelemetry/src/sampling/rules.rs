use std::sync::Arc;

use super::{ComposableSampler, NewSpan, Rule, SamplingIntent};

/// Uses the sampler of the first rule that matches a span (OpenTelemetry, SDK, "ComposableRuleBased"). Spans without a matching rule are
/// dropped, unless there is an [`otherwise`](Self::otherwise).
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
    /// Creates a sampler without rules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a rule.
    #[must_use]
    pub fn rule(mut self, rule: Rule, sampler: impl ComposableSampler + 'static) -> Self {
        self.rules.push((rule, Arc::new(sampler)));
        self
    }

    /// Appends a rule that matches every span.
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
