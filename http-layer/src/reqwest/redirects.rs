use ::reqwest::{Url, redirect::Policy};
use propagation_core::Propagator;

use crate::client::releases_less;

/// The redirect handling of a client.
///
/// When reqwest follows a redirect to another origin, it removes `authorization`, `cookie` and three more headers, but not baggage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Redirects {
    /// Unknown. Trace context is sent; baggage is withheld and counted as a rejection.
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
        // reqwest resends the headers of the first request of the exchange.
        let first = attempt.previous().first().and_then(Url::host_str).unwrap_or_default();
        if releases_less(&propagator, attempt.url().host_str().unwrap_or_default(), first) {
            attempt.stop()
        } else {
            redirects.redirect(attempt)
        }
    })
}
