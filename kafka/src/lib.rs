#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod attributes;
mod carrier;
mod consumer;
mod ext;
mod producer;
mod raw;
mod record;

pub use carrier::{HeadersCarrier, HeadersCarrierMut, NativeHeaders};
pub use consumer::ConsumerPropagation;
pub use ext::{HeadersExt, MessageExt, OwnedHeadersExt};
pub use producer::{
    DeliveryFuture, DeliverySpan, DeliverySpans, Enqueue, EnqueueResult, PreparedMessage, ProducerPropagation,
};
pub use raw::{RawHeader, RawHeaders};
pub use record::Record;
