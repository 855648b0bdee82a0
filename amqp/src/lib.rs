#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod attributes;
mod carrier;
mod consumer;
mod ext;
mod frame;
mod names;
mod producer;

pub use attributes::ServerAddress;
pub use carrier::{PropertiesCarrier, PropertiesCarrierMut};
pub use consumer::ConsumerPropagation;
pub use ext::{DeliveryExt, PropertiesExt};
pub use frame::FrameLimit;
pub use producer::ProducerPropagation;

mod sealed {
    pub trait Sealed {}
}
