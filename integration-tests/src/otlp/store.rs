//! Where received spans are kept.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::signals::{ReceivedLog, ReceivedMetric};
use crate::trace::Span;

/// More spans than this are refused: a sender gone wild must not take the machine's memory.
const LIMIT: usize = 2_000_000;

/// How much was received, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Exports that were taken.
    pub requests: usize,
    /// Spans that were kept.
    pub spans: usize,
    /// Spans that were refused: ids of a wrong length, or more than a receiver keeps (two million).
    pub rejected: usize,
    /// Requests that could not be read at all, or would take too much memory once decoded.
    pub malformed: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, spans, rejected, malformed } = self;
        write!(f, "{spans} spans in {requests} exports, {rejected} spans refused, {malformed} requests unreadable")
    }
}

/// Path and headers of an export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// The path, such as `/v1/traces`.
    pub path: String,
    /// The headers, or gRPC metadata.
    pub headers: Vec<(String, String)>,
}

impl ReceivedRequest {
    /// Creates the record of a request.
    pub(super) fn new(path: &str, headers: &axum::http::HeaderMap) -> Self {
        let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self {
            path: path.to_owned(),
            headers: headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        }
    }

    /// Returns the first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// More metrics, log records and requests than this are dropped, the oldest first.
const LIMIT_OF_OTHERS: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Store {
    kept: Mutex<Kept>,
    more: Condvar,
    arrivals: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Arc<Span>>,
    metrics: Vec<ReceivedMetric>,
    logs: Vec<ReceivedLog>,
    requests: Vec<ReceivedRequest>,
    counts: Counts,
    arrival: u64,
}

impl Store {
    /// Keeps these spans and returns how many of them, with those already refused, were refused.
    pub(super) fn add(&self, spans: Vec<Span>, mut refused: usize) -> usize {
        let spans: Vec<Arc<Span>> = spans.into_iter().map(Arc::new).collect();
        let mut kept = self.lock();
        let room = LIMIT.saturating_sub(kept.spans.len());
        refused += spans.len().saturating_sub(room);
        kept.counts.requests += 1;
        kept.counts.spans += spans.len().min(room);
        kept.counts.rejected += refused;
        kept.spans.extend(spans.into_iter().take(room));
        self.announce(kept);
        refused
    }

    pub(super) fn add_metrics(&self, metrics: Vec<ReceivedMetric>) {
        let mut kept = self.lock();
        kept.metrics.extend(metrics);
        bound(&mut kept.metrics);
        self.announce(kept);
    }

    pub(super) fn add_logs(&self, logs: Vec<ReceivedLog>) {
        let mut kept = self.lock();
        kept.logs.extend(logs);
        bound(&mut kept.logs);
        self.announce(kept);
    }

    pub(super) fn add_request(&self, request: ReceivedRequest) {
        let mut kept = self.lock();
        kept.requests.push(request);
        bound(&mut kept.requests);
    }

    pub(super) fn metrics(&self) -> Vec<ReceivedMetric> {
        self.lock().metrics.clone()
    }

    pub(super) fn logs(&self) -> Vec<ReceivedLog> {
        self.lock().logs.clone()
    }

    pub(super) fn requests(&self) -> Vec<ReceivedRequest> {
        self.lock().requests.clone()
    }

    pub(super) fn add_malformed(&self) {
        let mut kept = self.lock();
        kept.counts.malformed += 1;
        self.announce(kept);
    }

    fn announce(&self, mut kept: MutexGuard<'_, Kept>) {
        kept.arrival += 1;
        let arrival = kept.arrival;
        drop(kept);
        self.arrivals.send_replace(arrival);
        self.more.notify_all();
    }

    pub(super) fn spans(&self) -> Vec<Arc<Span>> {
        self.lock().spans.clone()
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub(super) fn clear(&self) {
        self.lock().spans.clear();
    }

    pub(super) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    pub(super) fn arrival(&self) -> u64 {
        self.lock().arrival
    }

    /// Waits until more has arrived than this; false when the time is over first.
    pub(super) fn wait_beyond(&self, seen: u64, deadline: Instant) -> bool {
        let mut kept = self.lock();
        while kept.arrival <= seen {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            kept = self.more.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // No code under the lock panics half-way through a change, so a poisoned state is consistent.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the oldest beyond the limit.
fn bound<T>(kept: &mut Vec<T>) {
    kept.drain(..kept.len().saturating_sub(LIMIT_OF_OTHERS));
}
