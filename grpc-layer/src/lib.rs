#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod carrier;
mod classify;
mod client;
mod deadline;
mod descriptor;
mod interceptor;
mod metadata;
mod method;
mod methods;
mod server;
mod status;
mod web;

pub use carrier::{MetadataCarrier, MetadataCarrierMut};
pub use classify::{CallClassifier, GrpcClassifier};
pub use client::{ClientPropagation, ClientPropagationLayer};
pub use descriptor::DescriptorSetError;
pub use interceptor::{Admitted, ClientInterceptor, ServerInterceptor};
pub use server::{ServerPropagation, ServerPropagationLayer};
