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

use opentelemetry::{Context, trace::TraceContextExt};
use tracing::{Dispatch, Level, Span, dispatcher, level_filters::LevelFilter, subscriber::NoSubscriber};
use tracing_opentelemetry::{OpenTelemetrySpanExt, SetParentError};

use propagation_core::{
    Attribute, Hop, Link, Outcome, PropagationContext, SpanId, SpanKind,
    bridge::{Bridge, BridgeError, BridgeSpan, Continued, CurrentHop, HopId, Started},
};

use super::{
    Carried,
    convert::{attribute, link, trace_context},
    opentelemetry::{OtelSpan, Parent, parent_context, span_inside, suppressed_context},
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
    baggage_map: bool,
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
        let is_reported = |bits: u8| bits & bit != 0;
        if is_reported(self.reported.load(Ordering::Relaxed))
            || is_reported(self.reported.fetch_or(bit, Ordering::Relaxed))
        {
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
        Self { random_flag: false, baggage_map: false, findings: Arc::default() }
    }

    /// Sets whether traces that begin here carry the random flag. Off by default; see
    /// [`OpenTelemetryBridge::with_random_flag`](crate::OpenTelemetryBridge::with_random_flag).
    #[must_use]
    pub fn with_random_flag(mut self, random: bool) -> Self {
        self.random_flag = random;
        self
    }

    /// Sets whether a hop's baggage is in OpenTelemetry's own map. Off by default; see
    /// [`OpenTelemetryBridge::with_baggage_map`](crate::OpenTelemetryBridge::with_baggage_map).
    #[must_use]
    pub fn with_baggage_map(mut self, map: bool) -> Self {
        self.baggage_map = map;
        self
    }
}

impl TracingBridge {
    /// Returns false, and reports it once, if no subscriber makes spans here: then hops need no description.
    fn is_subscribed(&self) -> bool {
        if LevelFilter::current() == LevelFilter::OFF || has_no_subscriber() {
            self.findings.report(disabled());
            return false;
        }
        true
    }
}

impl Default for TracingBridge {
    fn default() -> Self {
        Self::new()
    }
}

impl Bridge for TracingBridge {
    fn is_recording(&self) -> bool {
        self.findings.fatal.get().is_none() && self.is_subscribed()
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
        let current_in = |context: &Context| Carried::current_in(context, innermost, self.random_flag);
        let attached = Context::map_current(current_in);
        let own =
            |found: &PropagationContext| innermost.is_some_and(|hop| hop.trace.span_id() == found.trace.span_id());
        if let Some(found) = attached.as_ref().filter(|found| !own(found)) {
            return Some(found.clone());
        }
        // Nothing is inside of the hop: the span's context need not be asked for.
        if innermost.is_some_and(|hop| Context::map_current(|context| Carried::is_entered(context, hop.id))) {
            return attached;
        }
        let mut found = current_in(&Span::current().context()).or(attached)?;
        // Baggage that was attached through OpenTelemetry's API is in no `tracing` span.
        if let Some(baggage) = Context::map_current(Carried::changed_baggage) {
            found.baggage = baggage;
        }
        Some(found)
    }

    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        Context::map_current(|context| span_inside(context, id))
    }

    fn start(&self, mut hop: Hop) -> Started {
        Carried::detach(&mut hop);
        let parent = parent_context(Parent::from(&hop), self.baggage_map, || Some(Span::current().context()));
        let around = |context, parent: PropagationContext| {
            let span = OtelSpan::around(context, &parent.trace);
            Started::span(parent, Box::new(span))
        };
        if self.findings.fatal.get().is_some() {
            return around(parent, hop.parent);
        }
        let span = callsite::span(&hop.name, hop.kind, !hop.local);
        if let Err(problem) = set_parent(&span, parent.clone()) {
            self.findings.report(problem);
            leave_open(span);
            return around(parent, hop.parent);
        }
        for each in hop.attributes {
            let each = attribute(each);
            span.set_attribute(each.key, each.value);
        }
        for each in hop.links {
            if let Some(link) = link(each, &hop.parent.trace, parent.span().span_context()) {
                span.add_link_with_attributes(link.span_context, link.attributes);
            }
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
        let given = parent.span();
        let given = given.span_context().trace_state();
        let trace =
            trace_context(context.span().span_context(), Some(&hop.parent.trace), Some(given), self.random_flag);
        let (trace, otel) = if trace.has_ids() {
            let otel = OtelSpan::own(context, &trace);
            (trace, otel)
        } else {
            let otel = OtelSpan::around(parent, &hop.parent.trace);
            (hop.parent.trace, otel)
        };
        otel.set_tracing_span(&span);
        let context = PropagationContext::new(trace).with_baggage(hop.parent.baggage);
        Started::span(context, Box::new(TracingSpan { span, otel }))
    }

    fn continue_from(&self, continued: Continued<'_>) -> Option<Box<dyn BridgeSpan>> {
        let context = if continued.suppressed {
            suppressed_context(continued)
        } else {
            parent_context(Parent::from(continued), self.baggage_map, || Some(Span::current().context()))
        };
        Some(Box::new(OtelSpan::around(context, &continued.context.trace)))
    }
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
        SetParentError::SpanDisabled => disabled(),
    })
}

/// Returns the reason why a span is disabled.
fn disabled() -> BridgeError {
    if has_no_subscriber() { BridgeError::NoSubscriber } else { BridgeError::SpansDisabled }
}

/// Returns true on a thread without a subscriber.
fn has_no_subscriber() -> bool {
    dispatcher::get_default(Dispatch::is::<NoSubscriber>)
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
        // The layer attaches the span's context itself, unless its context activation is switched off.
        self.span.in_scope(|| if self.otel.is_attached() { run() } else { self.otel.enter(run) });
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
