#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attributes;
mod carrier;
mod consumer;
mod ext;
mod frame;
mod producer;

pub use carrier::{HeadersCarrier, PropertiesCarrier};
pub use consumer::ConsumerPropagation;
pub use ext::{DeliveryExt, PropertiesExt};
pub use frame::FrameLimit;
pub use producer::ProducerPropagation;
