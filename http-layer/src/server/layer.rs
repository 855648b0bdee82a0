use std::{fmt, net::IpAddr, sync::Arc};

use http::{HeaderName, Request, request::Parts};
use propagation_core::{HopSpan, Propagator};
use tower_layer::Layer;

use super::{ForwardingHeader, ServerClassifier, ServerPropagation, TrustedProxies, response_ids::ResponseIds};
use crate::{
    Exclusions, KnownMethods, Redaction,
    attributes::{Servers, SpanNames, canonical_host},
    headers::RecordedHeaders,
};

/// Extracts the context from request headers, as far as the policy admits it, and starts a SERVER span for every request.
///
/// The span is named `{method} {route}`. The route is axum's (feature `axum-0-8`) or the result of [`route`](Self::route). The span covers
/// the service and the response body. See the crate's documentation for an example.
#[derive(Clone)]
pub struct ServerPropagationLayer {
    pub(super) options: Arc<Options>,
}

type RequestFn<R> = Arc<dyn Fn(&Parts) -> R + Send + Sync>;
type ClaimFn = Arc<dyn Fn(&Parts, &str) -> Option<String> + Send + Sync>;

#[derive(Clone)]
pub(super) struct Options {
    pub(super) propagator: Propagator,
    pub(super) exclusions: Exclusions,
    pub(super) filter: Option<RequestFn<bool>>,
    pub(super) identity: Option<RequestFn<Option<String>>>,
    pub(super) claims: Option<ClaimFn>,
    pub(super) route: Option<RequestFn<Option<String>>>,
    pub(super) names: SpanNames,
    pub(super) headers: RecordedHeaders,
    pub(super) methods: KnownMethods,
    pub(super) server_names: Vec<Box<str>>,
    pub(super) servers: Servers,
    pub(super) user_agent: bool,
    pub(super) client_address: bool,
    pub(super) network_peer: bool,
    pub(super) proxies: TrustedProxies,
    pub(super) scheme: &'static str,
    pub(super) redaction: Redaction,
    pub(super) response_ids: ResponseIds,
    pub(super) aborted_bodies: bool,
}

