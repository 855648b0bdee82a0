//! The bridge to the `opentelemetry` API 0.33.

use std::{borrow::Cow, fmt};

use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{Span, SpanBuilder, SpanRef, Status, TraceContextExt, Tracer},
};

use super::convert::{
    attribute, baggage_from, baggage_into, denied, kind, link, root_context, span_context, trace_context,
};
use super::received_id::{RECEIVED_TRACE_ID, handing_over, missed};
use super::{Caller, convert};
use propagation_core::bridge::{Bridge, BridgeSpan, Continued, CurrentHop, HopId, Started};
use propagation_core::{Attribute, Exception, Hop, Link, Outcome, PropagationContext, SpanId};

/// Makes spans with an OpenTelemetry tracer.
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
}

impl<T> OpenTelemetryBridge<T> {
    /// A bridge to this tracer.
    #[must_use]
    pub fn new(tracer: T) -> Self {
        Self { tracer, random_flag: false }
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

impl<T> Bridge for OpenTelemetryBridge<T>
where
    T: Tracer + Send + Sync,
    T::Span: Send + Sync + 'static,
{
    fn is_recording(&self) -> bool {
        true
    }

    fn current(&self, innermost: Option<CurrentHop<'_>>) -> Option<PropagationContext> {
        Context::map_current(|context| current_in(context, innermost, self.random_flag))
    }

    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        Context::map_current(|context| span_inside(context, id))
    }

    fn start(&self, hop: Hop) -> Started {
        let id = hop.id();
        let parent = parent_context(&hop.parent, !hop.local, hop.local);
        let mut builder = SpanBuilder::from_name(hop.name).with_kind(kind(hop.kind));
        builder = builder.with_attributes(hop.attributes.into_iter().map(attribute));
        builder = builder.with_links(hop.links.into_iter().filter_map(link).collect());
        let mut span = handing_over(&hop.parent.trace, || self.tracer.build_with_context(builder, &parent));
        if let Some(missed) = missed(&hop.parent.trace, span.span_context()) {
            span.set_attribute(KeyValue::new(RECEIVED_TRACE_ID, missed));
        }
        let trace = trace_context(span.span_context(), Some(&hop.parent.trace), self.random_flag);
        // A tracer that makes no spans (the API's no-op) must not end the trace.
        let trace = if trace.has_ids() { trace } else { hop.parent.trace };
        let context = PropagationContext::new(trace).with_baggage(hop.parent.baggage);
        Started::span(context, Box::new(OtelSpan::own(parent.with_span(span).with_value(id))))
    }

    fn continue_from(&self, continued: Continued<'_>) -> Option<Box<dyn BridgeSpan>> {
        let context = if continued.suppressed {
            Context::map_current(Context::with_telemetry_suppressed)
        } else {
            parent_context(continued.context, !continued.local, true)
        };
        Some(Box::new(OtelSpan::around(context.with_value(continued.id))))
    }
}

/// What a context of OpenTelemetry says, if its span is one that counts.
pub(super) fn current_in(
    context: &Context,
    innermost: Option<CurrentHop<'_>>,
    random_flag: bool,
) -> Option<PropagationContext> {
    let inside = innermost.is_none_or(|hop| context.get::<HopId>() == Some(&hop.id));
    if !inside || !context.has_active_span() {
        return None;
    }
    let trace = trace_context(context.span().span_context(), innermost.map(|hop| hop.trace), random_flag);
    trace.has_ids().then(|| PropagationContext::new(trace).with_baggage(baggage_from(context.baggage())))
}

/// The span of a context that is inside of a hop.
pub(super) fn span_inside(context: &Context, id: HopId) -> Option<SpanId> {
    let inside = context.get::<HopId>() == Some(&id) && context.has_active_span();
    SpanId::from_bytes(context.span().span_context().span_id().to_bytes()).filter(|_| inside)
}

/// Returns OpenTelemetry's context for a parent, with the parent's baggage readable through OpenTelemetry's API.
///
/// With `may_be_current`, the current context is kept if its span is the parent.
pub(super) fn parent_context(parent: &PropagationContext, remote: bool, may_be_current: bool) -> Context {
    let current = Context::current();
    let span = span_context(&parent.trace, remote)
        .or_else(|| root_context(&parent.trace, remote))
        .or_else(|| denied(&parent.trace));
    let is_current = |span: &opentelemetry::trace::SpanContext| {
        current.has_active_span() && current.span().span_context().span_id() == span.span_id()
    };
    let context = match span {
        Some(span) if may_be_current && is_current(&span) => current,
        Some(span) => current.with_remote_span_context(span),
        None => Context::new(),
    };
    Caller::note(&parent.trace, baggage_into(&parent.baggage, context))
}

#[derive(Debug)]
pub(super) struct OtelSpan {
    context: Context,
    /// Whether the span in `context` is this hop's. If not, it is a parent's: there to be entered, not ours to change or end.
    own: bool,
}

impl OtelSpan {
    /// A span of the hop.
    pub(super) fn own(context: Context) -> Self {
        Self { context, own: true }
    }

    /// No span of its own, only a context to enter.
    pub(super) fn around(context: Context) -> Self {
        Self { context, own: false }
    }

    fn with_own(&self, change: impl FnOnce(SpanRef<'_>)) {
        if self.own {
            change(self.context.span());
        }
    }
}

/// An exception record of the semantic conventions 1.45 (exceptions on spans).
fn said_of(exception: &Exception) -> Vec<KeyValue> {
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
        if let Some(link) = link(added) {
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
                        span.add_event("exception", said_of(exception));
                    }
                }
                Outcome::Cancelled => span.set_attribute(KeyValue::new("error.type", "cancelled")),
                _ => {}
            }
            span.end();
        });
    }
}
