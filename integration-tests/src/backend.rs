//! Spans from elsewhere: backends' query APIs and files.
//!
//! Each format has a reader from bytes to [`Span`](crate::trace::Span)s, which needs nothing but the bytes. With the
//! feature `backend` there are clients besides, for plain `http://` addresses such as those of a test's own stack.

#[cfg(feature = "backend")]
mod client;
mod error;
pub mod jaeger;
mod json;
pub mod otlp_json;
pub mod zipkin;

pub use error::BackendError;
