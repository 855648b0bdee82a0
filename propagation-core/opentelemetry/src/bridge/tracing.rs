//! The bridge to `tracing` spans that `tracing-opentelemetry` 0.34 exports.

use std::{borrow::Cow, fmt};

use opentelemetry::{Context, baggage::BaggageExt, trace::TraceContextExt};
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{
    Caller,
    convert::{attribute, baggage_from, baggage_into, linked, span_context, trace_context},
    opentelemetry::{OtelSpan, current_in, parent_context, span_inside},
};
use propagation_core::bridge::{Bridge, BridgeSpan, Innermost, Marker, Started};
use propagation_core::{Attribute, Hop, Outcome, PropagationContext, SpanId, SpanKind, TraceContext};

/// Makes `tracing` spans, for an application whose subscriber has a layer of `tracing-opentelemetry`.
///
/// The spans have the target `propagation` and the level info. Where a filter disables them, or there is no such layer, the
/// context goes on all the same.
///
/// ```
/// use propagation_core::Propagator;
/// use propagation_opentelemetry::TracingBridge;
///
/// let propagator = Propagator::builder().bridge(TracingBridge::new()).build();
/// # let _ = propagator;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TracingBridge {
    random_ids: bool,
}

impl TracingBridge {
    /// A bridge to the subscriber that is in force wherever it is used.
    #[must_use]
    pub fn new() -> Self {
        Self { random_ids: true }
    }

    /// Whether the tracer's own trace ids are random in their right-most seven bytes; they are, with the SDK's generators.
    #[must_use]
    pub fn with_random_ids(mut self, random: bool) -> Self {
        self.random_ids = random;
        self
    }
}

impl Default for TracingBridge {
    fn default() -> Self {
        Self::new()
    }
}

impl Bridge for TracingBridge {
    fn records(&self) -> bool {
        true
    }

    fn current(&self, innermost: Option<Innermost<'_>>) -> Option<PropagationContext> {
        // Whichever is further in: a span of OpenTelemetry's own API that user code has attached, or the `tracing` span.
        let attached = Context::map_current(|context| current_in(context, innermost, self.random_ids));
        let own =
            |found: &PropagationContext| innermost.is_some_and(|hop| hop.trace.span_id() == found.trace.span_id());
        if let Some(found) = attached.as_ref().filter(|found| !own(found)) {
            return Some(found.clone());
        }
        let mut found = current_in(&Span::current().context(), innermost, self.random_ids).or(attached)?;
        // What was attached through OpenTelemetry's API is in no `tracing` span.
        let baggage = Context::map_current(|context| baggage_from(context.baggage()));
        if !baggage.is_empty() {
            found.baggage = baggage;
        }
        Some(found)
    }

    fn span_inside(&self, marker: Marker) -> Option<SpanId> {
        Context::map_current(|context| span_inside(context, marker))
    }

    fn start(&self, hop: Hop) -> Started {
        let marker = hop.marker();
        let parent = baggage_into(&hop.parent.baggage, local_parent(&hop).unwrap_or_else(|| parent_context(&hop)))
            .with_value(marker);
        let Some(kind) = hop.kind else {
            return Started::span(hop.parent, Box::new(OtelSpan::around(parent)));
        };
        let span = new_span(kind, &hop);
        let started = span.set_parent(parent.clone()).is_ok();
        for each in hop.attributes {
            let each = attribute(each);
            span.set_attribute(each.key, each.value);
        }
        for linked in hop.links.iter().filter_map(linked) {
            span.add_link(linked);
        }
        let context = span.context();
        let trace = trace_context(context.span().span_context(), Some(&hop.parent.trace), self.random_ids);
        let (trace, otel) = if started && trace.has_ids() {
            (trace, OtelSpan::own(context))
        } else {
            (hop.parent.trace, OtelSpan::around(parent))
        };
        let context = PropagationContext::new(trace).with_baggage(hop.parent.baggage);
        Started::span(context, Box::new(TracingSpan { span, otel }))
    }
}

/// The `tracing` span that is current, if it is the hop's parent.
fn local_parent(hop: &Hop) -> Option<Context> {
    let parent = span_context(&hop.parent.trace, false).filter(|_| hop.local)?;
    let context = Span::current().context();
    (context.span().span_context().span_id() == parent.span_id()).then(|| Caller::note(&hop.parent.trace, context))
}

fn new_span(kind: SpanKind, hop: &Hop) -> Span {
    let kind = match kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "internal",
    };
    let name: &str = &hop.name;
    if hop.local {
        tracing::info_span!(target: "propagation", "hop", otel.name = name, otel.kind = kind, otel.status_code = Empty)
    } else {
        tracing::info_span!(target: "propagation", parent: None, "hop", otel.name = name, otel.kind = kind, otel.status_code = Empty)
    }
}

struct TracingSpan {
    span: Span,
    otel: OtelSpan,
}

impl fmt::Debug for TracingSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracingSpan").field("span", &self.span.id()).finish_non_exhaustive()
    }
}

impl BridgeSpan for TracingSpan {
    fn enter(&self, run: &mut dyn FnMut()) {
        self.span.in_scope(|| self.otel.enter(run));
    }

    fn set_attribute(&self, attribute: Attribute) {
        self.otel.set_attribute(attribute);
    }

    fn add_link(&self, trace: &TraceContext) {
        self.otel.add_link(trace);
    }

    fn rename(&self, name: Cow<'static, str>) {
        self.otel.rename(name);
    }

    /// Ends OpenTelemetry's span now: `tracing` closes its own only when the last of its children has closed.
    fn end(&self, outcome: &Outcome) {
        self.otel.end(outcome);
    }
}
