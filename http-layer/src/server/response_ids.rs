//! Response headers with the ids of the server's span.

use http::{HeaderMap, HeaderName, HeaderValue};
use propagation_core::{Admission, HopSpan, Peer, Policy, TraceTrust};

static TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The response headers that reveal the ids of the server's span.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ResponseIds {
    /// `traceresponse`, an editor's draft of W3C Trace Context Level 2.
    pub(super) traceresponse: bool,
    /// `Server-Timing` with the metric `traceparent`, which scripts in browsers can read.
    pub(super) server_timing: bool,
}

impl ResponseIds {
    /// Returns the headers for a caller: none if the policy does not continue its trace, or does not release trace context to it.
    pub(super) fn for_caller(
        self,
        policy: impl FnOnce() -> std::sync::Arc<Policy>,
        peer: &Peer<'_>,
        admission: &Admission,
    ) -> Self {
        if !self.traceresponse && !self.server_timing {
            return self;
        }
        let trusted = matches!(admission.trust, TraceTrust::Full | TraceTrust::IdsOnly);
        if trusted && policy().releases_trace_context(peer) { self } else { Self::default() }
    }

    /// Writes the headers. Writes none if the hop has no span of its own.
    pub(super) fn write(self, hop: &HopSpan, headers: &mut HeaderMap) {
        if !(self.traceresponse || self.server_timing) || !hop.is_recording() {
            return;
        }
        let Some(parent) = hop.context().trace.parent else { return };
        // Both fail only if the header map is full.
        if self.traceresponse
            && let Ok(value) = HeaderValue::from_bytes(&parent.to_bytes())
        {
            let _ = headers.try_insert(TRACERESPONSE.clone(), value);
        }
        if self.server_timing
            && let Ok(value) = HeaderValue::from_str(&format!("traceparent;desc=\"{parent}\""))
        {
            let _ = headers.try_append(SERVER_TIMING.clone(), value);
        }
    }
}
