//! `AWSTraceHeader` has the grammar of `X-Amzn-Trace-Id`: core turns it into ids and back.

use propagation_core::{
    B3Format, DatadogFormat, Fields, Format, GoogleCloudFormat, GrpcTraceBinFormat, Inject, JaegerFormat, Reading,
    Reason, RepeatedParent, StoredContext, TraceContext, TraceContextFormat, XRayFormat,
};

/// Parses a header. Where sampling is left open (`Sampled=?`), a `traceparent` made of it has no sampled flag: it can't carry more.
pub(crate) fn read(header: &str) -> Result<TraceContext, Reason> {
    XRayFormat::parse(header.as_bytes())
}

/// The header of these ids.
pub(crate) fn write(trace: &TraceContext) -> Option<String> {
    XRayFormat::format(trace)
}

/// The trace that fields are about to carry, in whichever format: what the policy lets out is in the fields alone.
pub(crate) fn of_fields(fields: &Fields) -> TraceContext {
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
    let mut reading = Reading::new(RepeatedParent::Refuse);
    for format in formats {
        format.extract(&carrier, &mut reading);
    }
    reading.into_parts().0.trace
}
