//! Counts spans on their way out, and reports those that are lost.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};

use super::{SetupError, report};
use propagation_core::{Counters, EscapedText, bridge::record_failed_export};

/// The first lost spans are reported at once, later ones in one line for each such time.
pub(super) const REPORT_EVERY: Duration = Duration::from_secs(60);
/// The longest text of an error that is kept, in bytes.
const CAUSE: usize = 300;

/// How many sampled spans have ended, and how many of them were exported.
///
/// A collector that takes a request and rejects some of its spans (OTLP's partial success) is not noticed: they count as exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanCounts {
    /// Ended and sampled spans, once for each exporter.
    pub ended: u64,
    /// Spans of successful exports.
    pub exported: u64,
    /// Spans of failed exports, and those that found the queue full.
    pub failed: u64,
}

impl SpanCounts {
    /// Spans that are not exported: failed, or still waiting. After the shutdown, all of them are lost.
    #[must_use]
    pub const fn not_exported(self) -> u64 {
        self.ended.saturating_sub(self.exported)
    }
}

/// The counts of one provider's spans.
#[derive(Debug)]
pub(super) struct Exports {
    service: String,
    /// How many spans may be under way at once, if there is a limit.
    capacity: Option<u64>,
    ended: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
    /// Spans that found the queue full, as far as they are counted.
    overflowed: AtomicU64,
    closed: AtomicBool,
    counters: OnceLock<Arc<Counters>>,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    reported: Option<Instant>,
    failure: Option<Failure>,
}

#[derive(Clone, Debug)]
struct Failure {
    endpoint: String,
    cause: String,
}

impl Exports {
    pub(super) fn new(service: String, capacity: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            service,
            capacity,
            ended: AtomicU64::new(0),
            exported: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            counters: OnceLock::new(),
            last: Mutex::default(),
        })
    }

    /// Adds lost spans to the counters of a propagator, too.
    pub(super) fn count_in(&self, counters: &Arc<Counters>) {
        let _ = self.counters.set(Arc::clone(counters));
    }

    pub(super) fn counts(&self) -> SpanCounts {
        // In this order: an exported span has ended before.
        let exported = self.exported.load(Ordering::Acquire);
        let failed = self.failed.load(Ordering::Acquire);
        SpanCounts { ended: self.ended.load(Ordering::Acquire), exported, failed }
    }

    fn ended(&self, endpoint: &str) {
        let ended = self.ended.fetch_add(1, Ordering::AcqRel) + 1;
        if self.closed.load(Ordering::Relaxed) {
            return self.lost(1, endpoint, "ended after the shutdown");
        }
        let Some(capacity) = self.capacity else { return };
        let done = self.exported.load(Ordering::Acquire).saturating_add(self.failed.load(Ordering::Acquire));
        // More than fit were dropped for certain.
        let over = ended.saturating_sub(done).saturating_sub(capacity);
        if over > 0 && self.overflowed.fetch_max(over, Ordering::AcqRel) < over {
            self.lost(1, endpoint, "the queue was full (OTEL_BSP_MAX_QUEUE_SIZE)");
        }
    }

    fn exported(&self, spans: u64) {
        self.exported.fetch_add(spans, Ordering::AcqRel);
    }

    fn lost(&self, spans: u64, endpoint: &str, cause: &str) {
        let cause = bounded(cause);
        self.failed.fetch_add(spans, Ordering::AcqRel);
        if let Some(counters) = self.counters.get() {
            counters.add_spans_not_exported(spans);
        }
        record_failed_export(&self.service, endpoint, spans, &cause);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.failure = Some(Failure { endpoint: endpoint.to_owned(), cause: cause.clone() });
        let due = last.reported.is_none_or(|reported| reported.elapsed() >= REPORT_EVERY);
        if due {
            last.reported = Some(Instant::now());
        }
        drop(last);
        if due {
            report::lost_spans(endpoint, &cause, self.failed.load(Ordering::Acquire));
        }
    }

    /// Ends the counting, and returns an error if spans are lost.
    pub(super) fn close(&self) -> Result<(), SetupError> {
        self.closed.store(true, Ordering::Relaxed);
        let counts = self.counts();
        let lost = counts.not_exported();
        if lost == 0 {
            return Ok(());
        }
        // Those that no export has seen.
        let silent = lost.saturating_sub(counts.failed);
        if let Some(counters) = self.counters.get() {
            counters.add_spans_not_exported(silent);
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = last.failure.clone();
        let (endpoint, cause) = failure.map_or_else(
            || (String::new(), "the export did not end in time".to_owned()),
            |failure| (failure.endpoint, failure.cause),
        );
        Err(SetupError::SpansLost { spans: lost, endpoint, cause })
    }
}

/// Returns one line, without control, bidirectional and invisible characters.
fn bounded(text: &str) -> String {
    EscapedText::new(text).with_max_bytes(CAUSE).to_string()
}

/// Counts the sampled spans that end.
#[derive(Debug)]
pub(super) struct CountingProcessor<P> {
    processor: P,
    endpoint: String,
    exports: Arc<Exports>,
}

impl<P> CountingProcessor<P> {
    pub(super) fn new(processor: P, endpoint: &str, exports: &Arc<Exports>) -> Self {
        Self { processor, endpoint: endpoint.to_owned(), exports: Arc::clone(exports) }
    }
}

impl<P: SpanProcessor> SpanProcessor for CountingProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.processor.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.exports.ended(&self.endpoint);
        }
        self.processor.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.processor.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

/// Counts the spans of successful exports, and reports failed ones.
#[derive(Debug)]
pub(super) struct CountingExporter<E> {
    exporter: E,
    endpoint: String,
    exports: Arc<Exports>,
}

impl<E> CountingExporter<E> {
    pub(super) fn new(exporter: E, endpoint: &str, exports: &Arc<Exports>) -> Self {
        Self { exporter, endpoint: endpoint.to_owned(), exports: Arc::clone(exports) }
    }
}

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sampled = batch.iter().filter(|span| span.span_context.is_sampled()).count();
        let sampled = u64::try_from(sampled).unwrap_or(u64::MAX);
        let result = self.exporter.export(batch).await;
        match &result {
            Ok(()) => self.exports.exported(sampled),
            Err(error) => self.exports.lost(sampled, &self.endpoint, &error.to_string()),
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
