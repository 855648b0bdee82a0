use std::sync::Arc;

use http::{HeaderName, Method, Uri, Version};
use propagation_core::{AttributeValue, Hop, HopSpan, Injection, Peer, Propagator, SpanKind};
use tower_layer::Layer;

use super::ClientPropagation;
use crate::{
    HeaderCarrierMut, KnownMethods, Redaction, attributes,
    carrier::{RestrictedHeaders, inject_merged},
    headers::RecordedHeaders,
    hosts::KnownHosts,
};

/// Sends the current context with every request, as far as the policy lets its host learn it, with a CLIENT span.
///
/// Put it below a retry layer: each attempt gets a span and an injection of its own.
#[derive(Clone, Debug)]
pub struct ClientPropagationLayer {
    pub(super) options: Arc<Options>,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) propagator: Propagator,
    pub(crate) redaction: Redaction,
    pub(crate) headers: RecordedHeaders,
    pub(crate) methods: KnownMethods,
    pub(crate) hosts: KnownHosts,
    /// The most bytes that our headers take together.
    pub(crate) header_limit: Option<usize>,
    /// A bit for each [`Report`](super::Report) that was made; shared by all clones.
    #[cfg(any(feature = "reqwest-0-13", feature = "tower-http-0-6"))]
    pub(crate) reported: Arc<std::sync::atomic::AtomicU8>,
}

impl ClientPropagationLayer {
    /// A layer for this propagator.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { options: Arc::new(Options::new(propagator)) }
    }

    /// Sets which query values of URLs are redacted.
    #[must_use]
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        Arc::make_mut(&mut self.options).redaction = redaction;
        self
    }

    /// Request headers to record; none without this.
    #[must_use]
    pub fn record_request_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Arc::make_mut(&mut self.options).headers.request.extend(names);
        self
    }

    /// Response headers to record; none without this.
    #[must_use]
    pub fn record_response_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Arc::make_mut(&mut self.options).headers.response.extend(names);
        self
    }
}

impl ClientPropagationLayer {
    /// Adds headers that hold credentials: they are never recorded, listed or not. Those of the standards and of well-known
    /// services always count as such (`authorization`, `set-cookie`, `x-api-key`, …), as does any value that is marked as sensitive.
    #[must_use]
    pub fn with_credential_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Arc::make_mut(&mut self.options).headers.credentials.extend(names);
        self
    }

    /// Sets the methods that span names and metrics name.
    #[must_use]
    pub fn with_known_methods(mut self, methods: KnownMethods) -> Self {
        Arc::make_mut(&mut self.options).methods = methods;
        self
    }

    /// Adds hosts that metrics name (`server.address`), beside those that an outbound rule of the policy names. One `*` in a host stands for any
    /// run of characters. Hosts that only patterns name are limited to 256.
    ///
    /// Any other host is on spans alone: of URLs that customers choose, each would be a time series of its own.
    #[must_use]
    pub fn with_known_hosts<I: IntoIterator<Item = S>, S: AsRef<str>>(mut self, hosts: I) -> Self {
        Arc::make_mut(&mut self.options).hosts.declare(hosts);
        self
    }

    /// Limits the bytes that our headers take together, as HTTP/2 counts them (name, value and 32 each); no limit without this.
    ///
    /// Baggage is dropped first, then `tracestate` is truncated by whole members; both are counted.
    #[must_use]
    pub fn with_header_limit(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.options).header_limit = Some(bytes);
        self
    }
}

impl<S> Layer<S> for ClientPropagationLayer {
    type Service = ClientPropagation<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientPropagation { inner, options: Arc::clone(&self.options) }
    }
}

impl Options {
    pub(crate) fn new(propagator: Propagator) -> Self {
        Self {
            propagator,
            redaction: Redaction::default(),
            headers: RecordedHeaders::default(),
            methods: KnownMethods::default(),
            hosts: KnownHosts::default(),
            header_limit: None,
            #[cfg(any(feature = "reqwest-0-13", feature = "tower-http-0-6"))]
            reported: Arc::default(),
        }
    }

    /// Writes the context of a hop on the headers of its request, as far as the policy releases it to the host.
    pub(crate) fn inject(
        &self,
        hop: &HopSpan,
        authority: &str,
        headers: &mut http::HeaderMap,
        baggage: bool,
    ) -> Injection {
        let (host, _) = attributes::host_and_port(authority);
        let host = attributes::canonical_host(host);
        let peer = Peer::http(&host);
        if baggage && self.header_limit.is_none() {
            return inject_merged(&self.propagator, &peer, hop.context(), &mut HeaderCarrierMut::new(headers));
        }
        let mut headers = RestrictedHeaders { headers, baggage, limit: self.header_limit };
        inject_merged(&self.propagator, &peer, hop.context(), &mut headers)
    }

    /// Starts the span of one attempt.
    pub(crate) fn start(
        &self,
        method: &Method,
        uri: &Uri,
        version: Option<Version>,
        headers: &http::HeaderMap,
        authority: &str,
        resend: u32,
    ) -> HopSpan {
        let mut hop = Hop::local(SpanKind::Client, self.propagator.current());
        if self.propagator.records() {
            let known = self.methods.find(method);
            hop.name = known.unwrap_or("HTTP").into();
            attributes::method(&mut hop, method, known);
            let scheme = uri.scheme_str().unwrap_or("http");
            attributes::server(&mut hop, authority, scheme, true);
            let policy = self.propagator.policy();
            let (host, port) = attributes::host_and_port(authority);
            let host = attributes::canonical_host(host);
            if !self.hosts.has_host(&policy, &host) {
                hop.span_only.extend(attributes::SERVER);
            } else if port.is_some_and(|port| !self.hosts.has_port(&host, port)) {
                hop.span_only.push("server.port");
            }
            let url = self.redaction.url(uri, scheme, authority, &policy);
            attributes::push(&mut hop, "url.full", AttributeValue::trusted(url));
            hop.attributes.extend(version.and_then(attributes::version));
            if resend > 0 {
                attributes::push(&mut hop, "http.request.resend_count", resend);
            }
            self.headers.of_request(&mut hop.attributes, headers, &policy);
        }
        self.propagator.start(hop)
    }
}
