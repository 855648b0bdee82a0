//! Middleware for reqwest 0.13 and `reqwest-middleware` 0.5.

mod redirects;

use std::sync::Arc;

use ::reqwest::{Body, Client, ClientBuilder, Request, Response, ResponseBuilderExt, redirect::Policy};
use http::{Extensions, Method};
use propagation_core::{HopSpan, Outcome, Propagator, RejectReason};
use reqwest_middleware::{Middleware, Next, Result};

pub use self::redirects::Redirects;
use crate::{
    RequestOptions, ResendCount, attributes,
    client::{ClientClassifier, Options, Report, Target, releases_less, switches::client_options},
    exchange::{ClassifyResponse, ResponseBody},
};

/// Injects the current context into every request, as far as the policy releases it to the host, and starts a CLIENT span that covers
/// the response body.
///
/// Redirects, cookies, credentials and timeouts remain the client's. A client that follows a redirect sends all but five headers to the
/// new host, and no middleware sees that request. Therefore baggage is sent only if the middleware knows how the client treats
/// redirects. Build both together, with the redirect policy of the client:
///
/// ```
/// use propagation_core::Propagator;
/// use propagation_http::ReqwestPropagation;
/// use reqwest::{Client, redirect::Policy};
///
/// let (client, propagation) =
///     ReqwestPropagation::with_client(Propagator::default(), Client::builder(), Policy::default())?;
/// let client = reqwest_middleware::ClientBuilder::new(client).with(propagation).build();
/// # let _ = client;
/// # Ok::<(), reqwest::Error>(())
/// ```
///
/// See [`Redirects`] for clients that are built elsewhere. Place retries outside this middleware: each attempt then has its own span, with
/// `http.request.resend_count` from the second one on. See [`RequestOptions`] for options of one request.
#[derive(Clone, Debug)]
pub struct ReqwestPropagation {
    options: Arc<Options>,
    redirects: Redirects,
}

impl ReqwestPropagation {
    /// Creates a middleware for a client with unknown redirect handling. It sends no baggage before
    /// [`with_redirects`](Self::with_redirects) is set.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { options: Arc::new(Options::new(propagator)), redirects: Redirects::default() }
    }

    /// Builds a client and its middleware. The client applies `redirects`, but stops and returns the redirect if the next host may
    /// receive less context than the first.
    ///
    /// `redirects` replaces the redirect policy of the builder, which cannot be read.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`ClientBuilder::build`].
    pub fn with_client(
        propagator: Propagator,
        client: ClientBuilder,
        redirects: Policy,
    ) -> ::reqwest::Result<(Client, Self)> {
        let propagation = Self::new(propagator).with_redirects(Redirects::Guarded);
        let client = client.redirect(propagation.guard(redirects)).build()?;
        Ok((client, propagation))
    }

    /// Sets how the client treats redirects.
    #[must_use]
    pub fn with_redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Wraps the redirect policy of a client that is built elsewhere. Combine it with [`Redirects::Guarded`].
    ///
    /// The client stops and returns the redirect if the next host may receive less context than the first. Otherwise `redirects` decides.
    #[must_use]
    pub fn guard(&self, redirects: Policy) -> Policy {
        redirects::guard(self.options.propagator.clone(), redirects)
    }

    client_options!();

    /// Starts the span of one attempt, or continues without one.
    fn start(&self, request: &Request, extensions: &mut Extensions, options: &RequestOptions) -> HopSpan {
        if !self.options.propagator.is_recording() {
            return self.options.continue_without_span(options);
        }
        // Attempts of one request share the extensions.
        let resend = extensions.get_or_insert_with(ResendCount::new).next_attempt();
        let target = Target::of_url(request.url(), request.headers());
        self.options.start(request.method(), &target, request.headers(), resend, options)
    }

    /// Injects the context into a request. Logs one warning if baggage is withheld.
    fn inject(&self, hop: &HopSpan, authority: &str, request: &mut Request, options: &RequestOptions) {
        let known = self.redirects != Redirects::Unknown;
        let host = attributes::host_and_port(authority).0;
        let peer = options.peer.as_deref().unwrap_or(host);
        // The redirect guard compares the next host with the URL's host.
        let guarded = self.redirects == Redirects::NotFollowed || !releases_less(&self.options.propagator, host, peer);
        let report = self.options.inject(hop, peer, request.headers_mut(), options, known && guarded);
        let withheld =
            !known && report.rejected().iter().any(|rejection| rejection.reason == RejectReason::UnsupportedOperation);
        if withheld && self.options.is_first(Report::WithheldBaggage) {
            tracing::warn!(
                target: "propagation",
                "baggage withheld from HTTP requests: reqwest would send it to other hosts when it follows a redirect. \
                 Build client and middleware with ReqwestPropagation::with_client, or wrap the client's redirect policy with \
                 ReqwestPropagation::guard and state Redirects::Guarded; for a client with redirect::Policy::none(), state \
                 Redirects::NotFollowed"
            );
        }
    }

    /// Wraps the body of a response so that it ends the hop.
    fn wrap_body(&self, response: Response, hop: HopSpan, bodiless: bool) -> Response {
        if !hop.has_scope() {
            // There is nothing to enter and to end while the body is read.
            return response;
        }
        // The address of a server, or of a proxy in between: not personal data.
        if let Some(peer) = response.remote_addr().filter(|_| hop.is_recording()) {
            attributes::network_peer(peer.into())
                .for_each(|attribute| hop.set_attribute(attribute.key, attribute.value));
        }
        let mut classifier = ClientClassifier::new(&self.options, "");
        let url = response.url().clone();
        let (mut head, body) = http::Response::<Body>::from(response).into_parts();
        classifier.on_response(&mut head, &hop);
        let body = Body::wrap(ResponseBody::new(body, hop, classifier, &head, bodiless));
        // reqwest stores the URL next to the response, and restores it from an extension.
        let mut carrier = http::Response::builder().url(url);
        if let Some(extensions) = carrier.extensions_mut() {
            extensions.extend(std::mem::take(&mut head.extensions));
            head.extensions = std::mem::take(extensions);
        }
        http::Response::from_parts(head, body).into()
    }
}

