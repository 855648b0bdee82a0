use std::{fmt, time::SystemTime};

use opentelemetry::{
    Key,
    logs::{AnyValue, LogRecord, Logger, Severity},
};
use propagation_core::Propagator;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::exceptions::set_trace;

/// A layer that exports `tracing` events as OpenTelemetry log records, with the ids of the current trace.
///
/// The set-up's [`install`](crate::setup::Setup::install) adds it where log records are exported. The message becomes the body, each field an
/// attribute, the target the scope of the record. Leave the exporter's own crates out of it with a filter: their events would be exported in
/// turn.
///
/// ```
/// use opentelemetry::logs::LoggerProvider;
/// use propagation_core::Propagator;
/// use propagation_opentelemetry::logs::LogExportLayer;
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let provider = opentelemetry_sdk::logs::SdkLoggerProvider::builder().build();
/// let layer = LogExportLayer::new(provider.logger("shop"), &Propagator::default());
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # let _ = subscriber;
/// ```
pub struct LogExportLayer<L> {
    logger: L,
    propagator: Propagator,
}

impl<L: Logger> LogExportLayer<L> {
    /// Creates a layer that emits records to this logger.
    #[must_use]
    pub fn new(logger: L, propagator: &Propagator) -> Self {
        Self { logger, propagator: propagator.clone() }
    }
}

impl<L> fmt::Debug for LogExportLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogExportLayer").finish_non_exhaustive()
    }
}

impl<S, L> Layer<S> for LogExportLayer<L>
where
    S: Subscriber,
    L: Logger + Send + Sync + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let (severity, text) = severity(metadata.level());
        let mut record = self.logger.create_log_record();
        record.set_target(metadata.target());
        record.set_timestamp(SystemTime::now());
        record.set_severity_number(severity);
        record.set_severity_text(text);
        event.record(&mut Fields(&mut record));
        set_trace(&mut record, &self.propagator.current().trace);
        self.logger.emit(record);
    }
}

fn severity(level: &Level) -> (Severity, &'static str) {
    match *level {
        Level::ERROR => (Severity::Error, "ERROR"),
        Level::WARN => (Severity::Warn, "WARN"),
        Level::INFO => (Severity::Info, "INFO"),
        Level::DEBUG => (Severity::Debug, "DEBUG"),
        _ => (Severity::Trace, "TRACE"),
    }
}

/// Writes the fields of an event to a record.
struct Fields<'a, R>(&'a mut R);

impl<R: LogRecord> Fields<'_, R> {
    fn add(&mut self, field: &Field, value: AnyValue) {
        if field.name() == "message" {
            self.0.set_body(value);
        } else {
            self.0.add_attribute(Key::from_static_str(field.name()), value);
        }
    }
}

impl<R: LogRecord> Visit for Fields<'_, R> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, AnyValue::String(format!("{value:?}").into()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, AnyValue::String(value.to_owned().into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, AnyValue::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.add(field, AnyValue::Int(value)),
            Err(_) => self.add(field, AnyValue::String(value.to_string().into())),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, AnyValue::Double(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, AnyValue::Boolean(value));
    }
}