impl ServerPropagationLayer {
    /// Creates a layer for a propagator.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self {
            options: Arc::new(Options {
                propagator,
                exclusions: Exclusions::default(),
                filter: None,
                identity: None,
                claims: None,
                route: None,
                names: SpanNames::default(),
                headers: RecordedHeaders::default(),
                methods: KnownMethods::default(),
                server_names: Vec::new(),
                servers: Servers::default(),
                user_agent: false,
                client_address: false,
                network_peer: false,
                proxies: TrustedProxies::default(),
                scheme: "http",
                redaction: Redaction::default(),
                response_ids: ResponseIds::default(),
                aborted_bodies: false,
            }),
        }
    }

    /// Excludes requests from spans by path and method, such as [health checks](Exclusions::health_checks). They still propagate the context.
    #[must_use]
    pub fn exclude(mut self, exclusions: Exclusions) -> Self {
        self.options_mut().exclusions = exclusions;
        self
    }

    /// Sets which requests get a span, besides [excluded](Self::exclude) ones. Other requests propagate the context without a span.
    #[must_use]
    pub fn filter(mut self, filter: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.options_mut().filter = Some(Arc::new(filter));
        self
    }

    /// Sets the function that returns a caller's authenticated identity, for policy rules with `identity:…`.
    ///
    /// Never derive it from a header that the caller can choose.
    #[must_use]
    pub fn identity(mut self, identity: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.options_mut().identity = Some(Arc::new(identity));
        self
    }

    /// Sets the function that returns a claim about the caller by its name, for policy rules with `baggage_from_claims`.
    ///
    /// It is called only for the claims that the matching rule lists. Read claims from data that the application has verified, such as a
    /// request extension of its authentication; never from a header that the caller can choose.
    ///
    /// ```
    /// # use propagation_core::Propagator;
    /// use propagation_http::ServerPropagationLayer;
    ///
    /// /// Inserted into a request's extensions by your authentication.
    /// #[derive(Clone)]
    /// struct Token {
    ///     plan: String,
    /// }
    ///
    /// let layer = ServerPropagationLayer::new(Propagator::default()).claims(|request, name| match name {
    ///     "plan" => request.extensions.get::<Token>().map(|token| token.plan.clone()),
    ///     _ => None,
    /// });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn claims(mut self, claims: impl Fn(&Parts, &str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.options_mut().claims = Some(Arc::new(claims));
        self
    }

    /// Sets the proxies whose `x-forwarded-for` or `forwarded` (RFC 7239) is trusted for policy rules with `address:…`. By default the headers
    /// are ignored.
    ///
    /// Only list proxies that append the address of their peer: see [`TrustedProxies`].
    #[must_use]
    pub fn trusted_proxies(mut self, trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.options_mut().proxies.set_trusted(trusted);
        self
    }

    /// Sets the header in which the [trusted proxies](Self::trusted_proxies) report the address of their peer. The other one is ignored.
    ///
    /// Without this, both are read, and the caller is unknown if they disagree.
    #[must_use]
    pub fn with_forwarding_header(mut self, header: ForwardingHeader) -> Self {
        let options = self.options_mut();
        options.proxies = std::mem::take(&mut options.proxies).with_header(header);
        self
    }

    /// Sets the scheme of requests without one, such as HTTP/1 requests: `https` for a server behind TLS. `http` by default.
    #[must_use]
    pub fn with_scheme(mut self, scheme: &'static str) -> Self {
        self.options_mut().scheme = scheme;
        self
    }

    /// Sets the function that returns the route of a request, such as `/orders/{id}`. It must never return the path itself.
    #[must_use]
    pub fn route(mut self, route: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.options_mut().route = Some(Arc::new(route));
        self
    }

    /// Adds request headers to record as attributes. By default no header is recorded.
    #[must_use]
    pub fn record_request_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.options_mut().headers.request.extend(names);
        self
    }

    /// Adds response headers to record as attributes. By default no header is recorded.
    #[must_use]
    pub fn record_response_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.options_mut().headers.response.extend(names);
        self
    }

    /// Adds headers that hold credentials. They are never recorded, even if listed.
    ///
    /// Standard and well-known credential headers (`authorization`, `set-cookie`, `x-api-key`, …) and values marked as sensitive are
    /// never recorded either.
    #[must_use]
    pub fn with_credential_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.options_mut().headers.credentials.extend(names);
        self
    }

    /// Sets the methods that appear in span names and metrics. Any other method is `_OTHER`.
    #[must_use]
    pub fn with_known_methods(mut self, methods: KnownMethods) -> Self {
        self.options_mut().methods = methods;
        self
    }

    /// Adds the host names of this service: only these become `server.address`.
    ///
    /// Without names, spans have the host that the caller sent, and metrics have no host.
    #[must_use]
    pub fn with_server_names<I: IntoIterator<Item = S>, S: AsRef<str>>(mut self, names: I) -> Self {
        self.options_mut()
            .server_names
            .extend(names.into_iter().map(|name| Box::from(&*canonical_host(name.as_ref()))));
        self
    }

    /// Sets whether the `user-agent` header is recorded (`user_agent.original`). Off by default.
    #[must_use]
    pub fn with_user_agent(mut self, record: bool) -> Self {
        self.options_mut().user_agent = record;
        self
    }

    /// Sets whether the caller's address is recorded (`client.address`). Off by default: it may be personal data.
    #[must_use]
    pub fn with_client_address(mut self, record: bool) -> Self {
        self.options_mut().client_address = record;
        self
    }

    /// Sets whether the connection's remote address is recorded (`network.peer.address`, `network.peer.port`). Off by default: without a
    /// proxy in front it is the caller's address, which may be personal data.
    ///
    /// Known with axum's `ConnectInfo`, or from a [`PeerAddress`](crate::PeerAddress) in the request's extensions.
    #[must_use]
    pub fn with_network_peer(mut self, record: bool) -> Self {
        self.options_mut().network_peer = record;
        self
    }

    /// Sets which query values are redacted.
    #[must_use]
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.options_mut().redaction = redaction;
        self
    }

    /// Sets whether responses carry a `traceresponse` header with the ids of the server's span (an editor's draft of W3C Trace Context
    /// Level 2). Off by default.
    ///
    /// Only callers whose trace the policy continues (`full`, `ids-only`), and to which it releases trace context (no outbound rule with
    /// `trace_context = false` matches `http:`), get the header. Requests without a span get none. Scripts of another origin
    /// read it only if the response has `access-control-expose-headers: traceresponse`.
    #[must_use]
    pub fn with_traceresponse(mut self, send: bool) -> Self {
        self.options_mut().response_ids.traceresponse = send;
        self
    }

    /// Sets whether responses carry `server-timing: traceparent;desc="…"` with the ids of the server's span, for scripts in browsers
    /// (`PerformanceServerTiming`). Off by default.
    ///
    /// The conditions of [`with_traceresponse`](Self::with_traceresponse) apply. Pages of another origin see the entry only if the response has
    /// a `timing-allow-origin` header for their origin.
    #[must_use]
    pub fn with_server_timing(mut self, send: bool) -> Self {
        self.options_mut().response_ids.server_timing = send;
        self
    }

    /// Sets whether a body that is dropped before its end is an error (`error.type` is `cancelled`).
    ///
    /// Off by default: clients close event streams and downloads at any time.
    #[must_use]
    pub fn with_aborted_body_errors(mut self, errors: bool) -> Self {
        self.options_mut().aborted_bodies = errors;
        self
    }

    /// Starts the hop of a request, for a layer of another protocol on the same server.
    ///
    /// Call the service in the scope of the hop, and create a [`ResponseFuture`](crate::exchange::ResponseFuture) of its future, the hop
    /// and the classifier.
    #[must_use]
    pub fn start<B>(&self, request: Request<B>) -> (HopSpan, Request<B>, ServerClassifier) {
        let (hop, request, ids) = self.options.start(request);
        (hop, request, ServerClassifier::new(&self.options, ids))
    }

    fn options_mut(&mut self) -> &mut Options {
        Arc::make_mut(&mut self.options)
    }
}

impl<S> Layer<S> for ServerPropagationLayer {
    type Service = ServerPropagation<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ServerPropagation { inner, options: Arc::clone(&self.options) }
    }
}

impl fmt::Debug for ServerPropagationLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerPropagationLayer").field("propagator", &self.options.propagator).finish_non_exhaustive()
    }
}
