use ::reqwest::{Url, redirect::Policy};
use propagation_core::Propagator;

use crate::client::releases_less;

/// How a client treats redirects, as far as the code that built it has stated it.
///
/// reqwest strips `authorization`, `cookie` and three more headers where it follows a redirect to another origin, and no others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Redirects {
    /// Not stated. Baggage is withheld and counted (`not_covered`); trace context is sent.
    #[default]
    Unknown,
    /// The client follows no redirects: it was built with `redirect::Policy::none()`.
    NotFollowed,
    /// The client's redirect policy is wrapped by [`ReqwestPropagation::guard`](crate::ReqwestPropagation::guard).
    Guarded,
}

/// Wraps a redirect policy of reqwest.
pub(super) fn guard(propagator: Propagator, redirects: Policy) -> Policy {
    Policy::custom(move |attempt| {
        // The headers that reqwest takes along are those of the first request of the exchange.
        let first = attempt.previous().first().and_then(Url::host_str).unwrap_or_default();
        if releases_less(&propagator, attempt.url().host_str().unwrap_or_default(), first) {
            attempt.stop()
        } else {
            redirects.redirect(attempt)
        }
    })
}
