use std::{
    borrow::Cow,
    fmt,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, HeaderMap, Method, Request, Response, header::USER_AGENT, request::Parts};
use http_body::Body;
use propagation_core::{Admission, AttributeValue, ExternalText, Hop, HopSpan, Peer, SpanKind, Transport, semconv};
use tower_service::Service;

use super::{PeerAddress, classify::ServerClassifier, layer::Options, response_ids::ResponseIds};
use crate::{
    HeaderCarrier, attributes,
    exchange::{ResponseBody, ResponseFuture, ServerHop},
};

/// The service of [`ServerPropagationLayer`](crate::ServerPropagationLayer).
#[derive(Clone)]
pub struct ServerPropagation<S> {
    pub(super) inner: S,
    pub(super) options: Arc<Options>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ServerPropagation<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: 'static,
    ResBody: Body<Error: 'static>,
{
    type Response = Response<ResponseBody<ResBody, ServerClassifier>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ServerClassifier>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let bodiless = *request.method() == Method::HEAD;
        let (hop, request, ids) = self.options.start(request);
        let inner = hop.in_scope(|| self.inner.call(request));
        ResponseFuture::new(inner, hop, ServerClassifier::new(&self.options, ids), bodiless)
    }
}

impl Options {
    pub(super) fn start<B>(&self, request: Request<B>) -> (HopSpan, Request<B>, ResponseIds) {
        let connection = connection(request.extensions());
        let address = connection.and_then(|peer| self.proxies.caller(peer.ip(), request.headers()));
        if self.identity.is_none() && self.claims.is_none() && !self.propagator.is_recording() {
            // Fast path: splitting the request costs more than extracting from its headers.
            let admission = self.admit(request.headers(), &caller(address, None), &|_| None);
            return (self.propagator.continue_from(admission.context), request, ResponseIds::default());
        }
        let (mut head, body) = request.into_parts();
        if let Some(outer) = ServerHop::get(&head.extensions) {
            self.refine(outer, &head);
            let hop = outer.hop().following();
            // The layer that has admitted the request decides over the ids.
            return (hop, Request::from_parts(head, body), ResponseIds::default());
        }
        let identity = self.identity.as_ref().and_then(|identity| identity(&head));
        let claims = |name: &str| self.claims.as_ref()?(&head, name);
        let peer = caller(address, identity.as_deref());
        let admission = self.admit(&head.headers, &peer, &claims);
        let filtered = |head: &Parts| {
            self.exclusions.excludes(&head.method, head.uri.path())
                || self.filter.as_ref().is_some_and(|filter| !filter(head))
        };
        let (hop, ids) = if !self.propagator.is_recording() || filtered(&head) {
            (self.propagator.continue_from(admission.context), ResponseIds::default())
        } else {
            let ids = self.response_ids.for_caller(|| self.propagator.policy(), &peer, &admission);
            let mut hop = Hop::admitted(SpanKind::Server, admission);
            self.describe(&head, address, &mut hop);
            if self.network_peer {
                hop.attributes.extend(connection.into_iter().flat_map(attributes::network_peer));
            }
            let hop = self.propagator.start(hop);
            ServerHop::insert(&hop, false, &mut head.extensions);
            (hop, ids)
        };
        (hop, Request::from_parts(head, body), ids)
    }

    fn admit(&self, headers: &HeaderMap, peer: &Peer<'_>, claims: &dyn Fn(&str) -> Option<String>) -> Admission {
        self.propagator.extract_with_claims(peer, &HeaderCarrier::new(headers), claims)
    }

    /// Adds the route to the hop of an outer layer, which cannot know it.
    fn refine(&self, outer: &ServerHop, head: &Parts) {
        let hop = outer.hop().refining();
        if !outer.is_rpc()
            && hop.is_recording()
            && let Some(route) = self.route_of(head)
        {
            let method = self.methods.find(&head.method).unwrap_or("HTTP");
            hop.rename(format!("{method} {route}"));
            hop.set_attribute(semconv::HTTP_ROUTE, route);
        }
    }

    fn route_of(&self, head: &Parts) -> Option<String> {
        self.route.as_ref().and_then(|route| route(head)).or_else(|| Some(matched_path(head)?.to_owned()))
    }

