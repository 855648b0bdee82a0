#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod carrier;
mod classify;
mod client;
mod deadline;
mod interceptor;
mod method;
mod server;

pub use carrier::MetadataCarrierMut;
pub use client::{ClientPropagation, ClientPropagationLayer};
pub use interceptor::{Admitted, ClientInterceptor, ServerInterceptor};
pub use server::{ServerPropagation, ServerPropagationLayer};
