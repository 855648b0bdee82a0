//! Detects tracers that make no spans: the API's no-op, alone or boxed by `opentelemetry::global`.

use std::{
    any::TypeId,
    sync::atomic::{AtomicBool, Ordering},
};

use opentelemetry::{
    Context,
    trace::{
        Span, SpanBuilder, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
        noop::NoopSpan,
    },
};

const PROBED: SpanId = SpanId::from_bytes([0xff; 8]);

/// The finding about a tracer.
pub(super) struct IdleTracer {
    /// Whether the tracer has made a span that was none.
    found: AtomicBool,
    /// A parent in which the SDK makes no span.
    probe: Context,
}

impl IdleTracer {
    pub(super) fn new() -> Self {
        let trace_id = TraceId::from_bytes([0xff; 16]);
        let parent = SpanContext::new(trace_id, PROBED, TraceFlags::NOT_SAMPLED, true, TraceState::NONE);
        let probe = Context::new().with_remote_span_context(parent).with_telemetry_suppressed();
        Self { found: AtomicBool::new(false), probe }
    }

    /// Returns true if the tracer makes no spans now. It is probed only after it has made none.
    pub(super) fn makes_no_spans<T: Tracer<Span: 'static>>(&self, tracer: &T) -> bool {
        TypeId::of::<T::Span>() == TypeId::of::<NoopSpan>() || self.found.load(Ordering::Relaxed) && self.probe(tracer)
    }

    /// Looks at a span that the tracer has made for a parent.
    pub(super) fn note<T: Tracer>(&self, tracer: &T, made: &SpanContext, parent: &SpanContext) {
        if !made.is_valid() || made.span_id() == parent.span_id() {
            self.probe(tracer);
        }
    }

    /// Probes the tracer: one that delegates may have got a provider meanwhile. The no-op returns its parent's ids, the SDK in a suppressed
    /// context none.
    #[cold]
    fn probe<T: Tracer>(&self, tracer: &T) -> bool {
        let span = tracer.build_with_context(SpanBuilder::from_name("propagation check"), &self.probe);
        let idle = span.span_context().span_id() == PROBED && !span.is_recording();
        if self.found.load(Ordering::Relaxed) != idle {
            self.found.store(idle, Ordering::Relaxed);
        }
        idle
    }
}
