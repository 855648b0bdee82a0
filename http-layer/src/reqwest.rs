//! For reqwest 0.13, as a middleware of `reqwest-middleware` 0.5.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ::reqwest::{
    Body, Request, Response, ResponseBuilderExt, StatusCode, Url, header, redirect::Policy as RedirectPolicy,
};
use http::{Extensions, Method, Uri};
use propagation_core::{Direction, HopSpan, Outcome, Propagator, Reason};
use reqwest_middleware::{Middleware, Next, Result};

use crate::{
    Redaction,
    client::{ClientClassify, Options},
    exchange::{Classify, ResponseBody},
};

/// Sends the current context with every request, as far as the policy lets its host learn it, with a CLIENT span an attempt that
/// covers the body of the response.
///
/// reqwest follows redirects below any middleware and takes the headers along, to whatever host. So redirects are followed
/// here, each with a span and a release of its own: give it a client that doesn't, from
/// [`client_builder`](Self::client_builder). They are followed as reqwest does it, but without a `Referer`.
///
/// ```
/// use propagation_core::Propagator;
/// use propagation_http::ReqwestPropagation;
///
/// let client = ReqwestPropagation::client_builder().build()?;
/// let client = reqwest_middleware::ClientBuilder::new(client)
///     .with(ReqwestPropagation::new(Propagator::default()))
///     .build();
/// # let _ = client;
/// # Ok::<(), reqwest::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestPropagation {
    options: Arc<Options>,
    redirects: u32,
    warned: Arc<AtomicBool>,
}

impl ReqwestPropagation {
    /// How many redirects are followed, as reqwest does by itself.
    pub const MAX_REDIRECTS: u32 = 10;

    /// A middleware for this propagator.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self {
            options: Arc::new(Options::new(propagator)),
            redirects: Self::MAX_REDIRECTS,
            warned: Arc::new(AtomicBool::new(false)),
        }
    }

    /// A builder of clients that leave redirects to the middleware.
    pub fn client_builder() -> ::reqwest::ClientBuilder {
        ::reqwest::Client::builder().redirect(RedirectPolicy::none())
    }

    /// How many redirects to follow; with 0 none is, and the answer is the redirect. One more than that is an error, as it is with
    /// reqwest.
    #[must_use]
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.redirects = redirects;
        self
    }

    /// What is not shown of URLs.
    #[must_use]
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        Arc::make_mut(&mut self.options).redaction = redaction;
        self
    }

    async fn attempt(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
        resend: u32,
    ) -> Result<Response> {
        let (method, asked) = (request.method().clone(), request.url().clone());
        let uri = uri_of(&asked);
        let hop = self.options.start(&method, &uri, None, request.headers_mut(), resend);
        let answer = hop.scope(next.run(request, extensions)).await;
        match answer {
            Ok(response) => {
                self.warn_of_redirects(&asked, response.url());
                Ok(self.covering(response, hop, method == Method::HEAD))
            }
            Err(error) => {
                hop.end(&Outcome::error(kind(&error)));
                Err(error)
            }
        }
    }

    /// The same response with a body that ends the hop.
    fn covering(&self, response: Response, hop: HopSpan, bodiless: bool) -> Response {
        let mut classify = ClientClassify::new(Arc::clone(&self.options));
        let url = response.url().clone();
        let (mut head, body) = http::Response::<Body>::from(response).into_parts();
        classify.head(&mut head, &hop);
        let body = Body::wrap(ResponseBody::new(body, hop, classify, &head, bodiless));
        // reqwest keeps the URL beside the response, and takes it back from an extension.
        if let Ok(said) = http::Response::builder().url(url).body(()) {
            head.extensions.extend(said.into_parts().0.extensions);
        }
        http::Response::from_parts(head, body).into()
    }

    /// A client that follows redirects by itself has sent this host's context to another.
    fn warn_of_redirects(&self, asked: &Url, answered: &Url) {
        if asked.host() == answered.host() {
            return;
        }
        self.options.propagator.count(Direction::Outbound, Reason::NotCovered);
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "propagation",
                "the client follows redirects by itself and takes baggage along to other hosts; \
                 build it with ReqwestPropagation::client_builder()"
            );
        }
    }
}

#[async_trait::async_trait]
impl Middleware for ReqwestPropagation {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let mut request = request;
        let mut followed = 0;
        loop {
            // A body that can be read only once can't be sent again: such a request is not redirected.
            let again = if self.redirects > 0 { request.try_clone() } else { None };
            let response = self.attempt(request, extensions, next.clone(), followed).await?;
            match again.and_then(|again| redirected(again, &response)) {
                Some(_) if followed == self.redirects => {
                    return Err(reqwest_middleware::Error::middleware(TooManyRedirects));
                }
                Some(redirected) => request = redirected,
                None => return Ok(response),
            }
            followed += 1;
        }
    }
}

/// A server redirects without end.
#[derive(Debug)]
struct TooManyRedirects;

impl fmt::Display for TooManyRedirects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many redirects")
    }
}

impl std::error::Error for TooManyRedirects {}

/// The request that a redirect asks for (RFC 9110, 15.4).
fn redirected(mut request: Request, response: &Response) -> Option<Request> {
    let status = response.status();
    // As reqwest does it: of 301 and 302 only POST becomes GET, which is what browsers made of them.
    let drops_body = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *request.method() == Method::POST,
        StatusCode::SEE_OTHER => true,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
        _ => return None,
    };
    let location = std::str::from_utf8(response.headers().get(header::LOCATION)?.as_bytes()).ok()?;
    let target = request.url().join(location).ok().filter(|target| matches!(target.scheme(), "http" | "https"))?;
    if drops_body {
        if *request.method() != Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        *request.body_mut() = None;
        for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_ENCODING, header::TRANSFER_ENCODING]
        {
            request.headers_mut().remove(name);
        }
    }
    let same_origin = target.host() == request.url().host()
        && target.port_or_known_default() == request.url().port_or_known_default()
        && target.scheme() == request.url().scheme();
    if !same_origin {
        for name in [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION, header::WWW_AUTHENTICATE] {
            request.headers_mut().remove(name);
        }
        request.headers_mut().remove("cookie2");
    }
    request.headers_mut().remove(header::HOST);
    *request.url_mut() = target;
    Some(request)
}

fn uri_of(url: &Url) -> Uri {
    url.as_str().parse().unwrap_or_default()
}

/// What went wrong, in a word: an error's text may hold the URL.
fn kind(error: &reqwest_middleware::Error) -> &'static str {
    match error {
        reqwest_middleware::Error::Middleware(_) => "middleware",
        reqwest_middleware::Error::Reqwest(error) if error.is_timeout() => "timeout",
        reqwest_middleware::Error::Reqwest(error) if error.is_connect() => "connect",
        reqwest_middleware::Error::Reqwest(error) if error.is_body() || error.is_decode() => "body",
        reqwest_middleware::Error::Reqwest(_) => "request",
    }
}
