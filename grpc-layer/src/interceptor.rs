//! For those who cannot use a layer. An interceptor sees a call's start and not its end: no spans.

use std::{fmt, net::IpAddr, sync::Arc};

use propagation_core::{Admission, Peer, Propagator, Transport};
use propagation_http::{PeerAddress, TrustedProxies};
use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

use crate::{MetadataCarrier, carrier};

/// Writes the current context onto the metadata of calls.
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
    /// An interceptor for this propagator.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { propagator, peer: String::new() }
    }

    /// Who is called, as policy rules name it; without it an unknown host.
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

/// Reads the context of calls, judged by the policy, into their extensions as [`Admitted`]. Handlers enter it themselves.
///
/// ```
/// use propagation_core::{Hop, Propagator};
/// use propagation_grpc::{Admitted, ServerInterceptor};
/// use tonic::{Request, Response, Status};
///
/// let interceptor = ServerInterceptor::new(Propagator::default());
/// // OrdersServer::with_interceptor(orders, interceptor)
///
/// async fn place(propagator: &Propagator, request: Request<()>) -> Result<Response<()>, Status> {
///     let admitted = request.extensions().get::<Admitted>().cloned();
///     let context = admitted.map(|Admitted(admission)| admission.context).unwrap_or_default();
///     let hop = propagator.start(Hop::resume(context));
///     hop.scope(async { Ok(Response::new(())) }).await
/// }
/// # let _ = (interceptor, place);
/// ```
#[derive(Clone)]
pub struct ServerInterceptor {
    propagator: Propagator,
    identity: Option<Arc<Identity>>,
    proxies: TrustedProxies,
}

type Identity = dyn Fn(&Request<()>) -> Option<String> + Send + Sync;

/// What a call has brought; a handler runs in it with `propagator.start(Hop::resume(admitted.0.context))`.
#[derive(Clone, Debug)]
pub struct Admitted(pub Admission);

impl ServerInterceptor {
    /// An interceptor for this propagator.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { propagator, identity: None, proxies: TrustedProxies::default() }
    }

    /// The caller's identity, as the application has established it: policy rules can name it.
    #[must_use]
    pub fn identity(mut self, identity: impl Fn(&Request<()>) -> Option<String> + Send + Sync + 'static) -> Self {
        self.identity = Some(Arc::new(identity));
        self
    }

    /// The proxies whose `x-forwarded-for` counts for the address that policy rules match; none without this.
    #[must_use]
    pub fn trusted_proxies(mut self, trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.proxies = TrustedProxies::new(trusted);
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
        let mut peer = Peer::caller(Transport::Grpc);
        let said = request.extensions().get::<PeerAddress>().map(|PeerAddress(address)| *address);
        let connection = said.or_else(|| request.remote_addr().map(|address| address.ip()));
        let headers = request.metadata().as_ref();
        peer.address = connection.and_then(|connection| self.proxies.caller(connection, headers));
        let identity = self.identity.as_ref().and_then(|identity| identity(&request));
        peer.identity = identity.as_deref();
        let admission = self.propagator.extract(&peer, &MetadataCarrier::new(request.metadata().as_ref()));
        request.extensions_mut().insert(Admitted(admission));
        Ok(request)
    }
}
