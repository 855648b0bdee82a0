use std::{borrow::Cow, sync::Arc};

use http::Method;
use propagation_core::{
    AttributeValue, Hop, HopSpan, Inject, InjectionReport, OutgoingFields, Peer, PropagationContext, Propagator,
    SpanKind, TraceContext, semconv,
};
use tower_layer::Layer;

use super::{ClientPropagation, RequestOptions, Target, switches::client_options};
use crate::{
    HeaderCarrierMut, KnownMethods, Redaction, attributes,
    carrier::{RestrictedHeaders, inject_merged},
    exclusions::ClientFilter,
    headers::RecordedHeaders,
    hosts::KnownHosts,
};

/// Injects the current context into every request, as far as the policy releases it to the host, and starts a CLIENT span.
///
/// Place it inside a retry layer: each attempt then has its own span and headers. See [`ResendCountLayer`](crate::ResendCountLayer) for the count,
/// and [`RequestOptions`] for options of one request.
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
    pub(crate) filter: ClientFilter,
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

    client_options!();
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
            filter: ClientFilter::default(),
            header_limit: None,
            #[cfg(any(feature = "reqwest-0-13", feature = "tower-http-0-6"))]
            reported: Arc::default(),
        }
    }

    /// Injects the context of a hop into the headers of its request, as far as the policy releases it to the peer.
    pub(crate) fn inject(
        &self,
        hop: &HopSpan,
        peer: &str,
        headers: &mut http::HeaderMap,
        request: &RequestOptions,
        baggage: bool,
    ) -> InjectionReport {
        if request.without_propagation {
            // Writes no field, and so removes those that are there.
            let none = OutgoingFields::new(self.propagator.fields());
            return HeaderCarrierMut::new(headers).commit(&none, &TraceContext::default());
        }
        let peer = attributes::canonical_host(peer);
        let peer = Peer::http(&peer);
        if baggage && self.header_limit.is_none() {
            return inject_merged(&self.propagator, &peer, hop.context(), &mut HeaderCarrierMut::new(headers));
        }
        let mut headers = RestrictedHeaders { headers, baggage, limit: self.header_limit };
        inject_merged(&self.propagator, &peer, hop.context(), &mut headers)
    }

    /// Continues in the context of a request without a span.
    #[cfg(feature = "reqwest-0-13")]
    pub(crate) fn continue_without_span(&self, request: &RequestOptions) -> HopSpan {
        self.propagator.continue_from(self.context(request))
    }

    fn context(&self, request: &RequestOptions) -> PropagationContext {
        request.context.clone().unwrap_or_else(|| self.propagator.current())
    }

    /// Starts the span of one attempt.
    pub(crate) fn start(
        &self,
        method: &Method,
        target: &Target<'_>,
        headers: &http::HeaderMap,
        resend: u32,
        request: &RequestOptions,
    ) -> HopSpan {
        let context = self.context(request);
        if request.without_span || !self.filter.has_span(method, target) {
            return self.propagator.continue_from(context);
        }
        let mut hop = Hop::local(SpanKind::Client, context);
        if self.propagator.is_recording() {
            let known = self.methods.find(method);
            // A multiple of seven: see `Hop::reserve_attributes`.
            hop.attributes.reserve(7);
            let name = known.unwrap_or("HTTP");
            hop.name = match &request.url_template {
                Some(template) => [name, " ", template].concat().into(),
                None => name.into(),
            };
            attributes::method(&mut hop, method, known);
            let policy = self.propagator.policy_guard();
            let url = self.hosts.with_described(&self.propagator, target.scheme, &target.authority, |host| {
                hop.attributes.extend(host.attributes.iter().cloned());
                hop.omit_from_metrics(host.span_only);
                self.redaction.url(&host.origin, target.path, target.query, &policy)
            });
            attributes::push(&mut hop, semconv::URL_FULL, AttributeValue::trusted(url));
            if resend > 0 {
                attributes::push(&mut hop, semconv::HTTP_REQUEST_RESEND_COUNT, resend);
            }
            if let Some(template) = &request.url_template {
                attributes::push(&mut hop, semconv::URL_TEMPLATE, template.clone());
                if matches!(template, Cow::Owned(_)) {
                    // Its cardinality is unknown.
                    hop.omit_from_metrics(&[semconv::URL_TEMPLATE]);
                }
            }
            self.headers.record_request(&mut hop.attributes, headers, &policy);
        }
        self.propagator.start(hop)
    }
}
