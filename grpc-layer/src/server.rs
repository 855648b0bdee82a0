//! The server layer.

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, HeaderMap, HeaderName, Request, Response, header::CONTENT_TYPE, request::Parts};
use http_body::Body;
use propagation_core::{Hop, HopSpan, Peer, Propagator, SpanKind, Transport};
use propagation_http::{
    Exclusions, ForwardingHeader, PeerAddress, TrustedProxies,
    attributes::{Servers, SpanNames},
    exchange::{ResponseBody, ResponseFuture, ServerHop},
};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    DescriptorSetError, MetadataCarrier,
    classify::{CallClassifier, GrpcClassifier, is_grpc},
    deadline::Deadline,
    metadata::RecordedMetadata,
    method::{MethodName, UnknownMethod, is_infrastructure},
    methods::Methods,
};

/// Extracts the context from call metadata, as far as the policy admits it, and starts a SERVER span named `package.Service/Method`.
/// The span covers the whole call, including streams in both directions.
///
/// Spans and metrics contain known methods only: [declared](Self::with_methods) ones, and those learned from a call that succeeded or
/// returned a message. Any other method is `_OTHER`, so that callers cannot create span names or time series. Requests without a gRPC
/// content type are recorded as plain HTTP requests.
#[derive(Clone)]
pub struct ServerPropagationLayer {
    options: Arc<Options>,
}

type RequestFn<R> = Arc<dyn Fn(&Parts) -> R + Send + Sync>;
type ClaimFn = Arc<dyn Fn(&Parts, &str) -> Option<String> + Send + Sync>;

#[derive(Clone)]
struct Options {
    propagator: Propagator,
    methods: Methods,
    infrastructure: bool,
    exclusions: Exclusions,
    metadata: Arc<RecordedMetadata>,
    filter: Option<RequestFn<bool>>,
    identity: Option<RequestFn<Option<String>>>,
    claims: Option<ClaimFn>,
    proxies: TrustedProxies,
    network_peer: bool,
    servers: Servers,
    names: SpanNames,
    /// The layer for requests that are not gRPC calls.
    http: propagation_http::ServerPropagationLayer,
}

