//! Exports that failed in this process, for test kits that explain missing spans.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Spans of one service that could not be exported to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedExport {
    /// The `service.name`.
    pub service: String,
    /// The URL, without credentials and query.
    pub endpoint: String,
    /// The number of spans.
    pub spans: u64,
    /// The error of the last failure.
    pub cause: String,
    /// The time of the last failure.
    pub last: Instant,
}

/// More pairs of service and endpoint than this are not listed: a process has one, and a test suite a few.
const LIMIT: usize = 64;

static FAILED: Mutex<Vec<FailedExport>> = Mutex::new(Vec::new());

/// Returns the failed exports of this process: one entry for each service and endpoint.
#[must_use]
pub fn failed_exports() -> Vec<FailedExport> {
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Records a failed export, for [`failed_exports`]. For crates that make exporters.
pub fn record_failed_export(service: &str, endpoint: &str, spans: u64, cause: &str) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    let last = Instant::now();
    if let Some(known) = failed.iter_mut().find(|known| known.service == service && known.endpoint == endpoint) {
        known.spans = known.spans.saturating_add(spans);
        cause.clone_into(&mut known.cause);
        known.last = last;
    } else if failed.len() < LIMIT {
        let (service, endpoint, cause) = (service.to_owned(), endpoint.to_owned(), cause.to_owned());
        failed.push(FailedExport { service, endpoint, spans, cause, last });
    }
}
