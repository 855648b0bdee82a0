//! Parses and writes `AWSTraceHeader`, which has the grammar of `X-Amzn-Trace-Id`.

use propagation_core::{
    B3Format, DatadogFormat, DuplicateParent, Extracted, Format, GoogleCloudFormat, GrpcTraceBinFormat, Inject,
    JaegerFormat, OutgoingFields, RejectReason, StoredContext, TraceContext, TraceContextFormat, XRayFormat,
};

/// Parses a header. A deferred decision (`Sampled=?`) becomes a clear sampled flag in a `traceparent`, which has no third state.
pub(crate) fn read(header: &str) -> Result<TraceContext, RejectReason> {
    XRayFormat::parse(header.as_bytes())
}

/// Returns the header of these ids.
pub(crate) fn write(trace: &TraceContext) -> Option<String> {
    XRayFormat::format(trace)
}

/// Parses the trace of outgoing fields in any format: only the fields contain the context after the policy was applied.
pub(crate) fn of_fields(fields: &OutgoingFields) -> TraceContext {
    let formats: [&dyn Format; 7] = [
        &TraceContextFormat,
        &B3Format::single(),
        &JaegerFormat,
        &DatadogFormat,
        &XRayFormat::new(),
        &GoogleCloudFormat,
        &GrpcTraceBinFormat,
    ];
    let mut carrier = StoredContext::new();
    carrier.commit(fields);
    let mut reading = Extracted::new(DuplicateParent::Reject);
    for format in formats {
        format.extract(&carrier, &mut reading);
    }
    reading.into_parts().0.trace
}
