#![doc = include_str!("../README.md")]

mod attributes;
mod carrier;
mod consumer;
mod producer;

pub use carrier::{HeadersCarrier, HeadersCarrierMut};
pub use consumer::ConsumerPropagation;
pub use producer::ProducerPropagation;
use propagation_core::Transport;

/// The transport in policy rules: `nats:orders.*`. A policy with such rules declares it.
pub const NATS: Transport = Transport::from_static("nats");
