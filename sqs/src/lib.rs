#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod attributes;
mod carrier;
mod consumer;
#[cfg(any(feature = "eventbridge", feature = "sns"))]
mod destination;
#[cfg(feature = "envelopes")]
mod envelope;
mod ext;
mod interceptor;
#[cfg(feature = "envelopes")]
pub mod lambda;
mod mode;

#[cfg(feature = "eventbridge")]
pub use carrier::EventCarrierMut;
#[cfg(feature = "sns")]
pub use carrier::NotificationCarrierMut;
pub use carrier::{MessageCarrier, MessageCarrierMut, OutgoingMessage, PACKED_ATTRIBUTE};
pub use consumer::ConsumerPropagation;
pub use ext::{MessageExt, OutgoingExt};
pub use interceptor::SqsInterceptor;
pub use mode::{AttributeMode, SizeLimit};