#[async_trait::async_trait]
impl Middleware for ReqwestPropagation {
    async fn handle(&self, mut request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let options = extensions.get().cloned().unwrap_or_else(RequestOptions::new);
        let hop = self.start(&request, extensions, &options);
        let bodiless = *request.method() == Method::HEAD;
        let authority = attributes::authority_of(request.url().authority(), request.headers()).into_owned();
        self.inject(&hop, &authority, &mut request, &options);
        let result = hop.scope(next.run(request, extensions)).await;
        match result {
            Ok(response) => {
                let baggage = self.redirects != Redirects::Unknown;
                let last = response.url().host_str().unwrap_or_default();
                if !options.without_propagation
                    && self.options.has_leaked(hop.context(), &authority, last, baggage)
                    && self.options.is_first(Report::FollowedRedirect)
                {
                    tracing::warn!(
                        target: "propagation",
                        stated = ?self.redirects,
                        "the client followed a redirect to a host that may receive less context than the first, and sent the first \
                         host's headers; build client and middleware with ReqwestPropagation::with_client"
                    );
                }
                Ok(self.wrap_body(response, hop, bodiless))
            }
            Err(error) => {
                hop.end(&Outcome::error(kind(&error)));
                Err(error)
            }
        }
    }
}

/// Returns the kind of an error for `error.type`. The error's text may contain the URL.
fn kind(error: &reqwest_middleware::Error) -> &'static str {
    match error {
        reqwest_middleware::Error::Middleware(_) => "middleware",
        reqwest_middleware::Error::Reqwest(error) if error.is_timeout() => "timeout",
        reqwest_middleware::Error::Reqwest(error) if error.is_connect() => "connect",
        reqwest_middleware::Error::Reqwest(error) if error.is_redirect() => "redirect",
        reqwest_middleware::Error::Reqwest(error) if error.is_body() || error.is_decode() => "body",
        reqwest_middleware::Error::Reqwest(_) => "request",
    }
}
