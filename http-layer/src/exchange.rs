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

/// Tells from a response how the exchange ended.
pub trait Classify {
    /// Looks at the head of the response; may change it, and note attributes.
    fn head(&mut self, head: &mut Parts, hop: &HopSpan);

    /// Looks at the trailers.
    fn trailers(&mut self, trailers: &HeaderMap, hop: &HopSpan);

    /// How it ended, as far as that is known; asked once, when the body has ended or was given up. `complete` says whether
    /// all of the body was there.
    fn outcome(&mut self, complete: bool, hop: &HopSpan) -> Outcome;

    /// How it ended where there was no response.
    fn failed(&mut self, error: &'static str, hop: &HopSpan) -> Outcome;
}
