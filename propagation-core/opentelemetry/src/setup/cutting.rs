use std::time::Duration;

use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

/// An exporter that is given no text longer than a limit, in characters: what the SDK 0.33 does not cut itself.
#[derive(Debug)]
pub(super) struct Cutting<E> {
    exporter: E,
    limit: Option<usize>,
}

impl<E> Cutting<E> {
    /// Without a limit, nothing is cut.
    pub(super) fn new(exporter: E, limit: Option<usize>) -> Self {
        Self { exporter, limit }
    }
}

impl<E: SpanExporter> SpanExporter for Cutting<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        if let Some(limit) = self.limit {
            for span in &mut batch {
                cut(&mut span.attributes, limit);
                span.events.events.iter_mut().for_each(|event| cut(&mut event.attributes, limit));
                span.links.links.iter_mut().for_each(|link| cut(&mut link.attributes, limit));
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
fn cut(attributes: &mut [KeyValue], limit: usize) {
    for attribute in attributes {
        match &mut attribute.value {
            Value::String(text) => cut_text(text, limit),
            Value::Array(Array::String(texts)) => texts.iter_mut().for_each(|text| cut_text(text, limit)),
            _ => {}
        }
    }
}

fn cut_text(text: &mut StringValue, limit: usize) {
    let end = text.as_str().char_indices().nth(limit).map(|(end, _)| end);
    if let Some(kept) = end.and_then(|end| text.as_str().get(..end)) {
        *text = kept.to_owned().into();
    }
}
