//! Extension point for protocols on top of HTTP: the response's future and body, and the classifiers of responses.
//!
//! [`ResponseFuture`] and [`ResponseBody`] enter the hop on every poll and on drop. The hop ends with the body. A protocol
//! implements [`ClassifyResponse`] to derive the outcome from a response; `propagation-grpc` does so for the gRPC status.

mod body;
mod future;
mod server_hop;

use std::borrow::Cow;

use bytes::Buf;
use http::{HeaderMap, response::Parts};
use propagation_core::{Exception, HopSpan, Outcome};

pub use crate::{client::ClientClassifier, server::ServerClassifier};
pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use server_hop::ServerHop;

/// How far the body of a response was read when the exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyEnd {
    /// The body was read to its end, or has no bytes left.
    Complete,
    /// The body was dropped before its end, after at least one poll.
    Aborted,
    /// The body was dropped before the first poll. For example, a client reads only the status.
    NotRead,
    /// The future was dropped before there was a response.
    NoResponse,
}

/// Derives attributes and the outcome of a hop from a response.
///
/// The methods are called in the order of the response. Exactly one of [`classify`](Self::classify) and
/// [`on_failure`](Self::on_failure) is called, as the last one.
pub trait ClassifyResponse {
    /// Inspects the head of the response. May change it and set attributes of the hop.
    fn on_response(&mut self, head: &mut Parts, hop: &HopSpan);

    /// Inspects a data frame of the body. Called only if the hop records.
    fn on_data(&mut self, data: &impl Buf, hop: &HopSpan) {
        let _ = (data, hop);
    }

    /// Inspects the trailers.
    fn on_trailers(&mut self, trailers: &HeaderMap, hop: &HopSpan);

    /// Returns the outcome of an exchange whose body ended or that was dropped.
    fn classify(&mut self, end: BodyEnd, hop: &HopSpan) -> Outcome;

    /// Returns the error of a service or body unchanged, and the outcome.
    fn on_failure<E: 'static>(&mut self, error: E, hop: &HopSpan) -> (E, Outcome);
}

/// Returns the outcome of a service or body that failed. `error.type` is the type of the error, also of a boxed one.
pub(crate) fn failure<E: 'static>(error: &E) -> Outcome {
    Outcome::raised(Exception::new(kind(error)))
}

#[cfg(feature = "axum-0-8")]
fn kind<E: 'static>(error: &E) -> Cow<'static, str> {
    // `axum::Error` wraps a boxed error.
    match (error as &dyn std::any::Any).downcast_ref::<axum::Error>() {
        Some(error) => propagation_core::hop::dyn_error_type(error),
        None => propagation_core::hop::error_type(error),
    }
}

#[cfg(not(feature = "axum-0-8"))]
fn kind<E: 'static>(error: &E) -> Cow<'static, str> {
    propagation_core::hop::error_type(error)
}
