use std::sync::Arc;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{
    error::OTelSdkError,
    trace::{SdkTracer, SdkTracerProvider},
};

use super::{
    SetupError,
    exports::{Exports, SpanCounts},
    report,
};
use propagation_core::Propagator;

/// Telemetry that was started. Keep it until the service ends: dropped, it exports what is left, and blocks meanwhile.
#[derive(Debug)]
pub struct Telemetry {
    propagator: Propagator,
    provider: SdkTracerProvider,
    exports: Arc<Exports>,
    ignored: Vec<SetupError>,
    /// Whether lost spans were reported by the shutdown.
    ended: bool,
}

impl Telemetry {
    pub(super) fn new(
        propagator: Propagator,
        provider: SdkTracerProvider,
        exports: Arc<Exports>,
        ignored: Vec<SetupError>,
    ) -> Self {
        exports.count_in(propagator.counters());
        Self { propagator, provider, exports, ignored, ended: false }
    }

    /// The variables that were ignored because of their values, each with its error. They were reported at the start.
    #[must_use]
    pub fn ignored_variables(&self) -> &[SetupError] {
        &self.ignored
    }

    #[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
    pub(super) fn ignore(&mut self, errors: &mut Vec<SetupError>) {
        self.ignored.append(errors);
    }

    /// How many spans have ended and were exported so far. Lost ones are also in
    /// [`Counters::spans_not_exported`](propagation_core::Counters::spans_not_exported).
    #[must_use]
    pub fn span_counts(&self) -> SpanCounts {
        self.exports.counts()
    }

    /// The propagator that every adapter of the service is given a clone of.
    #[must_use]
    pub fn propagator(&self) -> Propagator {
        self.propagator.clone()
    }

    /// A tracer for spans of the service's own.
    #[must_use]
    pub fn tracer(&self, name: &'static str) -> SdkTracer {
        self.provider.tracer(name)
    }

    /// The provider, for what stands nowhere here; a global is yours to set.
    #[must_use]
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// The layer that exports `tracing` spans, for the service's subscriber. Leave the exporter's own crates out of it with a filter
    /// where the level is below info.
    #[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
    pub fn span_layer<S>(&self) -> tracing_opentelemetry::OpenTelemetryLayer<S, SdkTracer>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        tracing_opentelemetry::layer().with_threads(false).with_tracer(self.span_tracer())
    }

    /// The tracer of the layer: spans of `tracing` share one scope.
    #[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
    fn span_tracer(&self) -> SdkTracer {
        self.provider.tracer_with_scope(crate::instrumentation_scope(self.propagator.semantic_conventions()))
    }

    /// Exports what is left and ends. Off the runtime's own threads, so that a runtime of one thread can drive the export.
    ///
    /// A service is healthy without a Collector: log the error, and end as usual.
    ///
    /// ```no_run
    /// # async fn run(telemetry: propagation_opentelemetry::setup::Telemetry) {
    /// if let Err(error) = telemetry.shutdown().await {
    ///     tracing::error!(%error, "telemetry is incomplete");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SetupError::SpansLost`] with the number of spans that were not exported since the start, and the last cause.
    pub async fn shutdown(mut self) -> Result<(), SetupError> {
        self.ended = true;
        let provider = self.provider.clone();
        let ended = ::tokio::task::spawn_blocking(move || {
            let flushed = provider.force_flush();
            provider.shutdown().and(flushed)
        })
        .await;
        self.exports.close()?;
        match ended {
            Ok(Ok(()) | Err(OTelSdkError::AlreadyShutdown)) => Ok(()),
            Ok(Err(error)) => Err(SetupError::Shutdown(Box::new(error))),
            Err(error) => Err(SetupError::Shutdown(Box::new(error))),
        }
    }
}

impl Drop for Telemetry {
    /// Exports what is left, and reports lost spans, unless [`shutdown`](Self::shutdown) has.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let _ = self.provider.shutdown();
        if let Err(SetupError::SpansLost { spans, endpoint, cause }) = self.exports.close() {
            report::lost_spans(&endpoint, &cause, spans);
        }
    }
}
