//! The client's side.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use propagation_core::{Hop, Propagator, SpanKind};
use propagation_http::{
    attributes,
    exchange::{ResponseBody, ResponseFuture},
};
use tower_layer::Layer;
use tower_service::Service;

use crate::{carrier, classify::GrpcClassify, deadline::Deadline, method::RpcMethod, server::describe};

/// Sends the current context with every call, as far as the policy lets its peer learn it, with a CLIENT span named
/// `package.Service/Method`.
///
/// tonic's layers around a channel see no authority: say who the [peer](Self::peer) is, else it is an unknown host, and gets trace
/// context and no baggage.
#[derive(Clone, Debug)]
pub struct ClientPropagationLayer {
    options: Arc<Options>,
}

#[derive(Clone, Debug)]
struct Options {
    propagator: Propagator,
    peer: String,
    server: Option<String>,
}

impl ClientPropagationLayer {
    /// A layer for this propagator, around a `tonic::transport::Channel`.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { options: Arc::new(Options { propagator, peer: String::new(), server: None }) }
    }

    /// Who is called, as policy rules name it (`grpc:…`): a service such as `shop.Orders`, or a host.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.options).peer = peer.into();
        self
    }

    /// Host and port of the server, for `server.address` and `server.port`; without it, the peer.
    #[must_use]
    pub fn server(mut self, authority: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.options).server = Some(authority.into());
        self
    }
}

impl<S> Layer<S> for ClientPropagationLayer {
    type Service = ClientPropagation<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientPropagation { inner, options: Arc::clone(&self.options) }
    }
}

/// The service of [`ClientPropagationLayer`].
#[derive(Clone, Debug)]
pub struct ClientPropagation<S> {
    inner: S,
    options: Arc<Options>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ClientPropagation<S>
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
        let Options { propagator, peer, server } = &*self.options;
        let mut hop = Hop::local(SpanKind::Client, propagator.current());
        if propagator.records() {
            describe(&mut hop, RpcMethod::of(&head.uri));
            let authority = head.uri.authority().map(http::uri::Authority::as_str);
            let authority = server.as_deref().or(authority).unwrap_or(peer);
            attributes::server(&mut hop, authority, "http", false);
        }
        let hop = propagator.start(hop);
        carrier::inject(propagator, peer, hop.context(), &mut head.headers);
        let deadline = hop.records().then(|| Deadline::of(&head.headers)).flatten();
        let request = Request::from_parts(head, body);
        let inner = hop.in_scope(|| self.inner.call(request));
        ResponseFuture::new(inner, hop, GrpcClassify::new(SpanKind::Client, deadline), false)
    }
}
