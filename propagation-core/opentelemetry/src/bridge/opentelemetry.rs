//! The bridge to the `opentelemetry` API 0.33.

use std::{borrow::Cow, fmt};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span, SpanBuilder, SpanContext, SpanRef, Status, TraceContextExt, Tracer},
};

use super::{
    Caller, Carried,
    carried::is_span,
    convert::{self, attribute, denied, kind, link, root_context, span_context, trace_context},
    idle::IdleTracer,
    received_id::{RECEIVED_TRACE_ID, handing_over, missed},
};
use propagation_core::bridge::{Bridge, BridgeSpan, Continued, CurrentHop, HopId, Started};
use propagation_core::{Attribute, Exception, Hop, Link, Outcome, PropagationContext, SpanId, TraceContext};

/// Makes spans with an OpenTelemetry tracer.
///
/// A tracer that makes no spans (the API's no-op, also boxed by `opentelemetry::global`) is detected: then hops are not described, contexts
/// pass through, and OpenTelemetry's own context stays as it is, unless [the baggage map](Self::with_baggage_map) is on. Spans are made as
/// soon as the tracer makes them.
///
/// ```
/// use opentelemetry::trace::TracerProvider;
/// use propagation_core::Propagator;
/// use propagation_opentelemetry::OpenTelemetryBridge;
///
/// let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
/// let propagator = Propagator::builder().bridge(OpenTelemetryBridge::new(provider.tracer("shop"))).build();
/// # let _ = propagator;
/// ```
pub struct OpenTelemetryBridge<T> {
    tracer: T,
    random_flag: bool,
    baggage_map: bool,
    idle: IdleTracer,
}

impl<T> OpenTelemetryBridge<T> {
    /// A bridge to this tracer.
    #[must_use]
    pub fn new(tracer: T) -> Self {
        Self { tracer, random_flag: false, baggage_map: false, idle: IdleTracer::new() }
    }

    /// Sets whether a hop's baggage is in OpenTelemetry's own map. Off by default.
    ///
    /// Outgoing calls carry baggage either way. Set it for code that reads baggage through OpenTelemetry's API, or injects with a propagator
    /// of OpenTelemetry's. It costs 2,000 to 3,000 instructions a member and hop.
    ///
    /// Baggage that code sets through OpenTelemetry's API inside a hop travels in both cases: with the map, it replaces the hop's
    /// baggage; without, it is added.
    #[must_use]
    pub fn with_baggage_map(mut self, map: bool) -> Self {
        self.baggage_map = map;
        self
    }

    /// Sets whether traces that begin here carry the random flag (Trace Context Level 2, 3.2.2.5.2). Off by default. A received flag is kept
    /// either way.
    ///
    /// OpenTelemetry Go before 2026 and OpenTelemetry Rust 0.31 reject a `traceparent` that ends in `-03`, and the trace breaks there. Set it
    /// where no such service follows and the tracer's trace-ids are random in their right-most seven bytes, as the SDK's are.
    #[must_use]
    pub fn with_random_flag(mut self, random: bool) -> Self {
        self.random_flag = random;
        self
    }
}

impl<T> fmt::Debug for OpenTelemetryBridge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTelemetryBridge").finish_non_exhaustive()
    }
}

impl<T> OpenTelemetryBridge<T>
where
    T: Tracer<Span: 'static>,
{
    /// Returns true if a hop would change nothing: its tracer makes no span, and no code reads baggage in OpenTelemetry's context.
    fn is_idle(&self) -> bool {
        !self.baggage_map && self.idle.makes_no_spans(&self.tracer)
    }
}

impl<T> Bridge for OpenTelemetryBridge<T>
where
    T: Tracer + Send + Sync,
    T::Span: Send + Sync + 'static,
{
    fn is_recording(&self) -> bool {
        !self.is_idle()
    }

    fn current(&self, innermost: Option<CurrentHop<'_>>) -> Option<PropagationContext> {
        Context::map_current(|context| Carried::current_in(context, innermost, self.random_flag))
    }

    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        Context::map_current(|context| span_inside(context, id))
    }

    fn start(&self, mut hop: Hop) -> Started {
        if self.is_idle() {
            return Started::without_span(hop.parent);
        }
        Carried::detach(&mut hop);
        let parent = parent_context(Parent::from(&hop), self.baggage_map, || None);
        let mut builder = SpanBuilder::from_name(hop.name).with_kind(kind(hop.kind));
        builder = builder.with_attributes(hop.attributes.into_iter().map(attribute));
        let links = hop.links.into_iter();
        let links = links.filter_map(|each| link(each, &hop.parent.trace, parent.span().span_context()));
        builder = builder.with_links(links.collect());
        let mut span = handing_over(&hop.parent.trace, || self.tracer.build_with_context(builder, &parent));
        if let Some(missed) = missed(&hop.parent.trace, span.span_context()) {
            span.set_attribute(KeyValue::new(RECEIVED_TRACE_ID, missed));
        }
        let given = parent.span();
        let given = given.span_context();
        self.idle.note(&self.tracer, span.span_context(), given);
        let trace =
            trace_context(span.span_context(), Some(&hop.parent.trace), Some(given.trace_state()), self.random_flag);
        // A tracer that makes no spans (the API's no-op) must not end the trace.
        let trace = if trace.has_ids() { trace } else { hop.parent.trace };
        let context = PropagationContext::new(trace).with_baggage(hop.parent.baggage);
        let span = OtelSpan::own(parent.with_span(span), &context.trace);
        Started::span(context, Box::new(span))
    }

    fn continue_from(&self, continued: Continued<'_>) -> Option<Box<dyn BridgeSpan>> {
        let context = if continued.suppressed {
            suppressed_context(continued)
        } else {
            parent_context(Parent::from(continued), self.baggage_map, || None)
        };
        Some(Box::new(OtelSpan::around(context, &continued.context.trace)))
    }
}

