#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bridge;
#[cfg(feature = "logs")]
mod exceptions;
#[cfg(feature = "tracing-subscriber")]
pub mod logs;
#[cfg(feature = "metrics")]
pub mod metrics;
mod propagator;
#[cfg(feature = "sdk")]
pub mod sampling;
mod scope;
#[cfg(feature = "sdk")]
pub mod setup;

pub use bridge::OpenTelemetryBridge;
#[cfg(feature = "sdk")]
pub use bridge::ReceivedIdGenerator;
#[cfg(feature = "tracing")]
pub use bridge::TracingBridge;
#[cfg(feature = "logs")]
pub use exceptions::ExceptionRecords;
pub use propagator::OpenTelemetryPropagator;
pub use scope::instrumentation_scope;
#[cfg(feature = "sdk")]
pub use setup::BaggageSpanProcessor;
