//! Redirect guard for `FollowRedirect` of tower-http 0.6.

use http::{Extensions, Request, Uri};
use propagation_core::{HopSpan, Propagator};
use tower_http::follow_redirect::{
    RequestUri,
    policy::{Action, Attempt, Policy},
};

use crate::client::{Options, Report, releases_less};

/// A redirect policy for a `FollowRedirect` inside a [`ClientPropagationLayer`](crate::ClientPropagationLayer), which resends the headers
/// of the first host.
///
/// Stops and returns the redirect if the next host may receive less context than the first. Otherwise the wrapped policy decides. A
/// `FollowRedirect` outside the layer needs no guard: each of its requests has its own span and headers.
///
/// ```
/// use propagation_core::Propagator;
/// use propagation_http::{ClientPropagationLayer, GuardRedirects};
/// use tower::ServiceBuilder;
/// use tower_http::follow_redirect::{FollowRedirectLayer, policy::Limited};
///
/// let propagator = Propagator::default();
/// let above = ServiceBuilder::new()
///     .layer(FollowRedirectLayer::new())
///     .layer(ClientPropagationLayer::new(propagator.clone()));
/// let below = ServiceBuilder::new()
///     .layer(ClientPropagationLayer::new(propagator.clone()))
///     .layer(FollowRedirectLayer::with_policy(GuardRedirects::new(propagator, Limited::default())));
/// # let _ = (above, below);
/// ```
#[derive(Clone, Debug)]
pub struct GuardRedirects<P> {
    inner: P,
    propagator: Propagator,
    /// The host of the first request. `FollowRedirect` clones the policy for each exchange.
    first: Option<String>,
}

impl<P> GuardRedirects<P> {
    /// Wraps a redirect policy.
    #[must_use]
    pub fn new(propagator: Propagator, inner: P) -> Self {
        Self { inner, propagator, first: None }
    }
}

impl<P: Policy<B, E>, B, E> Policy<B, E> for GuardRedirects<P> {
    fn redirect(&mut self, attempt: &Attempt<'_>) -> Result<Action, E> {
        let first = self.first.get_or_insert_with(|| host(attempt.previous()).to_owned());
        if releases_less(&self.propagator, host(attempt.location()), first) {
            Ok(Action::Stop)
        } else {
            self.inner.redirect(attempt)
        }
    }

    fn on_request(&mut self, request: &mut Request<B>) {
        self.inner.on_request(request);
    }

    fn clone_body(&self, body: &B) -> Option<B> {
        self.inner.clone_body(body)
    }
}

fn host(uri: &Uri) -> &str {
    uri.authority().map(http::uri::Authority::as_str).unwrap_or_default()
}

/// Logs one warning if a `FollowRedirect` without the guard followed a redirect below the layer.
pub(crate) fn check_final_uri(options: &Options, extensions: &Extensions, hop: &HopSpan, first: &str) {
    let Some(RequestUri(last)) = extensions.get() else { return };
    if options.has_leaked(hop.context(), first, host(last), true) && options.is_first(Report::FollowedRedirect) {
        tracing::warn!(
            target: "propagation",
            "FollowRedirect below ClientPropagationLayer followed a redirect to a host that may receive less context than the first, \
             and sent the first host's headers; put FollowRedirect above the layer, or wrap its policy in GuardRedirects"
        );
    }
}
