use std::sync::Arc;

use http::{HeaderName, Method, Uri, Version};
use propagation_core::{AttributeValue, Hop, HopSpan, InjectionReport, Peer, Propagator, SpanKind, semconv};
use tower_layer::Layer;

use super::ClientPropagation;
use crate::{
    HeaderCarrierMut, KnownMethods, Redaction, attributes,
    carrier::{RestrictedHeaders, inject_merged},
    headers::RecordedHeaders,
    hosts::KnownHosts,
};

/// Injects the current context into every request, as far as the policy releases it to the host, and starts a CLIENT span.
///
/// Place it inside a retry layer: each attempt then has its own span and headers.
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
    /// The maximum total size of the propagated headers, in bytes.
    pub(crate) header_limit: Option<usize>,
    /// One bit for each [`Report`](super::Report) that was logged; shared by all clones.
    #[cfg(any(feature = "reqwest-0-13", feature = "tower-http-0-6"))]
    pub(crate) reported: Arc<std::sync::atomic::AtomicU8>,
}

impl ClientPropagationLayer {
    /// Creates a layer for a propagator.
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

    /// Adds request headers to record as attributes. By default no header is recorded.
    #[must_use]
    pub fn record_request_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Arc::make_mut(&mut self.options).headers.request.extend(names);
        self
    }

    /// Adds response headers to record as attributes. By default no header is recorded.
    #[must_use]
    pub fn record_response_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Arc::make_mut(&mut self.options).headers.response.extend(names);
        self
    }

    /// Adds headers that hold credentials. They are never recorded, even if listed.
    ///
    /// Standard and well-known credential headers (`authorization`, `set-cookie`, `x-api-key`, …) and values marked as sensitive are
    /// never recorded either.
    #[must_use]
    pub fn with_credential_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Arc::make_mut(&mut self.options).headers.credentials.extend(names);
        self
    }

    /// Sets the methods that appear in span names and metrics. Any other method is `_OTHER`.
    #[must_use]
    pub fn with_known_methods(mut self, methods: KnownMethods) -> Self {
        Arc::make_mut(&mut self.options).methods = methods;
        self
    }

    /// Adds hosts that metrics record as `server.address`, besides those in outbound rules of the policy.
    ///
    /// One `*` in a host matches any run of characters. At most 256 hosts that match only a pattern are recorded. Other hosts appear on
    /// spans only: with URLs that customers choose, each host would create a time series.
    #[must_use]
    pub fn with_known_hosts<I: IntoIterator<Item = S>, S: AsRef<str>>(mut self, hosts: I) -> Self {
        Arc::make_mut(&mut self.options).hosts.declare(hosts);
        self
    }

    /// Limits the total size of the propagated headers, as HTTP/2 counts it (name, value and 32 bytes each). Unlimited by default.
    ///
    /// Baggage is dropped first, then `tracestate` is truncated by whole list-members. Both are counted as rejections.
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

    /// Injects the context of a hop into the headers of its request, as far as the policy releases it to the host.
    pub(crate) fn inject(
        &self,
        hop: &HopSpan,
        authority: &str,
        headers: &mut http::HeaderMap,
        baggage: bool,
    ) -> InjectionReport {
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
        if self.propagator.is_recording() {
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
                hop.span_only.push(semconv::SERVER_PORT);
            }
            let url = self.redaction.url(uri, scheme, authority, &policy);
            attributes::push(&mut hop, semconv::URL_FULL, AttributeValue::trusted(url));
            hop.attributes.extend(version.and_then(attributes::version));
            if resend > 0 {
                attributes::push(&mut hop, semconv::HTTP_REQUEST_RESEND_COUNT, resend);
            }
            self.headers.record_request(&mut hop.attributes, headers, &policy);
        }
        self.propagator.start(hop)
    }
}
