//! Our propagator, where OpenTelemetry expects one of its own.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, TraceContextExt},
};

use crate::bridge::{Caller, Carried, baggage_into, denied, root_context, span_context, trace_context};
use propagation_core::{
    Extract, FieldName, Inject, InjectionReport, OutgoingFields, Peer, PropagationContext, Propagator, TraceContext,
    Transport, Value,
};

/// A [`Propagator`] as a `TextMapPropagator`: strict parsing and the policy for any program that takes one, by one line.
///
/// ```
/// use opentelemetry::global;
/// use propagation_core::{Policy, Propagator};
/// use propagation_opentelemetry::OpenTelemetryPropagator;
///
/// let propagator = Propagator::builder().policy(Policy::edge()).build();
/// global::set_text_map_propagator(OpenTelemetryPropagator::new(propagator));
/// ```
///
/// OpenTelemetry's interface has no peer, so every message counts as one of a single peer: an unknown HTTP caller and an unknown
/// host, unless [`for_peer`](Self::for_peer) sets another. Four things the interface cannot do:
/// remove a stale header on injection, link a restarted trace to the caller's, report why something was rejected (the
/// [counters](Propagator::counters) do), and continue a trace-id that came without a parent-id (X-Ray's `Root=` alone), unless
/// `ReceivedIdGenerator` is installed and the extracted context is attached while the span starts.
#[derive(Clone)]
pub struct OpenTelemetryPropagator {
    propagator: Propagator,
    peer: OwnedPeer,
    fields: Vec<String>,
    random_flag: bool,
}

impl OpenTelemetryPropagator {
    /// For callers and hosts that nothing is known of, over HTTP.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        let fields = propagator.fields().iter().map(|name| name.as_str().to_owned()).collect();
        Self { propagator, peer: OwnedPeer::new(&Peer::caller(Transport::HTTP)), fields, random_flag: false }
    }

    /// Sets whether traces that begin here carry the random flag. Off by default; see
    /// [`OpenTelemetryBridge::with_random_flag`](crate::OpenTelemetryBridge::with_random_flag).
    #[must_use]
    pub fn with_random_flag(mut self, random: bool) -> Self {
        self.random_flag = random;
        self
    }

    /// Sets the peer whose policy rules apply to extraction and injection.
    #[must_use]
    pub fn for_peer(mut self, peer: &Peer<'_>) -> Self {
        self.peer = OwnedPeer::new(peer);
        self
    }
}

impl TextMapPropagator for OpenTelemetryPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let received = context.get::<Received>().map(|received| &received.0);
        let span = context.span();
        let span = span.span_context();
        // A remote span is one that a propagator has read: its flags are all that is known. Others are ours, of the SDK's making.
        let trace =
            trace_context(span, received.map(|received| &received.trace), None, self.random_flag && !span.is_remote());
        let unchanged = received.filter(|received| !trace.has_ids() && received.trace.root_trace_id().is_some());
        let trace = unchanged.map_or(trace, |received| received.trace.clone());
        let mut baggage = Carried::baggage_of(context);
        if let Some(received) = received.filter(|_| context.get::<Carried>().is_none()) {
            let found = std::mem::replace(&mut baggage, received.baggage.clone());
            baggage.follow(&found);
        }
        let outgoing = PropagationContext::new(trace).with_baggage(baggage);
        self.propagator.inject(&self.peer.borrow(), &outgoing, &mut InjectorCarrier(injector));
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let received = self.propagator.extract(&self.peer.borrow(), &ExtractorCarrier(extractor)).context;
        if received.is_empty() {
            return context.clone();
        }
        let mut context = context.clone();
        if let Some(parent) = parent(&received.trace) {
            context = context.with_remote_span_context(parent);
        }
        if !received.baggage.is_empty() {
            context = baggage_into(&received.baggage, context);
        }
        // The context outlives its request wherever user code keeps it.
        Caller::note(&received.trace, context).with_value(Received(received.detach()))
    }

    /// The names that every enabled format owns, without families such as `uberctx-…`.
    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

impl fmt::Debug for OpenTelemetryPropagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTelemetryPropagator")
            .field("propagator", &self.propagator)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// The remote parent that a received trace is for a new span.
fn parent(trace: &TraceContext) -> Option<SpanContext> {
    span_context(trace, true).or_else(|| root_context(trace, true)).or_else(|| denied(trace))
}

/// An extracted context, with the parts that OpenTelemetry's types cannot hold.
pub(crate) struct Received(pub(crate) PropagationContext);

#[derive(Clone, Debug)]
struct OwnedPeer {
    transport: Transport,
    name: Box<str>,
    address: Option<IpAddr>,
    identity: Option<Box<str>>,
}

impl OwnedPeer {
    fn new(peer: &Peer<'_>) -> Self {
        Self {
            transport: peer.transport,
            name: peer.name.into(),
            address: peer.address,
            identity: peer.identity.map(Into::into),
        }
    }

    fn borrow(&self) -> Peer<'_> {
        let mut peer = Peer::new(self.transport, &self.name);
        peer.address = self.address;
        peer.identity = self.identity.as_deref();
        peer
    }
}

struct ExtractorCarrier<'c>(&'c dyn Extractor);

impl Extract for ExtractorCarrier<'_> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        for value in self.0.get_all(name.as_str()).into_iter().flatten() {
            each(Value::Borrowed(value.as_bytes()));
        }
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        // Some extractors list a name once for each of its values.
        let names: BTreeSet<&str> = self.0.keys().into_iter().collect();
        for name in names {
            for value in self.0.get_all(name).into_iter().flatten() {
                each(name, Value::Borrowed(value.as_bytes()));
            }
        }
    }
}

struct InjectorCarrier<'c>(&'c mut dyn Injector);

impl Inject for InjectorCarrier<'_> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, _: &TraceContext) -> InjectionReport {
        self.0.reserve(fields.len());
        for field in fields.iter() {
            self.0.set(field.name().as_str(), field.value_str().to_owned());
        }
        InjectionReport::all_written(fields)
    }
}
