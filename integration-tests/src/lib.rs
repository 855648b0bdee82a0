//! Proof, in your own test suite, that a trace is not broken.
#![forbid(unsafe_code)]

pub mod backend;
#[cfg(feature = "loopback-amqp")]
pub mod loopback_amqp;
#[cfg(feature = "loopback-sqs")]
pub mod loopback_sqs;
#[cfg(feature = "otlp")]
pub mod otlp;
mod text;
pub mod trace;
