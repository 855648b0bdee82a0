use std::sync::Arc;

use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchSpanProcessor, SimpleSpanProcessor, SpanData, SpanExporter, SpanProcessor, TracerProviderBuilder},
};

use super::{
    SetupError,
    exports::{CountingExporter, CountingProcessor, Exports},
    otlp::Otlp,
    settings::Settings,
    truncating::TruncatingExporter,
    variables::Variables,
};
use crate::sampling::KeepErrors;

/// A tracer provider that is being built, and the settings of its processors.
pub(super) struct Pipeline {
    pub(super) builder: TracerProviderBuilder,
    pub(super) value_limit: Option<usize>,
    pub(super) keep_errors: bool,
    pub(super) exports: Arc<Exports>,
}

impl Pipeline {
    /// Exports each span as it ends.
    pub(super) fn simple(self, exporter: impl SpanExporter + 'static, endpoint: &str) -> Self {
        let exporter = self.exporter(exporter, endpoint);
        self.with(SimpleSpanProcessor::new(exporter), endpoint)
    }

    /// Exports batches of spans over OTLP.
    pub(super) fn otlp(self, otlp: &Otlp, settings: &Settings, variables: &Variables<'_>) -> Result<Self, SetupError> {
        let endpoint = otlp.shown();
        match otlp.spans() {
            Ok(exporter) => {
                let exporter = self.exporter(exporter, &endpoint);
                let processor = BatchSpanProcessor::builder(exporter).with_batch_config(settings.batches()).build();
                Ok(self.with(processor, &endpoint))
            }
            Err(SetupError::NoRuntime) => Err(SetupError::NoRuntime),
            Err(error) => {
                let cause = error.to_string();
                variables.ignore(error)?;
                Ok(self.simple(NoExporter(cause), &endpoint))
            }
        }
    }

    fn exporter<E: SpanExporter>(&self, exporter: E, endpoint: &str) -> impl SpanExporter + use<E> {
        CountingExporter::new(TruncatingExporter::new(exporter, self.value_limit), endpoint, &self.exports)
    }

    fn with(mut self, processor: impl SpanProcessor + 'static, endpoint: &str) -> Self {
        let processor = CountingProcessor::new(processor, endpoint, &self.exports);
        self.builder = if self.keep_errors {
            self.builder.with_span_processor(KeepErrors::new(processor))
        } else {
            self.builder.with_span_processor(processor)
        };
        self
    }
}

/// Replaces an exporter that could not be built. Each export fails with the reason.
#[derive(Debug)]
struct NoExporter(String);

impl SpanExporter for NoExporter {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Err(OTelSdkError::InternalFailure(self.0.clone()))
    }
}
