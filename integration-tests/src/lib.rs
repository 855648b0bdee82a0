//! Proof, in your own test suite, that a trace is not broken.
#![forbid(unsafe_code)]

mod assertions;
pub mod backend;
pub mod canary;
pub mod fault;
#[cfg(feature = "loopback-amqp")]
pub mod loopback_amqp;
#[cfg(feature = "loopback-sqs")]
pub mod loopback_sqs;
#[cfg(feature = "otlp")]
pub mod otlp;
mod text;
pub mod trace;
pub mod wire;
