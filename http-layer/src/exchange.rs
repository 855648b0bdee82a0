//! What both sides of a request share: the hop is entered on every poll, and on drop, of the response's future and of its body,
//! and ends with the body.
//!
//! gRPC is HTTP: `propagation-grpc` is these types with its own way to [`Classify`] a response.

mod body;
mod future;

mod server_hop;

use std::borrow::Cow;

use bytes::Buf;
use http::{HeaderMap, response::Parts};
use propagation_core::{Exception, HopSpan, Outcome};

pub use crate::server::ServerClassify;
pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use server_hop::ServerHop;

/// How far an exchange has come when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All of the body was there.
    Complete,
    /// The body was dropped before its end.
    Midway,
    /// The body was dropped and nobody had asked for any of it: who wants the status alone does so.
    Unread,
    /// The future was dropped before there was a response.
    Unanswered,
}

/// Tells from a response how the exchange ended.
pub trait Classify {
    /// Looks at the head of the response; may change it, and note attributes.
    fn head(&mut self, head: &mut Parts, hop: &HopSpan);

    /// Looks at a part of the body; called only where the hop records.
    fn data(&mut self, data: &impl Buf, hop: &HopSpan) {
        let _ = (data, hop);
    }

    /// Looks at the trailers.
    fn trailers(&mut self, trailers: &HeaderMap, hop: &HopSpan);

    /// How it ended, as far as that is known; asked once, when the body has ended or the exchange was given up.
    fn outcome(&mut self, ending: Ending, hop: &HopSpan) -> Outcome;

    /// Returns the outcome of a service or body that failed, and the error as it was.
    fn failed<E: 'static>(&mut self, error: E, hop: &HopSpan) -> (E, Outcome);
}

/// The outcome of a service or body that failed: the type of its error, also of one in a box.
pub(crate) fn failure<E: 'static>(error: &E) -> Outcome {
    Outcome::raised(Exception::new(kind(error)))
}

#[cfg(feature = "axum-0-8")]
fn kind<E: 'static>(error: &E) -> Cow<'static, str> {
    // axum's error is a box by another name.
    match (error as &dyn std::any::Any).downcast_ref::<axum::Error>() {
        Some(error) => propagation_core::dyn_error_type(error),
        None => propagation_core::error_type(error),
    }
}

#[cfg(not(feature = "axum-0-8"))]
fn kind<E: 'static>(error: &E) -> Cow<'static, str> {
    propagation_core::error_type(error)
}
