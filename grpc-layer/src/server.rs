//! The server's side.

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, Request, Response, request::Parts};
use http_body::Body;
use propagation_core::{Hop, HopSpan, Peer, Propagator, SpanKind};
use propagation_http::{
    HeaderCarrier, PeerAddress, TrustedProxies,
    attributes::push,
    exchange::{ResponseBody, ResponseFuture},
};
use tower_layer::Layer;
use tower_service::Service;

use crate::{classify::GrpcClassify, deadline::Deadline, method::RpcMethod};

/// Puts every call into the context that its metadata brings, as far as the policy admits it, with a SERVER span named
/// `package.Service/Method`. It covers the whole call, also of streams in either direction.
#[derive(Clone)]
pub struct ServerPropagationLayer {
    options: Arc<Options>,
}

type Ask<R> = Arc<dyn Fn(&Parts) -> R + Send + Sync>;

#[derive(Clone)]
struct Options {
    propagator: Propagator,
    filter: Option<Ask<bool>>,
    identity: Option<Ask<Option<String>>>,
    proxies: TrustedProxies,
}

impl ServerPropagationLayer {
    /// A layer for this propagator, for `tonic::transport::Server::layer`.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self {
            options: Arc::new(Options { propagator, filter: None, identity: None, proxies: TrustedProxies::default() }),
        }
    }

    /// Which calls get a span. The others (health checks) propagate all the same.
    #[must_use]
    pub fn filter(mut self, filter: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.options).filter = Some(Arc::new(filter));
        self
    }

    /// Who a caller is, as the application has established it: policy rules can name it.
    #[must_use]
    pub fn identity(mut self, identity: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.options).identity = Some(Arc::new(identity));
        self
    }

    /// The proxies whose `x-forwarded-for` counts for the address that policy rules match; none without this.
    #[must_use]
    pub fn trusted_proxies(mut self, trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.options).proxies = TrustedProxies::new(trusted);
        self
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
    type Response = Response<ResponseBody<ResBody, GrpcClassify>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, GrpcClassify>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let connection = connection(&mut head.extensions);
        let hop = self.options.start(&head, connection);
        let deadline = hop.records().then(|| Deadline::of(&head.headers)).flatten();
        let request = Request::from_parts(head, body);
        let inner = hop.in_scope(|| self.inner.call(request));
        ResponseFuture::new(inner, hop, GrpcClassify::new(SpanKind::Server, deadline), false)
    }
}

impl Options {
    fn start(&self, head: &Parts, connection: Option<IpAddr>) -> HopSpan {
        let identity = self.identity.as_ref().and_then(|identity| identity(head));
        let mut peer = Peer::grpc("");
        peer.address = connection.and_then(|connection| self.proxies.caller(connection, &head.headers));
        peer.identity = identity.as_deref();
        let admission = self.propagator.extract(&peer, &HeaderCarrier(&head.headers));
        if !self.propagator.records() {
            return self.propagator.pass(admission.context);
        }
        if !self.filter.as_ref().is_none_or(|filter| filter(head)) {
            return self.propagator.start(Hop::resume(admission.context));
        }
        let mut hop = Hop::admitted(SpanKind::Server, admission);
        describe(&mut hop, RpcMethod::of(&head.uri));
        let authority = propagation_http::attributes::authority(&head.uri, &head.headers);
        propagation_http::attributes::server(&mut hop, authority, "http", false);
        self.propagator.start(hop)
    }
}

/// Names a hop after its method; what is none is the system alone, so that callers can't make names up.
pub(crate) fn describe(hop: &mut Hop, method: RpcMethod<'_>) {
    push(hop, "rpc.system.name", "grpc");
    match method.full() {
        Some(full) => {
            hop.name = full.to_owned().into();
            push(hop, "rpc.method", full.to_owned());
        }
        None => hop.name = "grpc".into(),
    }
}

fn connection(extensions: &mut Extensions) -> Option<IpAddr> {
    if let Some(PeerAddress(address)) = extensions.get() {
        return Some(*address);
    }
    // tonic knows every kind of connection that its features bring, TLS among them, but tells it of its own requests only.
    let mut request = tonic::Request::new(());
    std::mem::swap(request.extensions_mut(), extensions);
    let address = request.remote_addr();
    std::mem::swap(request.extensions_mut(), extensions);
    address.map(|address| address.ip())
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
