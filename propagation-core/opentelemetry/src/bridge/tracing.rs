//! The bridge to `tracing` spans that `tracing-opentelemetry` 0.34 exports.

mod callsite;

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use opentelemetry::{Context, baggage::BaggageExt, trace::TraceContextExt};
use tracing::{Dispatch, Level, Span, dispatcher, subscriber::NoSubscriber};
use tracing_opentelemetry::{OpenTelemetrySpanExt, SetParentError};

use propagation_core::{
    Attribute, Hop, Link, Outcome, PropagationContext, SpanId, SpanKind,
    bridge::{Bridge, BridgeError, BridgeSpan, Continued, CurrentHop, HopId, Started},
};

use super::{
    Caller,
    convert::{attribute, baggage_from, baggage_into, link, span_context, trace_context},
    opentelemetry::{OtelSpan, current_in, parent_context, span_inside},
    received_id::{RECEIVED_TRACE_ID, handing_over, missed},
};

/// Makes `tracing` spans, for an application whose subscriber has a layer of `tracing-opentelemetry` 0.34.
///
/// The spans have the target `propagation` and the level info. Where a filter disables them, the context goes on all the same, and that is
/// reported once: as a warning, or on standard error where the filter hides that, too.
///
/// A subscriber without a layer of this very version, or with one inside of `tracing_subscriber::reload::Layer` (which hides it), cannot give a
/// span its parent. The first span finds that out: one error of the target `propagation` names the cause, later hops make no span, and
/// the context passes through. [`Propagator::check`](propagation_core::Propagator::check) finds it out at the start. Clones share the finding.
///
/// ```
/// use propagation_core::Propagator;
/// use propagation_opentelemetry::TracingBridge;
///
/// let propagator = Propagator::builder().bridge(TracingBridge::new()).build();
/// # let _ = propagator;
/// ```
#[derive(Clone, Debug)]
pub struct TracingBridge {
    random_flag: bool,
    findings: Arc<Findings>,
}

/// The findings of a bridge about the subscriber.
#[derive(Debug, Default)]
struct Findings {
    /// The reason to make no more spans.
    fatal: OnceLock<BridgeError>,
    /// The problems that were reported, one bit each.
    reported: AtomicU8,
}

impl Findings {
    /// Reports a problem, once.
    #[cold]
    fn report(&self, problem: BridgeError) {
        let bit = match problem {
            BridgeError::NoSubscriber => 1,
            BridgeError::SpansDisabled => 2,
            _ => {
                if self.fatal.set(problem).is_err() {
                    return;
                }
                4
            }
        };
        if self.reported.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return;
        }
        // Without a parent: an error must not become the status of a span that is current here.
        if bit == 4 && tracing::event_enabled!(target: "propagation", Level::ERROR) {
            tracing::error!(target: "propagation", parent: None, "{problem}");
        } else if bit != 4 && tracing::event_enabled!(target: "propagation", Level::WARN) {
            tracing::warn!(target: "propagation", parent: None, "{problem}");
        } else {
            use std::io::Write as _;

            // An error of standard error itself has no place to be reported.
            let _ = writeln!(std::io::stderr().lock(), "propagation: {problem}");
        }
    }
}

impl TracingBridge {
    /// A bridge to the subscriber that is in force wherever it is used.
    #[must_use]
    pub fn new() -> Self {
        Self { random_flag: false, findings: Arc::default() }
    }

    /// Sets whether traces that begin here carry the random flag. Off by default; see
    /// [`OpenTelemetryBridge::with_random_flag`](crate::OpenTelemetryBridge::with_random_flag).
    #[must_use]
    pub fn with_random_flag(mut self, random: bool) -> Self {
        self.random_flag = random;
        self
    }
}

impl Default for TracingBridge {
    fn default() -> Self {
        Self::new()
    }
}

impl Bridge for TracingBridge {
    fn is_recording(&self) -> bool {
        self.findings.fatal.get().is_none()
    }

    fn check(&self) -> Result<(), BridgeError> {
        if let Some(problem) = self.findings.fatal.get() {
            return Err(*problem);
        }
        let probe = callsite::span("propagation check", SpanKind::Internal, true);
        // Not exported: the SDK makes no span in such a context.
        let result = set_parent(&probe, Context::new().with_telemetry_suppressed());
        if let Err(problem @ (BridgeError::LayerNotFound | BridgeError::SpanAlreadyStarted)) = result {
            self.findings.report(problem);
            leave_open(probe);
            return result;
        }
        if result.is_ok() && !probe.context().has_active_span() { Err(BridgeError::SpansDisabled) } else { result }
    }

