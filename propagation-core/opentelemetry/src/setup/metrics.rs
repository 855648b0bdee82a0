//! Metrics of a set-up: the provider, and reports of failed exports.

use std::{sync::Arc, time::Duration};

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
};
use propagation_core::{Bridge, Propagator, semconv::SemanticConventions};

use super::{
    SetupError,
    otlp::Otlp,
    report::FailedExports,
    signal::METRICS,
    variables::{Variables, refused},
};
use crate::{instrumentation_scope, metrics::HopMetrics};

/// The settings of metrics.
#[derive(Debug)]
pub(super) struct MetricSettings {
    pub(super) otlp: Option<Otlp>,
    /// Whether `OTEL_METRICS_EXPORTER` is set.
    explicit: bool,
    interval: Duration,
    temporality: Temporality,
}

impl MetricSettings {
    /// Reads the variables. Without `OTEL_METRICS_EXPORTER`, metrics are exported if code does not forbid it.
    pub(super) fn read(read: &Variables<'_>, wanted: bool) -> Result<Self, SetupError> {
        let exporters = METRICS.exporters(read, wanted)?;
        let temporality = read.first_of(["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"], |name, value| {
            match value.to_ascii_lowercase().as_str() {
                "cumulative" => Ok(Temporality::Cumulative),
                "delta" => Ok(Temporality::Delta),
                "lowmemory" => Ok(Temporality::LowMemory),
                _ => Err(refused(name, "is not one of 'cumulative', 'delta' and 'lowmemory'")),
            }
        })?;
        Ok(Self {
            otlp: if exporters.otlp { Some(Otlp::read(read, &METRICS)?) } else { None },
            explicit: read.get(METRICS.exporter).is_some(),
            interval: Duration::from_millis(read.number("OTEL_METRIC_EXPORT_INTERVAL")?.unwrap_or(60_000)),
            temporality: temporality.unwrap_or_default(),
        })
    }
}

/// The provider of metrics, if any are exported.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) provider: Option<SdkMeterProvider>,
    pub(super) failed: Arc<FailedExports>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { provider: None, failed: FailedExports::new("metrics") }
    }
}

impl Metrics {
    /// Builds the provider.
    pub(super) fn build(
        settings: &MetricSettings,
        exporter: Option<DynExporter>,
        over_otlp: bool,
        resource: Resource,
        variables: &Variables<'_>,
    ) -> Result<Self, SetupError> {
        let mut metrics = Self::default();
        let builder = SdkMeterProvider::builder().with_resource(resource);
        if let Some(install) = exporter {
            metrics.provider = Some(install(builder, settings.interval).build());
            return Ok(metrics);
        }
        let Some(otlp) = settings.otlp.as_ref().filter(|_| over_otlp) else { return Ok(metrics) };
        match otlp.metrics(settings.temporality) {
            Ok(exporter) => {
                let failed = Arc::clone(&metrics.failed);
                let exporter = ReportingExporter { exporter, endpoint: otlp.shown(), failed };
                let reader = PeriodicReader::builder(exporter).with_interval(settings.interval).build();
                metrics.provider = Some(builder.with_reader(reader).build());
            }
            Err(SetupError::NoRuntime) if settings.explicit => return Err(SetupError::NoRuntime),
            // Metrics are on by default: a program without a runtime that exports its spans elsewhere still starts.
            Err(SetupError::NoRuntime) => metrics.failed.record(&otlp.shown(), &SetupError::NoRuntime.to_string()),
            Err(error) => {
                metrics.failed.record(&otlp.shown(), &error.to_string());
                variables.ignore(error)?;
            }
        }
        Ok(metrics)
    }

    /// Measures hops around a bridge.
    pub(super) fn around(&self, names: SemanticConventions, bridge: Box<dyn Bridge>) -> Box<dyn Bridge> {
        match &self.provider {
            Some(provider) => {
                Box::new(HopMetrics::new(&provider.meter_with_scope(instrumentation_scope(names)), bridge))
            }
            None => bridge,
        }
    }

    /// Exports the propagator's counters.
    pub(super) fn observe(&self, propagator: &Propagator) {
        if let Some(provider) = &self.provider {
            let scope = instrumentation_scope(propagator.semantic_conventions());
            crate::metrics::observe_counters(&provider.meter_with_scope(scope), propagator);
        }
    }
}

/// Adds an exporter of one's own to the provider.
pub(super) type DynExporter = Box<
    dyn FnOnce(
            opentelemetry_sdk::metrics::MeterProviderBuilder,
            Duration,
        ) -> opentelemetry_sdk::metrics::MeterProviderBuilder
        + Send,
>;

/// Erases the type of an exporter.
pub(super) fn erased(exporter: impl PushMetricExporter) -> DynExporter {
    Box::new(|builder, interval| builder.with_reader(PeriodicReader::builder(exporter).with_interval(interval).build()))
}

/// Reports failed exports. Counters and histograms are cumulative, so that the next export makes up for a failed one.
#[derive(Debug)]
struct ReportingExporter<E> {
    exporter: E,
    endpoint: String,
    failed: Arc<FailedExports>,
}

impl<E: PushMetricExporter> PushMetricExporter for ReportingExporter<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        match &result {
            Ok(()) => self.failed.clear(),
            Err(error) => self.failed.record(&self.endpoint, &error.to_string()),
        }
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
