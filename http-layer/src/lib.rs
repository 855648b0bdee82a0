#![cfg_attr(all(feature = "axum-0-8", feature = "reqwest-0-13"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "axum-0-8", feature = "reqwest-0-13")),
    doc = "Trace context and baggage over HTTP: tower layers for servers and clients. The README has examples."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod attributes;
#[cfg(feature = "axum-0-8")]
mod axum;
mod carrier;
mod client;
pub mod exchange;
mod exclusions;
mod headers;
mod hosts;
#[cfg(feature = "hyper-1")]
mod hyper;
mod methods;
mod names;
mod redact;
#[cfg(feature = "reqwest-0-13")]
mod reqwest;
mod server;
#[cfg(feature = "tower-http-0-6")]
mod tower_http;

#[cfg(feature = "axum-0-8")]
pub use self::axum::CurrentContext;
#[cfg(feature = "hyper-1")]
pub use self::hyper::ContextExecutor;
#[cfg(feature = "reqwest-0-13")]
pub use self::reqwest::{Redirects, ReqwestPropagation};
#[cfg(feature = "tower-http-0-6")]
pub use self::tower_http::GuardRedirects;
pub use carrier::{HeaderCarrier, HeaderCarrierMut, extract, inject};
pub use client::{
    CallerContext, CallerContextLayer, ClientPropagation, ClientPropagationLayer, RequestOptions, ResendCount,
    ResendCountLayer, WithCallerContext, WithResendCount,
};
pub use exclusions::Exclusions;
pub use methods::KnownMethods;
pub use redact::Redaction;
pub use server::{ForwardingHeader, PeerAddress, ServerPropagation, ServerPropagationLayer, TrustedProxies};
