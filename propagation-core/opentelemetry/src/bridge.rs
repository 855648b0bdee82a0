//! Bridges: spans made with the `opentelemetry` API, directly or through `tracing`.

mod caller;
mod carried;
mod convert;
mod idle;
mod opentelemetry;
mod received_id;
#[cfg(feature = "tracing")]
mod tracing;

pub(crate) use caller::Caller;
pub(crate) use carried::Carried;
#[cfg(any(feature = "metrics", feature = "sdk"))]
pub(crate) use convert::attribute;
pub(crate) use convert::{baggage_into, denied, root_context, span_context, trace_context};

pub use self::opentelemetry::OpenTelemetryBridge;
#[cfg(feature = "sdk")]
pub use self::received_id::ReceivedIdGenerator;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingBridge;
