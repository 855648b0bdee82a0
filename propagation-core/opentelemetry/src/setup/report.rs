//! Reports of the set-up: events of the target `propagation`, or lines on standard error where no subscriber would see them.

use std::{fmt, io::Write as _};
#[cfg(any(feature = "logs", feature = "metrics"))]
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

#[cfg(any(feature = "logs", feature = "metrics"))]
use propagation_core::EscapedText;

use super::SetupError;
#[cfg(any(feature = "logs", feature = "metrics"))]
use super::exports::REPORT_EVERY;

const REMEDY: &str =
    "start an OpenTelemetry Collector there, set OTEL_EXPORTER_OTLP_ENDPOINT to one, or set OTEL_TRACES_EXPORTER=none";

/// Reports that spans were not exported.
pub(super) fn lost_spans(endpoint: &str, cause: &str, spans: u64) {
    // Without a parent: an error must not become the status of a span that is current here.
    if tracing::event_enabled!(target: "propagation", tracing::Level::ERROR) {
        tracing::error!(target: "propagation", parent: None, endpoint, cause, spans, "spans could not be exported: {REMEDY}");
    } else {
        to_stderr(format_args!("{spans} spans could not be exported to {endpoint} ({cause}): {REMEDY}"));
    }
}

/// Reports a variable that is ignored.
pub(super) fn ignored(error: &SetupError) {
    const REMEDY: &str = "correct or unset it; Setup::strict makes it an error";
    if tracing::event_enabled!(target: "propagation", tracing::Level::WARN) {
        tracing::warn!(target: "propagation", parent: None, %error, "variable ignored: {REMEDY}");
    } else {
        to_stderr(format_args!("variable ignored: {error}: {REMEDY}"));
    }
}

/// Writes one line. An error of standard error itself has no place to be reported.
pub(super) fn to_stderr(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "propagation: {line}");
}

/// Failed exports of metrics or of log records: the first is reported at once, later ones at most once a minute.
#[cfg(any(feature = "logs", feature = "metrics"))]
#[derive(Debug)]
pub(super) struct FailedExports {
    signal: &'static str,
    last: Mutex<LastFailure>,
}

#[cfg(any(feature = "logs", feature = "metrics"))]
#[derive(Debug, Default)]
struct LastFailure {
    reported: Option<Instant>,
    failure: Option<(String, String)>,
}

#[cfg(any(feature = "logs", feature = "metrics"))]
impl FailedExports {
    pub(super) fn new(signal: &'static str) -> Arc<Self> {
        Arc::new(Self { signal, last: Mutex::default() })
    }

    /// Keeps a failure, and reports it if none was reported within the last minute.
    pub(super) fn record(&self, endpoint: &str, cause: &str) {
        let cause = EscapedText::new(cause).with_max_bytes(300).to_string();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.failure = Some((endpoint.to_owned(), cause.clone()));
        let due = last.reported.is_none_or(|reported| reported.elapsed() >= REPORT_EVERY);
        if due {
            last.reported = Some(Instant::now());
        }
        drop(last);
        if due {
            failed_export(self.signal, endpoint, &cause);
        }
    }

    /// Forgets the failure: a later export has made up for it.
    #[cfg(feature = "metrics")]
    pub(super) fn clear(&self) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).failure = None;
    }

    /// Returns an error if an export failed and no later one made up for it.
    pub(super) fn close(&self) -> Result<(), SetupError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &last.failure {
            None => Ok(()),
            Some((endpoint, cause)) => {
                Err(SetupError::ExportFailed { signal: self.signal, endpoint: endpoint.clone(), cause: cause.clone() })
            }
        }
    }
}

/// Reports that metrics or log records were not exported.
#[cfg(any(feature = "logs", feature = "metrics"))]
fn failed_export(signal: &str, endpoint: &str, cause: &str) {
    let switch = if signal == "metrics" { "OTEL_METRICS_EXPORTER=none" } else { "OTEL_LOGS_EXPORTER=none" };
    let remedy =
        format!("start an OpenTelemetry Collector there, set OTEL_EXPORTER_OTLP_ENDPOINT to one, or set {switch}");
    if tracing::event_enabled!(target: "propagation", tracing::Level::ERROR) {
        tracing::error!(target: "propagation", parent: None, signal, endpoint, cause, "export failed: {remedy}");
    } else {
        to_stderr(format_args!("export of {signal} to {endpoint} failed ({cause}): {remedy}"));
    }
}