    /// Returns the name of a request's span, and its route.
    fn name_of(&self, head: &Parts, method: &'static str) -> (Cow<'static, str>, Option<Cow<'static, str>>) {
        let named = |route: String| ([method, " ", &route].concat().into(), Some(route.into()));
        if let Some(route) = self.route.as_ref().and_then(|route| route(head)) {
            return named(route);
        }
        let Some(route) = matched_path(head) else { return (method.into(), None) };
        match self.names.find(&self.propagator, method, route) {
            Some(known) => (known.name.into(), Some(known.target.into())),
            None => named(route.to_owned()),
        }
    }

    fn describe(&self, head: &Parts, address: Option<IpAddr>, hop: &mut Hop) {
        let policy = self.propagator.policy_guard();
        let known = self.methods.find(&head.method);
        let method = known.unwrap_or("HTTP");
        let (name, route) = self.name_of(head, method);
        hop.name = name;
        hop.reserve_attributes();
        attributes::method(hop, &head.method, known);
        let scheme = attributes::scheme(&head.uri).unwrap_or(Cow::Borrowed(self.scheme));
        attributes::push(
            hop,
            semconv::URL_PATH,
            AttributeValue::trusted(crate::redact::path(head.uri.path(), &policy).into_owned()),
        );
        self.describe_server(attributes::authority(&head.uri, &head.headers), hop);
        attributes::push(hop, semconv::URL_SCHEME, scheme);
        if let Some(query) = head.uri.query() {
            attributes::push(hop, semconv::URL_QUERY, AttributeValue::trusted(self.redaction.query(query, &policy)));
        }
        if let Some(route) = route {
            attributes::push(hop, semconv::HTTP_ROUTE, AttributeValue::trusted(route));
        }
        hop.attributes.extend(attributes::version(head.version));
        if self.user_agent
            && let Some(agent) = head.headers.get(USER_AGENT)
        {
            attributes::push(hop, semconv::USER_AGENT_ORIGINAL, ExternalText::from_bytes(agent.as_bytes()));
        }
        if self.client_address
            && let Some(address) = address
        {
            attributes::push(hop, semconv::CLIENT_ADDRESS, AttributeValue::trusted(address.to_string()));
        }
        self.headers.record_request(&mut hop.attributes, &head.headers, &policy);
    }

    /// Adds the host and port of this service. The caller chooses the host header, so it must not reach metrics.
    fn describe_server(&self, authority: &str, hop: &mut Hop) {
        if self.server_names.is_empty() {
            self.servers.describe(hop, &self.propagator, authority);
            hop.omit_from_metrics(&attributes::SERVER);
            return;
        }
        let (host, _) = attributes::host_and_port(authority);
        let host = attributes::canonical_host(host);
        if self.server_names.iter().any(|name| **name == *host) {
            let host = if host.contains(':') { Cow::Owned(format!("[{host}]")) } else { host };
            self.servers.describe(hop, &self.propagator, &host);
        }
    }
}

fn caller(address: Option<IpAddr>, identity: Option<&str>) -> Peer<'_> {
    let mut peer = Peer::caller(Transport::HTTP);
    peer.address = address;
    peer.identity = identity;
    peer
}

fn connection(extensions: &Extensions) -> Option<PeerAddress> {
    if let Some(address) = extensions.get::<PeerAddress>() {
        return Some(*address);
    }
    #[cfg(feature = "axum-0-8")]
    if let Some(axum::extract::ConnectInfo(address)) =
        extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
    {
        return Some(PeerAddress::from(*address));
    }
    None
}

#[cfg_attr(not(feature = "axum-0-8"), allow(unused_variables, reason = "same signature without the feature"))]
fn matched_path(head: &Parts) -> Option<&str> {
    #[cfg(feature = "axum-0-8")]
    if let Some(path) = head.extensions.get::<axum::extract::MatchedPath>() {
        return Some(path.as_str());
    }
    None
}

impl<S: fmt::Debug> fmt::Debug for ServerPropagation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerPropagation").field("inner", &self.inner).finish_non_exhaustive()
    }
}