    fn current(&self, innermost: Option<CurrentHop<'_>>) -> Option<PropagationContext> {
        // Whichever is further in: a span of OpenTelemetry's own API that user code has attached, or the `tracing` span.
        let attached = Context::map_current(|context| current_in(context, innermost, self.random_flag));
        let own =
            |found: &PropagationContext| innermost.is_some_and(|hop| hop.trace.span_id() == found.trace.span_id());
        if let Some(found) = attached.as_ref().filter(|found| !own(found)) {
            return Some(found.clone());
        }
        let mut found = current_in(&Span::current().context(), innermost, self.random_flag).or(attached)?;
        // What was attached through OpenTelemetry's API is in no `tracing` span.
        let baggage = Context::map_current(|context| baggage_from(context.baggage()));
        if !baggage.is_empty() {
            found.baggage = baggage;
        }
        Some(found)
    }

    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        Context::map_current(|context| span_inside(context, id))
    }

    fn start(&self, hop: Hop) -> Started {
        let id = hop.id();
        let parent = Some(&hop.parent).filter(|_| hop.local).and_then(current_parent);
        let parent = parent.unwrap_or_else(|| parent_context(&hop.parent, !hop.local, hop.local));
        let parent = baggage_into(&hop.parent.baggage, parent).with_value(id);
        if !self.is_recording() {
            return Started::span(hop.parent, Box::new(OtelSpan::around(parent)));
        }
        let span = callsite::span(&hop.name, hop.kind, !hop.local);
        if let Err(problem) = set_parent(&span, parent.clone()) {
            self.findings.report(problem);
            leave_open(span);
            return Started::span(hop.parent, Box::new(OtelSpan::around(parent)));
        }
        for each in hop.attributes {
            let each = attribute(each);
            span.set_attribute(each.key, each.value);
        }
        for link in hop.links.into_iter().filter_map(link) {
            span.add_link_with_attributes(link.span_context, link.attributes);
        }
        // The span starts here.
        let context = handing_over(&hop.parent.trace, || span.context());
        if !context.has_active_span() {
            // Enabled for other layers, and not for the one that exports.
            self.findings.report(BridgeError::SpansDisabled);
        }
        if let Some(missed) = missed(&hop.parent.trace, context.span().span_context()) {
            span.set_attribute(RECEIVED_TRACE_ID, missed);
        }
        let trace = trace_context(context.span().span_context(), Some(&hop.parent.trace), self.random_flag);
        let (trace, otel) = if trace.has_ids() {
            (trace, OtelSpan::own(context))
        } else {
            (hop.parent.trace, OtelSpan::around(parent))
        };
        let context = PropagationContext::new(trace).with_baggage(hop.parent.baggage);
        Started::span(context, Box::new(TracingSpan { span, otel }))
    }

    fn continue_from(&self, continued: Continued<'_>) -> Option<Box<dyn BridgeSpan>> {
        let Continued { id, context: parent, local, .. } = continued;
        if continued.suppressed {
            let context = Context::map_current(Context::with_telemetry_suppressed);
            return Some(Box::new(OtelSpan::around(context.with_value(id))));
        }
        let context = current_parent(parent).unwrap_or_else(|| parent_context(parent, !local, true));
        Some(Box::new(OtelSpan::around(baggage_into(&parent.baggage, context).with_value(id))))
    }
}

/// Returns the context of the current `tracing` span, if that span is the parent.
fn current_parent(parent: &PropagationContext) -> Option<Context> {
    let span = span_context(&parent.trace, false)?;
    let context = Span::current().context();
    (context.span().span_context().span_id() == span.span_id()).then(|| Caller::note(&parent.trace, context))
}

/// Never closes a span: closed, a layer that the bridge cannot reach would export it as the root of another trace. At most two for a bridge.
fn leave_open(span: Span) {
    let _ = std::mem::ManuallyDrop::new(span);
}

/// Sets the parent of a span that was just made.
fn set_parent(span: &Span, parent: Context) -> Result<(), BridgeError> {
    span.set_parent(parent).map_err(|error| match error {
        SetParentError::LayerNotFound => BridgeError::LayerNotFound,
        SetParentError::AlreadyStarted => BridgeError::SpanAlreadyStarted,
        SetParentError::SpanDisabled if dispatcher::get_default(Dispatch::is::<NoSubscriber>) => {
            BridgeError::NoSubscriber
        }
        SetParentError::SpanDisabled => BridgeError::SpansDisabled,
    })
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

    fn add_link(&self, link: Link) {
        self.otel.add_link(link);
    }

    fn rename(&self, name: Cow<'static, str>) {
        // For log lines, which show the fields.
        self.span.record("otel.name", &*name);
        self.otel.rename(name);
    }

    /// Ends OpenTelemetry's span now: `tracing` closes its own only when the last of its children has closed.
    fn end(&self, outcome: &Outcome) {
        self.otel.end(outcome);
    }
}
