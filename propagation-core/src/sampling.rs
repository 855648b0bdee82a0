//! Sampling: what callers decide, the thresholds that make independent decisions agree, and samplers for OpenTelemetry's SDK.
//!
//! [`Sampling`] is the decision as formats carry it. [`Threshold`] and [`Randomness`] are the two numbers of OpenTelemetry's
//! consistent probability sampling: a trace is kept where its randomness is not below the threshold, so every service that asks
//! for at least the same probability keeps it, too. They travel in `tracestate` as `ot=th:…;rv:…`. The samplers that
//! compute them are in `opentelemetry_sdk_0_33` (feature `opentelemetry-sdk-0-33`).

mod decision;
#[cfg(feature = "opentelemetry-sdk-0-33")]
pub mod opentelemetry_sdk_0_33;
mod threshold;

pub use decision::{Priority, Sampling};
pub use threshold::{Randomness, SamplerError, Threshold};
