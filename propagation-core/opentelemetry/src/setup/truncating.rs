use std::time::Duration;

use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

/// Truncates the texts of attributes to a limit, in characters, before an export. The SDK 0.33 does not.
#[derive(Debug)]
pub(super) struct TruncatingExporter<E> {
    exporter: E,
    limit: Option<usize>,
}

impl<E> TruncatingExporter<E> {
    /// Without a limit, nothing is truncated.
    pub(super) fn new(exporter: E, limit: Option<usize>) -> Self {
        Self { exporter, limit }
    }
}

impl<E: SpanExporter> SpanExporter for TruncatingExporter<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        if let Some(limit) = self.limit {
            for span in &mut batch {
                truncate(&mut span.attributes, limit);
                span.events.events.iter_mut().for_each(|event| truncate(&mut event.attributes, limit));
                span.links.links.iter_mut().for_each(|link| truncate(&mut link.attributes, limit));
            }
        }
        self.exporter.export(batch).await
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

/// Texts alone and in arrays, each for itself (OpenTelemetry, Common, "Attribute Limits").
fn truncate(attributes: &mut [KeyValue], limit: usize) {
    for attribute in attributes {
        match &mut attribute.value {
            Value::String(text) => truncate_text(text, limit),
            Value::Array(Array::String(texts)) => texts.iter_mut().for_each(|text| truncate_text(text, limit)),
            _ => {}
        }
    }
}

fn truncate_text(text: &mut StringValue, limit: usize) {
    let end = text.as_str().char_indices().nth(limit).map(|(end, _)| end);
    if let Some(kept) = end.and_then(|end| text.as_str().get(..end)) {
        *text = kept.to_owned().into();
    }
}
