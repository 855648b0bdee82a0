//! Log records of a set-up: the provider, and counts of lost records.

use std::{sync::Arc, time::Duration};

use opentelemetry::logs::LoggerProvider;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{
        BatchConfig, BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LoggerProviderBuilder,
        SdkLoggerProvider,
    },
};

use propagation_core::{Bridge, semconv::SemanticConventions};

use super::{
    SetupError,
    otlp::Otlp,
    report::FailedExports,
    signal::LOGS,
    variables::{Variables, positive, refused},
};
use crate::{ExceptionRecords, instrumentation_scope};

const QUEUE: &str = "OTEL_BLRP_MAX_QUEUE_SIZE";
const BATCH: &str = "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE";

/// The settings of log records.
#[derive(Debug)]
pub(super) struct LogSettings {
    pub(super) otlp: Option<Otlp>,
    /// Whether events of `tracing` are exported.
    events: bool,
    /// How exceptions are recorded.
    pub(super) exceptions: ExceptionSignal,
    delay: u64,
    queue: usize,
    batch: usize,
}

/// The signal of exceptions: `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ExceptionSignal {
    /// Events of spans.
    #[default]
    Events,
    /// Log records.
    Logs,
    /// Both.
    Both,
}

impl LogSettings {
    /// Reads the variables. Without `OTEL_LOGS_EXPORTER`, log records are exported if code, or the variable for exceptions, enables them.
    pub(super) fn read(read: &Variables<'_>, wanted: bool) -> Result<Self, SetupError> {
        let exceptions = read.first_of(["OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"], exception_signal)?.unwrap_or_default();
        let events = LOGS.exporters(read, wanted)?.otlp;
        let exporters = LOGS.exporters(read, wanted || exceptions != ExceptionSignal::Events)?;
        let queue = read.number(QUEUE)?.unwrap_or(2_048);
        let batch = read.first_of([BATCH], |name, value| match positive(name, value)? {
            batch if batch > queue => Err(refused(name, "is larger than the queue (OTEL_BLRP_MAX_QUEUE_SIZE)")),
            batch => Ok(batch),
        })?;
        Ok(Self {
            otlp: if exporters.otlp { Some(Otlp::read(read, &LOGS)?) } else { None },
            events,
            exceptions,
            delay: read.number("OTEL_BLRP_SCHEDULE_DELAY")?.unwrap_or(1_000),
            queue,
            batch: batch.unwrap_or(512).min(queue),
        })
    }

    fn batches(&self) -> BatchConfig {
        BatchConfigBuilder::default()
            .with_scheduled_delay(Duration::from_millis(self.delay))
            .with_max_queue_size(self.queue)
            .with_max_export_batch_size(self.batch)
            .build()
    }
}

/// Parses a list of which `logs/dup` wins over `logs`. Other values are reserved.
fn exception_signal(name: &'static str, list: &str) -> Result<ExceptionSignal, SetupError> {
    let list = list.to_ascii_lowercase();
    let mut found = ExceptionSignal::Events;
    for value in list.split(',').map(str::trim).filter(|value| !value.is_empty()) {
        match value {
            "logs/dup" => found = ExceptionSignal::Both,
            "logs" if found == ExceptionSignal::Events => found = ExceptionSignal::Logs,
            "logs" => {}
            _ => return Err(refused(name, "has a value other than 'logs' and 'logs/dup'")),
        }
    }
    Ok(found)
}

/// Adds an exporter of one's own to the provider.
pub(super) type DynExporter = Box<dyn FnOnce(LoggerProviderBuilder) -> LoggerProviderBuilder + Send>;

/// The provider of log records, if any are exported.
#[derive(Debug)]
pub(super) struct Logs {
    pub(super) provider: Option<SdkLoggerProvider>,
    /// Whether events of `tracing` are exported.
    #[cfg_attr(not(feature = "tracing-subscriber"), expect(dead_code, reason = "read by the layer"))]
    pub(super) events: bool,
    pub(super) failed: Arc<FailedExports>,
}

impl Default for Logs {
    fn default() -> Self {
        Self { provider: None, events: false, failed: FailedExports::new("log records") }
    }
}

impl Logs {
    /// Builds the provider.
    pub(super) fn build(
        settings: &LogSettings,
        exporter: Option<DynExporter>,
        over_otlp: bool,
        resource: Resource,
        variables: &Variables<'_>,
    ) -> Result<Self, SetupError> {
        let mut logs = Self { events: settings.events || exporter.is_some(), ..Self::default() };
        let builder = SdkLoggerProvider::builder().with_resource(resource);
        if let Some(install) = exporter {
            logs.provider = Some(install(builder).build());
            return Ok(logs);
        }
        let Some(otlp) = settings.otlp.as_ref().filter(|_| over_otlp) else { return Ok(logs) };
        match otlp.logs() {
            Ok(exporter) => {
                let exporter = CountingExporter { exporter, endpoint: otlp.shown(), failed: Arc::clone(&logs.failed) };
                let processor = BatchLogProcessor::builder(exporter).with_batch_config(settings.batches()).build();
                logs.provider = Some(builder.with_log_processor(processor).build());
            }
            Err(SetupError::NoRuntime) => return Err(SetupError::NoRuntime),
            Err(error) => {
                logs.failed.record(&otlp.shown(), &error.to_string());
                variables.ignore(error)?;
            }
        }
        Ok(logs)
    }

    /// Records exceptions as log records around a bridge, if the variable selects that.
    pub(super) fn around(
        self,
        exceptions: ExceptionSignal,
        names: SemanticConventions,
        bridge: Box<dyn Bridge>,
    ) -> (Box<dyn Bridge>, Self) {
        let Some(provider) = self.provider.as_ref().filter(|_| exceptions != ExceptionSignal::Events) else {
            return (bridge, self);
        };
        let logger = provider.logger_with_scope(instrumentation_scope(names));
        let bridge = ExceptionRecords::new(logger, bridge).with_span_events(exceptions == ExceptionSignal::Both);
        (Box::new(bridge), self)
    }
}

/// Counts the log records of failed exports.
#[derive(Debug)]
struct CountingExporter<E> {
    exporter: E,
    endpoint: String,
    failed: Arc<FailedExports>,
}

impl<E: LogExporter> LogExporter for CountingExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        if let Err(error) = &result {
            self.failed.record(&self.endpoint, &error.to_string());
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
