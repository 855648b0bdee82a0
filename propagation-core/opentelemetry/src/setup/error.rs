use std::{error::Error, fmt};

use propagation_core::FormatsError;

/// Why telemetry could not be started, or not be ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartUpError {
    /// A variable says what cannot be done.
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it; without its value, which may hold credentials.
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
    /// The last spans could not be exported.
    Shutdown(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for StartUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { name, problem } => write!(f, "{name} {problem}"),
            Self::Formats(error) => error.fmt(f),
            Self::NoRuntime => f.write_str("OTLP over gRPC needs a Tokio runtime: start telemetry inside of it"),
            Self::Exporter(error) => write!(f, "the OTLP exporter could not be set up: {error}"),
            Self::SubscriberInstalled => f.write_str(
                "a tracing subscriber is installed already: install telemetry first, or put its layers into that subscriber",
            ),
            Self::Shutdown(error) => write!(f, "the last spans could not be exported: {error}"),
        }
    }
}

impl Error for StartUpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Variable { .. } | Self::NoRuntime | Self::SubscriberInstalled => None,
            Self::Formats(error) => Some(error),
            Self::Exporter(error) | Self::Shutdown(error) => Some(error.as_ref()),
        }
    }
}
