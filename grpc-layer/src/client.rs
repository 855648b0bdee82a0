//! The client's side.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, Uri, request::Parts};
use http_body::Body;
use propagation_core::{Hop, HopSpan, Propagator, SpanKind};
use propagation_http::{
    CallerContext, attributes,
    exchange::{ResponseBody, ResponseFuture, ServerHop},
};
use tonic::GrpcMethod;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    DescriptorSetError, carrier,
    classify::GrpcClassifier,
    deadline::Deadline,
    method::{MethodName, UnknownMethod, is_infrastructure},
    methods::Methods,
};

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
    methods: Methods,
    infrastructure: bool,
}

impl ClientPropagationLayer {
    /// A layer for this propagator, around a `tonic::transport::Channel`.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self {
            options: Arc::new(Options {
                propagator,
                peer: String::new(),
                server: None,
                methods: Methods::default(),
                infrastructure: false,
            }),
        }
    }

    /// Who is called, as policy rules name it (`grpc:…`): a service such as `shop.Orders`, or a host.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.options).peer = peer.into();
        self
    }

    /// Host and port of the server, for `server.address` and `server.port`. Without it, those of the request's URI, which a layer around a
    /// channel does not see.
    #[must_use]
    pub fn server(mut self, authority: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.options).server = Some(authority.into());
        self
    }

    /// Like [`server`](Self::server), from the URI of tonic's `Endpoint`.
    ///
    /// ```
    /// # use propagation_core::Propagator;
    /// use propagation_grpc::ClientPropagationLayer;
    /// use tonic::transport::Endpoint;
    ///
    /// let endpoint = Endpoint::from_static("http://orders.internal:50051");
    /// let layer = ClientPropagationLayer::new(Propagator::default()).endpoint(endpoint.uri());
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn endpoint(self, uri: &Uri) -> Self {
        match uri.authority() {
            Some(authority) => self.server(authority.as_str()),
            None => self,
        }
    }

    /// Declares methods, as `package.Service/Method`, for clients without the generated code of tonic, which names them.
    #[must_use]
    pub fn with_methods(mut self, methods: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let declared = &mut Arc::make_mut(&mut self.options).methods;
        methods.into_iter().for_each(|method| declared.declare(method.as_ref()));
        self
    }

    /// Declares the methods of an encoded `FileDescriptorSet`, for clients without the generated code of tonic.
    ///
    /// # Errors
    ///
    /// If the bytes are no descriptor set, or one without methods.
    pub fn with_descriptor_set(mut self, set: &[u8]) -> Result<Self, DescriptorSetError> {
        Arc::make_mut(&mut self.options).methods.declare_set(set)?;
        Ok(self)
    }

    /// Whether calls to the health and reflection services (`grpc.health.v1`, `grpc.reflection.v1`) get a span; by default they do not.
    #[must_use]
    pub fn with_health_and_reflection(mut self, spans: bool) -> Self {
        Arc::make_mut(&mut self.options).infrastructure = spans;
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
    type Response = Response<ResponseBody<ResBody, GrpcClassifier>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, GrpcClassifier>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        ServerHop::remove(&mut head.extensions);
        let caller = CallerContext::take(&mut head.extensions);
        let call = || {
            let (hop, unknown) = self.options.start(&mut head);
            let deadline = hop.records().then(|| Deadline::of(&head.headers)).flatten();
            let request = Request::from_parts(head, body);
            let inner = hop.in_scope(|| self.inner.call(request));
            ResponseFuture::new(inner, hop, GrpcClassifier::new(SpanKind::Client, deadline, unknown), false)
        };
        match caller {
            Some(caller) => caller.in_scope(call),
            None => call(),
        }
    }
}

impl Options {
    /// Starts the span of a call and puts its context on the metadata.
    fn start(&self, head: &mut Parts) -> (HopSpan, Option<UnknownMethod>) {
        let propagator = &self.propagator;
        let mut unknown = None;
        let hop = if !propagator.records() || (!self.infrastructure && is_infrastructure(head.uri.path())) {
            propagator.pass(propagator.current())
        } else {
            let mut hop = Hop::local(SpanKind::Client, propagator.current());
            let method = self.method_of(head);
            method.describe(&mut hop);
            let authority = self.server.as_deref().or_else(|| head.uri.authority().map(http::uri::Authority::as_str));
            if let Some(authority) = authority {
                attributes::server(&mut hop, authority, "http", false);
            }
            unknown = method.unknown;
            propagator.start(hop)
        };
        carrier::inject(propagator, &self.peer, hop.context(), &mut head.headers);
        (hop, unknown)
    }

    fn method_of(&self, head: &Parts) -> MethodName {
        match head.extensions.get::<GrpcMethod<'static>>() {
            Some(generated) => MethodName::known(format!("{}/{}", generated.service(), generated.method())),
            None => MethodName::of_path(head.uri.path(), &self.methods),
        }
    }
}
