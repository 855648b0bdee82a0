use std::sync::Arc;

#[cfg(all(feature = "logs", feature = "tracing-subscriber"))]
use opentelemetry::logs::LoggerProvider;
use opentelemetry::trace::TracerProvider;
#[cfg(feature = "logs")]
use opentelemetry_sdk::logs::SdkLoggerProvider;
#[cfg(feature = "metrics")]
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    trace::{SdkTracer, SdkTracerProvider},
};

#[cfg(feature = "logs")]
use super::logs::Logs;
#[cfg(feature = "metrics")]
use super::metrics::Metrics;
use super::{
    SetupError,
    exports::{Exports, SpanCounts},
    report,
};
use propagation_core::Propagator;

/// The telemetry of a service. Keep it until the service ends: dropping it exports the rest, and blocks meanwhile.
#[derive(Debug)]
pub struct Telemetry {
    propagator: Propagator,
    provider: SdkTracerProvider,
    exports: Arc<Exports>,
    ignored: Vec<SetupError>,
    /// Whether lost spans were reported by the shutdown.
    ended: bool,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
    #[cfg(feature = "logs")]
    logs: Logs,
    #[cfg(feature = "reload")]
    reload: Option<propagation_core::reload::ReloadThread>,
}

impl Telemetry {
    pub(super) fn new(
        propagator: Propagator,
        provider: SdkTracerProvider,
        exports: Arc<Exports>,
        ignored: Vec<SetupError>,
    ) -> Self {
        exports.count_in(propagator.counters());
        Self {
            propagator,
            provider,
            exports,
            ignored,
            ended: false,
            #[cfg(feature = "metrics")]
            metrics: Metrics::default(),
            #[cfg(feature = "logs")]
            logs: Logs::default(),
            #[cfg(feature = "reload")]
            reload: None,
        }
    }

    #[cfg(feature = "metrics")]
    pub(super) fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    #[cfg(feature = "logs")]
    pub(super) fn with_logs(mut self, logs: Logs) -> Self {
        self.logs = logs;
        self
    }

    #[cfg(feature = "reload")]
    pub(super) fn with_reload(mut self, thread: propagation_core::reload::ReloadThread) -> Self {
        self.reload = Some(thread);
        self
    }

    /// Returns the thread that reads the policy file; `None` if there is none. It ends with the telemetry.
    #[cfg(feature = "reload")]
    #[cfg_attr(docsrs, doc(cfg(feature = "reload")))]
    #[must_use]
    pub fn policy_reload(&self) -> Option<&propagation_core::reload::ReloadThread> {
        self.reload.as_ref()
    }

    /// Returns the provider of metrics, for instruments of the service's own; `None` if no metrics are exported.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    #[must_use]
    pub fn meter_provider(&self) -> Option<&SdkMeterProvider> {
        self.metrics.provider.as_ref()
    }

    /// Returns the provider of log records, for loggers of the service's own; `None` if no log records are exported.
    #[cfg(feature = "logs")]
    #[cfg_attr(docsrs, doc(cfg(feature = "logs")))]
    #[must_use]
    pub fn logger_provider(&self) -> Option<&SdkLoggerProvider> {
        self.logs.provider.as_ref()
    }

    /// Returns the layer that exports `tracing` events as log records, for the service's subscriber; `None`, which is a layer, too, if they are not
    /// exported. Leave the exporter's own crates out of it with a filter.
    #[cfg(all(feature = "logs", feature = "tracing-subscriber"))]
    #[cfg_attr(docsrs, doc(cfg(all(feature = "logs", feature = "tracing-subscriber"))))]
    #[must_use]
    pub fn log_layer(&self) -> Option<crate::logs::LogExportLayer<opentelemetry_sdk::logs::SdkLogger>> {
        let provider = self.logs.provider.as_ref().filter(|_| self.logs.events)?;
        let scope = crate::instrumentation_scope(self.propagator.semantic_conventions());
        Some(crate::logs::LogExportLayer::new(provider.logger_with_scope(scope), &self.propagator))
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

    /// Returns the provider of tracers. The set-up registers no global provider.
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

    /// Exports the rest and ends, off the runtime's own threads, so that a runtime of one thread can drive the export.
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
        self.stop_reload();
        let providers = self.providers();
        let ended = ::tokio::task::spawn_blocking(move || providers.shutdown()).await;
        self.exports.close()?;
        #[cfg(feature = "logs")]
        self.logs.failed.close()?;
        #[cfg(feature = "metrics")]
        self.metrics.failed.close()?;
        match ended {
            Ok(Ok(()) | Err(OTelSdkError::AlreadyShutdown)) => Ok(()),
            Ok(Err(error)) => Err(SetupError::Shutdown(Box::new(error))),
            Err(error) => Err(SetupError::Shutdown(Box::new(error))),
        }
    }

    fn providers(&self) -> Providers {
        Providers {
            spans: self.provider.clone(),
            #[cfg(feature = "metrics")]
            metrics: self.metrics.provider.clone(),
            #[cfg(feature = "logs")]
            logs: self.logs.provider.clone(),
        }
    }

    #[cfg_attr(
        not(feature = "reload"),
        expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "no thread")
    )]
    fn stop_reload(&mut self) {
        #[cfg(feature = "reload")]
        if let Some(thread) = self.reload.take() {
            thread.stop();
        }
    }
}

/// The providers, to be ended on another thread.
struct Providers {
    spans: SdkTracerProvider,
    #[cfg(feature = "metrics")]
    metrics: Option<SdkMeterProvider>,
    #[cfg(feature = "logs")]
    logs: Option<SdkLoggerProvider>,
}

impl Providers {
    /// Exports the rest and ends each provider. Returns the first error.
    fn shutdown(&self) -> OTelSdkResult {
        let mut result = self.spans.force_flush();
        let mut ended = |next: OTelSdkResult| {
            if result.is_ok() {
                result = next;
            }
        };
        ended(self.spans.shutdown());
        #[cfg(feature = "metrics")]
        if let Some(metrics) = &self.metrics {
            ended(metrics.shutdown());
        }
        #[cfg(feature = "logs")]
        if let Some(logs) = &self.logs {
            ended(logs.shutdown());
        }
        result
    }
}

impl Drop for Telemetry {
    /// Exports the rest, and reports lost spans, unless [`shutdown`](Self::shutdown) did.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.stop_reload();
        let _ = self.providers().shutdown();
        if let Err(SetupError::SpansLost { spans, endpoint, cause }) = self.exports.close() {
            report::lost_spans(&endpoint, &cause, spans);
        }
    }
}