impl ServerPropagationLayer {
    /// Creates a layer for a propagator, for `tonic::transport::Server::layer`.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self {
            options: Arc::new(Options {
                http: propagation_http::ServerPropagationLayer::new(propagator.clone()),
                propagator,
                methods: Methods::default(),
                infrastructure: false,
                exclusions: Exclusions::default(),
                metadata: Arc::default(),
                filter: None,
                identity: None,
                claims: None,
                proxies: TrustedProxies::default(),
                network_peer: false,
                servers: Servers::default(),
                names: SpanNames::default(),
            }),
        }
    }

    /// Declares methods of the service, as `package.Service/Method`. Their spans have their names from the first call on, even if every
    /// call fails.
    #[must_use]
    pub fn with_methods(mut self, methods: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let declared = &mut self.options_mut().methods;
        methods.into_iter().for_each(|method| declared.declare(method.as_ref()));
        self
    }

    /// Declares the methods of an encoded `FileDescriptorSet`, for example the one of the reflection service.
    ///
    /// # Errors
    ///
    /// Returns an error if the bytes are not a descriptor set, or if it has no methods.
    pub fn with_descriptor_set(mut self, set: &[u8]) -> Result<Self, DescriptorSetError> {
        self.options_mut().methods.declare_set(set)?;
        Ok(self)
    }

    /// Sets whether calls of the health and reflection services (`grpc.health.v1`, `grpc.reflection.v1`) get a span. Off by default.
    #[must_use]
    pub fn with_health_and_reflection(mut self, spans: bool) -> Self {
        self.options_mut().infrastructure = spans;
        self
    }

    /// Excludes requests from spans by path and method, such as `/shop.Orders/Watch`. They still propagate the context.
    #[must_use]
    pub fn exclude(mut self, exclusions: Exclusions) -> Self {
        let options = self.options_mut();
        options.exclusions = exclusions.clone();
        options.http = options.http.clone().exclude(exclusions);
        self
    }

    /// Adds request metadata to record as attributes (`rpc.request.metadata.{name}`). By default none is recorded. Credentials
    /// (`authorization`, `x-api-key`, …) and values marked as sensitive are never recorded.
    #[must_use]
    pub fn record_request_metadata(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Arc::make_mut(&mut self.options_mut().metadata).request.extend(names);
        self
    }

    /// Adds response metadata, trailers included, to record as attributes (`rpc.response.metadata.{name}`), like
    /// [`record_request_metadata`](Self::record_request_metadata).
    #[must_use]
    pub fn record_response_metadata(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Arc::make_mut(&mut self.options_mut().metadata).response.extend(names);
        self
    }

    /// Sets which requests get a span, besides [excluded](Self::exclude) ones. Other requests propagate the context without a span.
    #[must_use]
    pub fn filter(mut self, filter: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        let filter: RequestFn<bool> = Arc::new(filter);
        let options = self.options_mut();
        options.filter = Some(Arc::clone(&filter));
        options.http = options.http.clone().filter(move |head| filter(head));
        self
    }

    /// Sets the function that returns a caller's authenticated identity, for policy rules with `identity:…`.
    ///
    /// Never derive it from a header that the caller can choose.
    #[must_use]
    pub fn identity(mut self, identity: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        let identity: RequestFn<Option<String>> = Arc::new(identity);
        let options = self.options_mut();
        options.identity = Some(Arc::clone(&identity));
        options.http = options.http.clone().identity(move |head| identity(head));
        self
    }

    /// Sets the function that returns a claim about the caller by its name, for policy rules with `baggage_from_claims`.
    ///
    /// It is called only for the claims that the matching rule lists. Read claims from data that the application has verified, such as a
    /// request extension of its authentication; never from metadata that the caller can choose.
    #[must_use]
    pub fn claims(mut self, claims: impl Fn(&Parts, &str) -> Option<String> + Send + Sync + 'static) -> Self {
        let claims: ClaimFn = Arc::new(claims);
        let options = self.options_mut();
        options.claims = Some(Arc::clone(&claims));
        options.http = options.http.clone().claims(move |head, name| claims(head, name));
        self
    }

    /// Sets the proxies whose `x-forwarded-for` or `forwarded` (RFC 7239) is trusted for policy rules with `address:…`. By default the headers
    /// are ignored.
    #[must_use]
    pub fn trusted_proxies(mut self, trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        let trusted = Arc::new(trusted);
        let options = self.options_mut();
        let for_http = Arc::clone(&trusted);
        options.proxies.set_trusted(move |address| trusted(address));
        options.http = options.http.clone().trusted_proxies(move |address| for_http(address));
        self
    }

    /// Sets the header in which the [trusted proxies](Self::trusted_proxies) report the address of their peer. The other one is ignored.
    ///
    /// Without this, both are read, and the caller is unknown if they disagree.
    #[must_use]
    pub fn with_forwarding_header(mut self, header: ForwardingHeader) -> Self {
        let options = self.options_mut();
        options.proxies = std::mem::take(&mut options.proxies).with_header(header);
        options.http = options.http.clone().with_forwarding_header(header);
        self
    }

    /// Sets whether the connection's remote address is recorded (`network.peer.address`, `network.peer.port`). Off by default: without a
    /// proxy in front it is the caller's address, which may be personal data.
    #[must_use]
    pub fn with_network_peer(mut self, record: bool) -> Self {
        let options = self.options_mut();
        options.network_peer = record;
        options.http = options.http.clone().with_network_peer(record);
        self
    }

    /// Sets the layer for plain HTTP requests on the same server, with its own options (routes, recorded headers). By default it has the
    /// filter, the identity, the claims and the proxies of this layer.
    #[must_use]
    pub fn with_http(mut self, layer: propagation_http::ServerPropagationLayer) -> Self {
        self.options_mut().http = layer;
        self
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

/// The service of [`ServerPropagationLayer`].
#[derive(Clone)]
pub struct ServerPropagation<S> {
    inner: S,
    options: Arc<Options>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ServerPropagation<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: 'static,
    ResBody: Body<Error: 'static>,
{
    type Response = Response<ResponseBody<ResBody, CallClassifier>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, CallClassifier>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let connection = connection(request.extensions_mut());
        if !has_grpc(request.headers()) {
            if let Some(address) = connection {
                request.extensions_mut().insert(address);
            }
            let bodiless = request.method() == http::Method::HEAD;
            let (hop, request, classifier) = self.options.http.start(request);
            let inner = hop.in_scope(|| self.inner.call(request));
            return ResponseFuture::new(inner, hop, CallClassifier::Http(classifier), bodiless);
        }
        let (mut head, body) = request.into_parts();
        let (hop, unknown) = self.options.start(&mut head, connection);
        let deadline = hop.is_recording().then(|| Deadline::from_headers(&head.headers)).flatten();
        let request = Request::from_parts(head, body);
        let inner = hop.in_scope(|| self.inner.call(request));
        let Options { propagator, metadata, .. } = &*self.options;
        let classifier = GrpcClassifier::new(SpanKind::Server, propagator, metadata, deadline, unknown);
        ResponseFuture::new(inner, hop, CallClassifier::Grpc(classifier), false)
    }
}

impl Options {
    fn start(&self, head: &mut Parts, connection: Option<PeerAddress>) -> (HopSpan, Option<UnknownMethod>) {
        if let Some(outer) = ServerHop::get(&head.extensions).cloned() {
            return self.join(&outer, head);
        }
        let identity = self.identity.as_ref().and_then(|identity| identity(head));
        let mut peer = Peer::caller(Transport::GRPC);
        peer.address = connection.and_then(|connection| self.proxies.caller(connection.ip(), &head.headers));
        peer.identity = identity.as_deref();
        let claims = |name: &str| self.claims.as_ref()?(head, name);
        let metadata = MetadataCarrier::new(&head.headers);
        let admission = self.propagator.extract_with_claims(&peer, &metadata, &claims);
        if !self.propagator.is_recording() || !self.has_span(head) {
            return (self.propagator.continue_from(admission.context), None);
        }
        let mut hop = Hop::admitted(SpanKind::Server, admission);
        let method = MethodName::from_path(head.uri.path(), &self.methods, &self.names, &self.propagator);
        let unknown = method.describe(&mut hop);
        hop.attributes.extend(self.metadata.of_request(&head.headers, &self.propagator.policy_guard()));
        let authority = propagation_http::attributes::authority(&head.uri, &head.headers);
        self.servers.describe(&mut hop, &self.propagator, authority);
        if self.network_peer {
            hop.attributes.extend(connection.into_iter().flat_map(propagation_http::attributes::network_peer));
        }
        let hop = self.propagator.start(hop);
        ServerHop::insert(&hop, true, &mut head.extensions);
        (hop, unknown)
    }

    /// Continues in the hop of an outer layer. If that is an HTTP layer, describes the hop as a call.
    fn join(&self, outer: &ServerHop, head: &mut Parts) -> (HopSpan, Option<UnknownMethod>) {
        if outer.is_rpc() || !self.has_span(head) {
            return (outer.hop().following(), None);
        }
        let hop = outer.hop().refining();
        let method = MethodName::from_path(head.uri.path(), &self.methods, &self.names, &self.propagator);
        let unknown = method.refine(&hop);
        for attribute in self.metadata.of_request(&head.headers, &self.propagator.policy_guard()) {
            hop.set_attribute(attribute.key, attribute.value);
        }
        ServerHop::insert(&hop, true, &mut head.extensions);
        (hop, unknown)
    }

    fn has_span(&self, head: &Parts) -> bool {
        (self.infrastructure || !is_infrastructure(head.uri.path()))
            && !self.exclusions.excludes(&head.method, head.uri.path())
            && self.filter.as_ref().is_none_or(|filter| filter(head))
    }
}

fn has_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| is_grpc(value.as_bytes()))
}

fn connection(extensions: &mut Extensions) -> Option<PeerAddress> {
    if let Some(address) = extensions.get::<PeerAddress>() {
        return Some(*address);
    }
    // `remote_addr` covers every connection type of tonic, including TLS, but exists on `tonic::Request` only.
    let mut request = tonic::Request::new(());
    std::mem::swap(request.extensions_mut(), extensions);
    let address = request.remote_addr();
    std::mem::swap(request.extensions_mut(), extensions);
    address.map(PeerAddress::from)
}

impl fmt::Debug for ServerPropagationLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerPropagationLayer").field("propagator", &self.options.propagator).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for ServerPropagation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerPropagation").field("inner", &self.inner).finish_non_exhaustive()
    }
}
