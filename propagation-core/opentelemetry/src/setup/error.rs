use std::{error::Error, fmt};

use propagation_core::{EscapedText, format::FormatsError};

/// Why telemetry could not be started, or not be ended.
///
/// `Debug` prints the message, as `Display` does: a `main` that returns the error shows its cause.
#[non_exhaustive]
pub enum SetupError {
    /// A variable says what cannot be done.
    Variable {
        /// Its name.
        name: &'static str,
        /// The problem; without its value, which may hold credentials.
        problem: &'static str,
    },
    /// `OTEL_PROPAGATORS` names a format that there is none of.
    Formats(FormatsError),
    /// OTLP over gRPC was to be set up outside of a Tokio runtime.
    NoRuntime,
    /// The exporter refused its settings.
    Exporter(Box<dyn Error + Send + Sync>),
    /// The process has a subscriber of `tracing` already: what was to be installed would see nothing.
    SubscriberInstalled,
    /// Spans were not exported, since the start. The service itself may be healthy: log it, and end as usual.
    SpansLost {
        /// The number of spans.
        spans: u64,
        /// The URL of the last failed export; empty if none has ended.
        endpoint: String,
        /// The error of the last failed export.
        cause: String,
    },
    /// The last export of metrics, or an export of log records, failed. The service itself may be healthy: log it, and end as usual.
    ExportFailed {
        /// `metrics` or `log records`.
        signal: &'static str,
        /// The URL of the last failed export.
        endpoint: String,
        /// The error of the last failed export.
        cause: String,
    },
    /// The policy file cannot be used.
    #[cfg(feature = "policy-file")]
    Policy(propagation_core::policy::PolicyFileError),
    /// The policy file cannot be watched.
    #[cfg(feature = "reload")]
    Reload(Box<dyn Error + Send + Sync>),
    /// The shutdown failed. No span is known to be lost.
    Shutdown(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { name, problem } => write!(f, "{name} {problem}"),
            Self::Formats(error) => error.fmt(f),
            Self::NoRuntime => f.write_str("OTLP over gRPC needs a Tokio runtime: start telemetry inside of it"),
            Self::Exporter(error) => write!(f, "the OTLP exporter could not be set up: {}", shown(error)),
            Self::SubscriberInstalled => f.write_str(
                "a tracing subscriber is installed already, maybe by another crate (`cargo tree -i tracing-subscriber` lists those that \
                 could): install telemetry first, or build() it and put Telemetry::span_layer() into that subscriber",
            ),
            Self::SpansLost { spans, endpoint, cause } if endpoint.is_empty() => {
                write!(f, "{spans} spans were not exported: {}", shown(cause))
            }
            Self::SpansLost { spans, endpoint, cause } => {
                write!(f, "{spans} spans were not exported to {}: {}", shown(endpoint), shown(cause))
            }
            Self::ExportFailed { signal, endpoint, cause } => {
                write!(f, "an export of {signal} to {} failed: {}", shown(endpoint), shown(cause))
            }
            #[cfg(feature = "policy-file")]
            Self::Policy(error) => error.fmt(f),
            #[cfg(feature = "reload")]
            Self::Reload(error) => write!(f, "the policy file cannot be watched: {}", shown(error)),
            Self::Shutdown(error) => write!(f, "telemetry could not be shut down: {}", shown(error)),
        }
    }
}

/// Returns the text of an error from outside on one line of at most 1,024 bytes.
fn shown(error: &(impl fmt::Display + ?Sized)) -> String {
    EscapedText::new(&error.to_string()).with_max_bytes(1024).to_string()
}

impl fmt::Debug for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for SetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Variable { .. }
            | Self::NoRuntime
            | Self::SubscriberInstalled
            | Self::SpansLost { .. }
            | Self::ExportFailed { .. } => None,
            #[cfg(feature = "policy-file")]
            Self::Policy(error) => Some(error),
            #[cfg(feature = "reload")]
            Self::Reload(error) => Some(error.as_ref()),
            Self::Formats(error) => Some(error),
            Self::Exporter(error) | Self::Shutdown(error) => Some(error.as_ref()),
        }
    }
}
