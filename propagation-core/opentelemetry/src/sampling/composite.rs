use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanKind, SpanRef, TraceContextExt, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::{ComposableSampler, NewSpan, ParentThreshold, Probability, SamplingIntent, member};

use crate::sampling::{Randomness, SamplerError, Threshold};

/// A sampler for a tracer provider, made of composable ones (OpenTelemetry, SDK, "CompositeSampler").
///
/// It gets their intent, decides with the trace's randomness, and sets the tracestate of the decision: with `th` if the span is sampled with
/// a known probability, otherwise without. `rv` and unknown sub-keys stay. Spans of a caller with a debug flag (B3's `d`, Jaeger's debug
/// bit) are always sampled.
///
/// ```
/// use opentelemetry::trace::{Span, Tracer, TracerProvider};
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use propagation_opentelemetry::sampling::CompositeSampler;
///
/// let provider = SdkTracerProvider::builder().with_sampler(CompositeSampler::probability(1.0)?).build();
/// let span = provider.tracer("shop").start("order");
/// assert_eq!(span.span_context().trace_state().header(), "ot=th:0");
/// # Ok::<(), propagation_opentelemetry::sampling::SamplerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CompositeSampler {
    sampler: Arc<dyn ComposableSampler>,
    explicit_randomness: bool,
    presumed: Arc<AtomicBool>,
}

impl CompositeSampler {
    /// Creates a sampler of this part, for roots and children.
    #[must_use]
    pub fn new(sampler: impl ComposableSampler + 'static) -> Self {
        let presumed = Arc::new(AtomicBool::new(false));
        Self { sampler: Arc::new(sampler), explicit_randomness: false, presumed }
    }

    /// Creates a sampler that follows the caller's decision, and uses this part if there is none.
    #[must_use]
    pub fn parent_based(root: impl ComposableSampler + 'static) -> Self {
        Self::new(ParentThreshold::new(root))
    }

    /// Creates a sampler with this probability, independent of the caller's decision: OpenTelemetry's `ProbabilitySampler`.
    ///
    /// # Errors
    ///
    /// As for [`Probability::new`].
    pub fn probability(probability: f64) -> Result<Self, SamplerError> {
        Probability::new(probability).map(Self::new)
    }

    /// Gives each new trace an explicit randomness in `rv`: for id generators whose trace-ids are not random in their last seven bytes.
    /// Those of the SDK are.
    #[must_use]
    pub fn with_explicit_randomness(mut self) -> Self {
        self.explicit_randomness = true;
        self
    }

    /// Reports once for each sampler that a trace-id without the random flag is presumed random. Below the level of warnings, because most
    /// callers have random trace-ids and no flag: all of Trace Context Level 1, and this library unless `with_random_flag` is set.
    fn note_presumption(&self, span: &NewSpan<'_>) {
        const RANDOM: u8 = 0x02;
        let presumed =
            span.parent.is_some_and(|parent| parent.is_remote() && parent.trace_flags().to_u8() & RANDOM == 0);
        if presumed && !span.explicit && !self.presumed.swap(true, Ordering::Relaxed) {
            tracing::debug!(
                target: "propagation",
                "a caller does not set the random flag: its trace-ids are presumed random for consistent sampling; if its id generator is not \
                 random, let it send `rv` in the tracestate member `ot`"
            );
        }
    }

    fn decides(&self, intent: &SamplingIntent, span: &NewSpan<'_>) -> bool {
        let Some(threshold) = intent.threshold else { return false };
        if threshold > Threshold::ALWAYS && span.parent_threshold() != Some(threshold) {
            self.note_presumption(span);
        }
        threshold.keeps(span.randomness) && intent.buckets.iter().all(|bucket| bucket.admits())
    }
}

impl ShouldSample for CompositeSampler {
    fn should_sample(
        &self,
        context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let active = context.map(TraceContextExt::span);
        let parent = active.as_ref().map(SpanRef::span_context);
        let mut span = NewSpan::new(context, parent, trace_id, (name, kind), (attributes, links));
        let mut state = parent.map(SpanContext::trace_state).cloned().unwrap_or(TraceState::NONE);
        if self.explicit_randomness && span.parent.is_none() && !span.explicit {
            let randomness = Randomness::random();
            if let Some(with) = member::with_randomness(&state, randomness) {
                (state, span.randomness, span.explicit) = (with, randomness, true);
            }
        }
        let mut intent = self.sampler.intent(&span);
        if span.caller() == propagation_core::SamplingDecision::Debug {
            intent = SamplingIntent::keep_uncounted().with_attributes(intent.attributes);
        }
        let kept = self.decides(&intent, &span);
        let threshold = intent.threshold.filter(|_| kept && intent.is_reliable());
        SamplingResult {
            decision: if kept { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: if kept { intent.attributes } else { Vec::new() },
            trace_state: member::with_threshold(&state, threshold),
        }
    }
}
