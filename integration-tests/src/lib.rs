//! Proof, in your own test suite, that a trace is not broken.
#![forbid(unsafe_code)]

#[cfg(feature = "loopback-amqp")]
pub mod loopback_amqp;
#[cfg(feature = "loopback-sqs")]
pub mod loopback_sqs;
pub mod trace;
