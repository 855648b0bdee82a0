use std::{
    fmt::{self, Write as _},
    io::Write as _,
    time::Duration,
};

use opentelemetry::{KeyValue, trace::Status};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};
use propagation_core::semconv;

/// A line for each span on standard output, for people and small tools; not a format to parse.
#[derive(Debug, Default)]
pub(super) struct Console {
    service: String,
}

impl SpanExporter for Console {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut lines = String::new();
        for span in &batch {
            // Writing into a string can't fail.
            let _ = writeln!(lines, "{}", Line { service: &self.service, span });
        }
        let written = std::io::stdout().lock().write_all(lines.as_bytes());
        written.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        std::io::stdout().flush().map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }

    fn set_resource(&mut self, resource: &Resource) {
        let name = resource.get(&opentelemetry::Key::from_static_str(semconv::SERVICE_NAME));
        self.service = name.map(|name| name.to_string()).unwrap_or_default();
    }
}

/// Texts are quoted and escaped, so that none can pass for another line.
struct Line<'a> {
    service: &'a str,
    span: &'a SpanData,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.span;
        let took = span.end_time.duration_since(span.start_time).unwrap_or_default();
        write!(
            f,
            "span {:?} {:?} service={:?} trace_id={} span_id={}",
            span.name,
            span.span_kind,
            self.service,
            span.span_context.trace_id(),
            span.span_context.span_id()
        )?;
        if span.parent_span_id != opentelemetry::trace::SpanId::INVALID {
            write!(f, " parent={}", span.parent_span_id)?;
        }
        write!(f, " took={took:?}")?;
        match &span.status {
            Status::Unset => {}
            Status::Ok => f.write_str(" status=ok")?,
            Status::Error { description } => write!(f, " status=error {description:?}")?,
        }
        for KeyValue { key, value, .. } in &span.attributes {
            write!(f, " {key}={:?}", value.as_str())?;
        }
        for link in &span.links.links {
            write!(f, " link={}/{}", link.span_context.trace_id(), link.span_context.span_id())?;
        }
        Ok(())
    }
}
