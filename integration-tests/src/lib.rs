#![cfg_attr(feature = "otlp", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "otlp"), doc = "Assertions on traces for test suites. The feature `otlp` adds a receiver.")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod assertions;
pub mod backend;
pub mod canary;
pub mod fault;
#[cfg(feature = "services")]
pub mod forwarding;
pub mod html;
#[cfg(feature = "opentelemetry-sdk-0-33")]
pub mod in_memory;
#[cfg(feature = "loopback-amqp")]
pub mod loopback_amqp;
#[cfg(feature = "loopback-sqs")]
pub mod loopback_sqs;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(feature = "services")]
pub mod services;
#[cfg(feature = "services")]
pub mod telemetry;
mod text;
pub mod trace;
pub mod wire;
