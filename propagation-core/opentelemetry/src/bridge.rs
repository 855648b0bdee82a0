//! Bridges: spans made with the `opentelemetry` API, directly or through `tracing`.

mod caller;
mod convert;
mod opentelemetry;
#[cfg(feature = "tracing")]
mod tracing;

pub(crate) use caller::Caller;
#[cfg(feature = "metrics")]
pub(crate) use convert::attribute;
pub(crate) use convert::{baggage_from, baggage_into, denied, span_context, trace_context};

pub use self::opentelemetry::OpenTelemetryBridge;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingBridge;
