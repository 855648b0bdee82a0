use std::time::Duration;

use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

/// Truncates the texts of attributes to a limit, in characters, before an export. The SDK 0.33 does not.
///
/// Also removes the place in our source from events of the target `propagation`: it names directories of the machine that built the
/// service. `tracing-opentelemetry` adds it to all events or to none.
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
        for event in batch.iter_mut().flat_map(|span| &mut span.events.events) {
            if event.attributes.iter().any(is_our_target) {
                event.attributes.retain(|attribute| !attribute.key.as_str().starts_with("code."));
            }
        }
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

fn is_our_target(attribute: &KeyValue) -> bool {
    attribute.key.as_str() == "target" && attribute.value.as_str() == "propagation"
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
