//! Exceptions as log records.

use std::{borrow::Cow, fmt, sync::Arc, time::SystemTime};

use opentelemetry::{
    logs::{AnyValue, LogRecord, Logger, Severity},
    trace::{SpanId as OtelSpanId, TraceFlags, TraceId},
};
use propagation_core::{
    Attribute, Bridge, Exception, Hop, Link, Outcome, PropagationContext, SpanId, TraceContext,
    bridge::{BridgeError, BridgeSpan, Continued, CurrentHop, HopId, Started},
    semconv,
};

/// Records the exception of a failed hop as a log record of the name `exception`, around a bridge that makes spans.
///
/// The record has the severity ERROR, the ids of the hop's span, and `exception.type`, `exception.message` and `exception.stacktrace` as far as they
/// are known and the policy allows them. The set-up adds it if `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN` is `logs` (records in place of span events) or
/// `logs/dup` (both).
///
/// ```
/// use opentelemetry::{logs::LoggerProvider, trace::TracerProvider};
/// use propagation_core::Propagator;
/// use propagation_opentelemetry::{ExceptionRecords, OpenTelemetryBridge};
///
/// let spans = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
/// let logs = opentelemetry_sdk::logs::SdkLoggerProvider::builder().build();
/// let bridge = ExceptionRecords::new(logs.logger("shop"), OpenTelemetryBridge::new(spans.tracer("shop")));
/// let propagator = Propagator::builder().bridge(bridge).build();
/// # let _ = propagator;
/// ```
pub struct ExceptionRecords<L, B> {
    logger: Arc<L>,
    inner: B,
    span_events: bool,
}

impl<L, B> ExceptionRecords<L, B> {
    /// Records exceptions to this logger, and no longer as events of spans.
    #[must_use]
    pub fn new(logger: L, inner: B) -> Self {
        Self { logger: Arc::new(logger), inner, span_events: false }
    }

    /// Sets whether exceptions are events of spans, too. Off by default.
    #[must_use]
    pub fn with_span_events(mut self, keep: bool) -> Self {
        self.span_events = keep;
        self
    }
}

impl<L, B: fmt::Debug> fmt::Debug for ExceptionRecords<L, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExceptionRecords").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<L, B> Bridge for ExceptionRecords<L, B>
where
    L: Logger + Send + Sync + 'static,
    B: Bridge,
{
    fn is_recording(&self) -> bool {
        self.inner.is_recording()
    }

    fn makes_spans(&self) -> bool {
        self.inner.makes_spans()
    }

    fn check(&self) -> Result<(), BridgeError> {
        self.inner.check()
    }

    fn current(&self, innermost: Option<CurrentHop<'_>>) -> Option<PropagationContext> {
        self.inner.current(innermost)
    }

    fn span_inside(&self, id: HopId) -> Option<SpanId> {
        self.inner.span_inside(id)
    }

    fn continue_from(&self, continued: Continued<'_>) -> Option<Box<dyn BridgeSpan>> {
        self.inner.continue_from(continued)
    }

    fn start(&self, hop: Hop) -> Started {
        let started = self.inner.start(hop);
        let Started { context, span: Some(span), .. } = started else { return started };
        let trace = context.trace.clone();
        let (logger, span_events) = (Arc::clone(&self.logger), self.span_events);
        Started::span(context, Box::new(Recorded { span, trace, logger, span_events }))
    }
}

/// A span whose exception becomes a log record.
struct Recorded<L> {
    span: Box<dyn BridgeSpan>,
    trace: TraceContext,
    logger: Arc<L>,
    span_events: bool,
}

impl<L: Logger> Recorded<L> {
    fn emit(&self, exception: &Exception) {
        let mut record = self.logger.create_log_record();
        record.set_event_name("exception");
        record.set_timestamp(SystemTime::now());
        record.set_severity_number(Severity::Error);
        record.set_severity_text("ERROR");
        let text = |text: &Cow<'static, str>| AnyValue::String(text.clone().into());
        record.add_attribute(semconv::EXCEPTION_TYPE, text(&exception.kind));
        if let Some(message) = &exception.message {
            record.add_attribute(semconv::EXCEPTION_MESSAGE, text(message));
        }
        if let Some(stacktrace) = &exception.stacktrace {
            record.add_attribute(semconv::EXCEPTION_STACKTRACE, text(stacktrace));
        }
        set_trace(&mut record, &self.trace);
        self.logger.emit(record);
    }
}

impl<L> fmt::Debug for Recorded<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("span", &self.span).finish_non_exhaustive()
    }
}

impl<L: Logger + Send + Sync> BridgeSpan for Recorded<L> {
    fn enter(&self, run: &mut dyn FnMut()) {
        self.span.enter(run);
    }

    fn set_attribute(&self, attribute: Attribute) {
        self.span.set_attribute(attribute);
    }

    fn add_link(&self, link: Link) {
        self.span.add_link(link);
    }

    fn rename(&self, name: Cow<'static, str>) {
        self.span.rename(name);
    }

    fn end(&self, outcome: &Outcome) {
        let Outcome::Error { kind, description, exception: Some(exception) } = outcome else {
            return self.span.end(outcome);
        };
        self.emit(exception);
        if self.span_events {
            return self.span.end(outcome);
        }
        // The message of the exception describes the status, as it does with a span event.
        let description =
            if description.is_empty() { exception.message.clone().unwrap_or_default() } else { description.clone() };
        self.span.end(&Outcome::error(kind.clone()).described(description));
    }
}

/// Sets the ids of a trace, if it has them.
pub(crate) fn set_trace(record: &mut impl LogRecord, trace: &TraceContext) {
    if let (Some(trace_id), Some(span_id)) = (trace.trace_id(), trace.span_id()) {
        let flags = if trace.sampling.decided() == Some(true) { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        let (trace_id, span_id) =
            (TraceId::from_bytes(trace_id.to_bytes()), OtelSpanId::from_bytes(span_id.to_bytes()));
        record.set_trace_context(trace_id, span_id, Some(flags));
    }
}
