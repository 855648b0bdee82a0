//! Interceptors, for stacks without a tower layer. They start no spans, because they do not see the end of a call.

use std::{fmt, net::IpAddr, sync::Arc};

use propagation_core::{Admission, Peer, Propagator, Transport};
use propagation_http::{ForwardingHeader, PeerAddress, TrustedProxies};
use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

use crate::{MetadataCarrier, carrier};

/// Injects the current context into the metadata of calls.
///
/// ```
/// # use propagation_core::Propagator;
/// use propagation_grpc::ClientInterceptor;
///
/// let interceptor = ClientInterceptor::new(Propagator::default()).peer("shop.Orders");
/// // OrdersClient::with_interceptor(channel, interceptor)
/// # let _ = interceptor;
/// ```
#[derive(Clone, Debug)]
pub struct ClientInterceptor {
    propagator: Propagator,
    peer: String,
}

impl ClientInterceptor {
    /// Creates an interceptor for a propagator.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { propagator, peer: String::new() }
    }

    /// Sets the peer for policy rules with `grpc:…`: a service such as `shop.Orders`, or a host. Unknown by default.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<String>) -> Self {
        self.peer = peer.into();
        self
    }
}

impl Interceptor for ClientInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let mut headers = std::mem::take(request.metadata_mut()).into_headers();
        let context = self.propagator.current();
        carrier::inject(&self.propagator, &self.peer, &context, &mut headers);
        *request.metadata_mut() = MetadataMap::from_headers(headers);
        Ok(request)
    }
}

/// Extracts the context of calls, as far as the policy admits it, into their extensions as [`Admitted`]. Handlers enter it explicitly.
///
/// ```
/// use propagation_core::Propagator;
/// use propagation_grpc::{Admitted, ServerInterceptor};
/// use tonic::{Request, Response, Status};
///
/// let interceptor = ServerInterceptor::new(Propagator::default());
/// // OrdersServer::with_interceptor(orders, interceptor)
///
/// async fn place(propagator: &Propagator, request: Request<()>) -> Result<Response<()>, Status> {
///     let admitted = request.extensions().get::<Admitted>().cloned();
///     let context = admitted.map(|Admitted(admission)| admission.context).unwrap_or_default();
///     let hop = propagator.continue_from(context);
///     hop.scope(async { Ok(Response::new(())) }).await
/// }
/// # let _ = (interceptor, place);
/// ```
#[derive(Clone)]
pub struct ServerInterceptor {
    propagator: Propagator,
    identity: Option<Arc<Identity>>,
    claims: Option<Arc<Claims>>,
    proxies: TrustedProxies,
}

type Identity = dyn Fn(&Request<()>) -> Option<String> + Send + Sync;
type Claims = dyn Fn(&Request<()>, &str) -> Option<String> + Send + Sync;

/// The admitted context of a call, in its extensions. A handler enters it with `propagator.continue_from(admitted.0.context)`.
#[derive(Clone, Debug)]
pub struct Admitted(pub Admission);

impl ServerInterceptor {
    /// Creates an interceptor for a propagator.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { propagator, identity: None, claims: None, proxies: TrustedProxies::default() }
    }

    /// Sets the function that returns a caller's authenticated identity, for policy rules with `identity:…`.
    #[must_use]
    pub fn identity(mut self, identity: impl Fn(&Request<()>) -> Option<String> + Send + Sync + 'static) -> Self {
        self.identity = Some(Arc::new(identity));
        self
    }

    /// Sets the function that returns a claim about the caller by its name, like
    /// [`ServerPropagationLayer::claims`](crate::ServerPropagationLayer::claims).
    #[must_use]
    pub fn claims(mut self, claims: impl Fn(&Request<()>, &str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.claims = Some(Arc::new(claims));
        self
    }

    /// Sets the proxies whose `x-forwarded-for` or `forwarded` (RFC 7239) is trusted for policy rules with `address:…`. By default the headers
    /// are ignored.
    #[must_use]
    pub fn trusted_proxies(mut self, trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.proxies.set_trusted(trusted);
        self
    }

    /// Sets the header in which the trusted proxies report the address of their peer, like
    /// [`ServerPropagationLayer::with_forwarding_header`](crate::ServerPropagationLayer::with_forwarding_header).
    #[must_use]
    pub fn with_forwarding_header(mut self, header: ForwardingHeader) -> Self {
        self.proxies = self.proxies.with_header(header);
        self
    }
}

impl fmt::Debug for ServerInterceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerInterceptor").field("propagator", &self.propagator).finish_non_exhaustive()
    }
}

impl Interceptor for ServerInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let mut peer = Peer::caller(Transport::GRPC);
        let inserted = request.extensions().get::<PeerAddress>().map(PeerAddress::ip);
        let connection = inserted.or_else(|| request.remote_addr().map(|address| address.ip()));
        let headers = request.metadata().as_ref();
        peer.address = connection.and_then(|connection| self.proxies.caller(connection, headers));
        let identity = self.identity.as_ref().and_then(|identity| identity(&request));
        peer.identity = identity.as_deref();
        let claims = |name: &str| self.claims.as_ref()?(&request, name);
        let metadata = MetadataCarrier::new(request.metadata().as_ref());
        let admission = self.propagator.extract_with_claims(&peer, &metadata, &claims);
        request.extensions_mut().insert(Admitted(admission));
        Ok(request)
    }
}
