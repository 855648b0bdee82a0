//! What both sides of a request share: the hop is entered on every poll, and on drop, of the response's future and of its body,
//! and ends with the body.
//!
//! gRPC is HTTP: `propagation-grpc` is these types with its own way to [`Classify`] a response.

mod body;
mod future;

use http::{HeaderMap, response::Parts};
use propagation_core::{HopSpan, Outcome};

pub use body::ResponseBody;
pub use future::ResponseFuture;

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

    /// Looks at the trailers.
    fn trailers(&mut self, trailers: &HeaderMap, hop: &HopSpan);

    /// How it ended, as far as that is known; asked once, when the body has ended or the exchange was given up.
    fn outcome(&mut self, ending: Ending, hop: &HopSpan) -> Outcome;

    /// How it ended where the service or the body failed.
    fn failed(&mut self, error: &'static str, hop: &HopSpan) -> Outcome;
}
