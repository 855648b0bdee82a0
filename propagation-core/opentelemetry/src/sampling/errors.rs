//! Keeps spans that end as errors, sampled or not.

use std::time::Duration;

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanKind, Status, TraceId},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor},
};

use super::member;

/// Records spans that another sampler drops, without sampling them: for processors that need their end, such as [`KeepErrors`].
///
/// The propagated decision does not change. Recording costs the attributes and events of every span.
#[derive(Clone, Debug)]
pub struct Recording(Box<dyn ShouldSample>);

impl Recording {
    /// Records every span, and samples as `sampler` does.
    #[must_use]
    pub fn new(sampler: impl Into<Box<dyn ShouldSample>>) -> Self {
        Self(sampler.into())
    }
}

impl ShouldSample for Recording {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self.0.should_sample(parent, trace_id, name, kind, attributes, links);
        if result.decision == SamplingDecision::Drop {
            result.decision = SamplingDecision::RecordOnly;
        }
        result
    }
}

/// Passes spans with the status error to another processor as if they were sampled: failures are exported whatever the sampled share
/// of traces.
///
/// Only recorded spans can be kept: see [`Recording`]. Spans without an error are missing, so such a trace can be in pieces. It has no `th`,
/// so backends count it as one trace. For whole traces with errors use the Collector's tail sampling.
///
/// ```
/// use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SimpleSpanProcessor};
/// use propagation_opentelemetry::sampling::{CompositeSampler, KeepErrors, Probability, Recording};
///
/// let exporter = InMemorySpanExporter::default();
/// let provider = SdkTracerProvider::builder()
///     .with_sampler(Recording::new(CompositeSampler::parent_based(Probability::new(0.1)?)))
///     .with_span_processor(KeepErrors::new(SimpleSpanProcessor::new(exporter)))
///     .build();
/// # let _ = provider;
/// # Ok::<(), propagation_opentelemetry::sampling::SamplerError>(())
/// ```
#[derive(Debug)]
pub struct KeepErrors<P>(P);

impl<P: SpanProcessor> KeepErrors<P> {
    /// Wraps a processor that drops spans which are not sampled, as those of the SDK do.
    #[must_use]
    pub fn new(processor: P) -> Self {
        Self(processor)
    }
}

impl<P: SpanProcessor> SpanProcessor for KeepErrors<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        if matches!(span.status, Status::Error { .. }) && !span.span_context.is_sampled() {
            let was = &span.span_context;
            let state = member::with_threshold(was.trace_state(), None);
            let flags = was.trace_flags().with_sampled(true);
            span.span_context = SpanContext::new(was.trace_id(), was.span_id(), flags, was.is_remote(), state);
        }
        self.0.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.0.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}
