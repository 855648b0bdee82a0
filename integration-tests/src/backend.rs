//! Spans from backends' query APIs and from files.
//!
//! Each format has a reader from bytes to [`Span`](crate::trace::Span)s, which needs no feature. The feature `backend` adds
//! clients over `http://` and `https://`.

#[cfg(feature = "backend")]
mod client;
#[cfg(feature = "backend")]
mod endpoint;
mod error;
pub mod jaeger;
mod json;
pub mod otlp_json;
pub mod tempo;
pub mod zipkin;

#[cfg(feature = "backend")]
pub use endpoint::Endpoint;
pub use error::BackendError;