/// Returns the span of a context that is inside of a hop.
pub(super) fn span_inside(context: &Context, id: HopId) -> Option<SpanId> {
    let inside = context.has_active_span() && Carried::is_inside(context, id);
    SpanId::from_bytes(context.span().span_context().span_id().to_bytes()).filter(|_| inside)
}

/// The parent of a hop, or the context that work continues in.
#[derive(Clone, Copy)]
pub(super) struct Parent<'a> {
    /// The hop that the parent's context is for.
    pub(super) id: HopId,
    pub(super) context: &'a PropagationContext,
    remote: bool,
    /// Whether the current span may be the parent.
    may_be_current: bool,
}

impl<'a> From<&'a Hop> for Parent<'a> {
    fn from(hop: &'a Hop) -> Self {
        Self { id: hop.id(), context: &hop.parent, remote: !hop.local, may_be_current: hop.local }
    }
}

impl<'a> From<Continued<'a>> for Parent<'a> {
    fn from(continued: Continued<'a>) -> Self {
        let Continued { id, context, local, .. } = continued;
        Self { id, context, remote: !local, may_be_current: true }
    }
}

/// Returns OpenTelemetry's context for a parent: the parent is its span, and the propagated context is in it as one value.
///
/// `elsewhere` returns the context of the span that is current in another tracing API.
pub(super) fn parent_context(
    parent: Parent<'_>,
    baggage_map: bool,
    elsewhere: impl FnOnce() -> Option<Context>,
) -> Context {
    let trace = &parent.context.trace;
    let current = Context::current();
    let is_parent =
        |context: &Context| context.has_active_span() && is_span(context.span().span_context(), trace.span_id());
    let inherited = match parent.may_be_current && trace.has_ids() {
        true if is_parent(&current) => Some(current.clone()),
        true => elsewhere().filter(is_parent),
        false => None,
    };
    let inherits = inherited.is_some();
    let context = inherited.unwrap_or_else(|| {
        let span =
            span_context(trace, parent.remote).or_else(|| root_context(trace, parent.remote)).or_else(|| denied(trace));
        span.map_or_else(Context::new, |span| current.with_remote_span_context(span))
    });
    Carried::add(parent, Caller::note(trace, context), inherits, baggage_map)
}

/// Returns the current context with telemetry suppressed, for work that makes no spans.
pub(super) fn suppressed_context(continued: Continued<'_>) -> Context {
    let context = Context::map_current(Context::with_telemetry_suppressed);
    Carried::add(Parent::from(continued), context, true, false)
}

#[derive(Debug)]
pub(super) struct OtelSpan {
    context: Context,
    /// Whether the span in `context` is this hop's. If not, it is a parent's: there to be entered, not ours to change or end.
    own: bool,
}

impl OtelSpan {
    /// Creates the span of a hop that goes on in this trace.
    pub(super) fn own(context: Context, trace: &TraceContext) -> Self {
        Carried::set_trace(&context, trace);
        Self { context, own: true }
    }

    /// Creates a scope without a span of its own.
    pub(super) fn around(context: Context, trace: &TraceContext) -> Self {
        Carried::set_trace(&context, trace);
        Self { context, own: false }
    }

    /// Adds the `tracing` span that stands for this one.
    #[cfg(feature = "tracing")]
    pub(super) fn set_tracing_span(&self, span: &::tracing::Span) {
        Carried::set_span(&self.context, span);
    }

    /// Returns true if the span's context is the current one.
    #[cfg(feature = "tracing")]
    pub(super) fn is_attached(&self) -> bool {
        Context::map_current(|current| Carried::is_same(current, &self.context))
    }

    fn with_own(&self, change: impl FnOnce(SpanRef<'_>)) {
        if self.own {
            change(self.context.span());
        }
    }
}

/// An exception record of the semantic conventions 1.45 (exceptions on spans).
fn exception_attributes(exception: &Exception) -> Vec<KeyValue> {
    let texts = [("exception.message", &exception.message), ("exception.stacktrace", &exception.stacktrace)];
    let texts = texts.into_iter().filter_map(|(key, text)| Some(KeyValue::new(key, text.clone()?)));
    std::iter::once(KeyValue::new("exception.type", exception.kind.clone())).chain(texts).collect()
}

impl BridgeSpan for OtelSpan {
    fn enter(&self, run: &mut dyn FnMut()) {
        let _left = self.context.clone().attach();
        run();
    }

    fn set_attribute(&self, attribute: Attribute) {
        self.with_own(|span| span.set_attribute(convert::attribute(attribute)));
    }

    fn add_link(&self, added: Link) {
        if let Some(link) = link(added, &TraceContext::EMPTY, &SpanContext::NONE) {
            self.with_own(|span| span.add_link(link.span_context, link.attributes));
        }
    }

    fn rename(&self, name: Cow<'static, str>) {
        self.with_own(|span| span.update_name(name));
    }

    fn end(&self, outcome: &Outcome) {
        self.with_own(|span| {
            match outcome {
                Outcome::Error { kind, description, exception } => {
                    span.set_attribute(KeyValue::new("error.type", kind.clone()));
                    let message = exception.as_ref().and_then(|exception| exception.message.as_ref());
                    let described = Some(description).filter(|text| !text.is_empty()).or(message);
                    span.set_status(Status::error(described.cloned().unwrap_or_default()));
                    if let Some(exception) = exception {
                        span.add_event("exception", exception_attributes(exception));
                    }
                }
                Outcome::Cancelled => span.set_attribute(KeyValue::new("error.type", "cancelled")),
                _ => {}
            }
            span.end();
        });
    }
}
