//! `AWSTraceHeader` has the grammar of `X-Amzn-Trace-Id`: core turns it into ids and back.

use propagation_core::{Reason, TraceContext, TraceParent, XRayFormat};

/// The ids of a header; `None` if it has none, such as one that a load balancer made.
///
/// Where sampling is left open (`Sampled=?`) the flag is not set: `traceparent` can't say more.
pub(crate) fn read(header: &str) -> Result<Option<TraceParent>, Reason> {
    XRayFormat::parse(header.as_bytes()).map(|trace| trace.parent)
}

/// The header of these ids.
pub(crate) fn write(parent: TraceParent) -> Option<String> {
    XRayFormat::format(&TraceContext::new(parent))
}
