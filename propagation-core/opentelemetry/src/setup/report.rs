//! Reports of the set-up: events of the target `propagation`, or lines on standard error where no subscriber would see them.

use std::{fmt, io::Write as _};

use super::SetupError;

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
