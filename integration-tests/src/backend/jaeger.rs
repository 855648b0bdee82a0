//! The JSON of Jaeger's query API (`/api/traces/{id}`).
//!
//! **Unverified**: written from the format's description and tested on hand-made answers; it has not run against a real
//! Jaeger yet.

use std::sync::Arc;

use serde_json::Value as Json;

use super::BackendError;
use super::json::{list, number, span_id, text, trace_id};
use crate::trace::{Attributes, Event, Link, Span, SpanKind, Status, Value};

/// Reads an answer of the API, with one or more traces.
///
/// Of a span's references the first `CHILD_OF` within its trace is its parent; all others are links.
///
/// # Errors
/// [`BackendError::Malformed`]: not JSON, no `data`, or an id that is none.
pub fn read(bytes: &[u8]) -> Result<Vec<Span>, BackendError> {
    let json: Json =
        serde_json::from_slice(bytes).map_err(|error| BackendError::Malformed(format!("not JSON: {error}")))?;
    if json.get("data").is_none() {
        return Err(BackendError::Malformed("no `data`: not an answer of Jaeger's query API".to_owned()));
    }
    let mut spans = Vec::new();
    for trace in list(&json, &["data"]) {
        for received in list(trace, &["spans"]) {
            let process = trace.get("processes").and_then(|processes| processes.get(text(received, &["processID"])));
            spans.push(read_span(received, process)?);
        }
    }
    Ok(spans)
}

fn read_span(json: &Json, process: Option<&Json>) -> Result<Span, BackendError> {
    let ids = (trace_id(text(json, &["traceID"]))?, span_id(text(json, &["spanID"]))?);
    let mut span = Span::new(ids.0, ids.1, text(json, &["operationName"]));
    let micros = |name| number(json.get(name)).unwrap_or_default();
    span.start = micros("startTime").saturating_mul(1_000);
    span.end = span.start.saturating_add(micros("duration").saturating_mul(1_000));
    for reference in list(json, &["references"]) {
        let link = Link::to(trace_id(text(reference, &["traceID"]))?, span_id(text(reference, &["spanID"]))?);
        let child = text(reference, &["refType"]) == "CHILD_OF";
        if child && span.parent.is_none() && link.trace_id == span.trace_id {
            span.parent = Some(link.span_id);
        } else {
            span.links.push(link);
        }
    }
    let (mut failed, mut why) = (false, String::new());
    for (key, value) in tags(list(json, &["tags"])) {
        match (key, &value) {
            ("span.kind", Value::String(kind)) => {
                span.kind = match kind.as_str() {
                    "server" => SpanKind::Server,
                    "client" => SpanKind::Client,
                    "producer" => SpanKind::Producer,
                    "consumer" => SpanKind::Consumer,
                    _ => SpanKind::Internal,
                };
            }
            ("error", _) => failed |= matches!(&value, Value::Bool(true)) || value.as_str() == Some("true"),
            ("otel.status_code", Value::String(code)) => failed |= code == "ERROR",
            ("otel.status_description", Value::String(text)) => text.clone_into(&mut why),
            ("otel.scope.name" | "otel.library.name", Value::String(name)) => name.clone_into(&mut span.scope),
            ("w3c.tracestate", Value::String(state)) => state.clone_into(&mut span.trace_state),
            _ => span.attributes.push(key, value),
        }
    }
    if failed {
        span.status = Status::Error(why);
    }
    for log in list(json, &["logs"]) {
        let fields: Attributes = tags(list(log, &["fields"])).collect();
        let name = fields.text("event").unwrap_or("log").to_owned();
        let mut event = Event::new(name, number(log.get("timestamp")).unwrap_or_default().saturating_mul(1_000));
        event.attributes = fields;
        span.events.push(event);
    }
    if let Some(process) = process {
        let mut resource: Attributes = [("service.name", text(process, &["serviceName"]))].into();
        for (key, value) in tags(list(process, &["tags"])) {
            resource.push(key, value);
        }
        span.resource = Arc::new(resource);
    }
    Ok(span)
}

fn tags(tags: &[Json]) -> impl Iterator<Item = (&str, Value)> {
    tags.iter().map(|tag| {
        (text(tag, &["key"]), tag.get("value").map_or(Value::Empty, |json| value(text(tag, &["type"]), json)))
    })
}

fn value(type_name: &str, json: &Json) -> Value {
    match json {
        Json::Bool(truth) => Value::Bool(*truth),
        // Numbers of 64 bits may come as text.
        Json::String(text) if type_name == "int64" => text.parse().map_or_else(|_| text.clone().into(), Value::Int),
        Json::String(text) => Value::String(text.clone()),
        Json::Number(number) => match number.as_i64() {
            Some(number) if type_name != "float64" => Value::Int(number),
            _ => Value::Double(number.as_f64().unwrap_or_default()),
        },
        _ => Value::Empty,
    }
}

#[cfg(feature = "backend")]
pub use client::Jaeger;

#[cfg(feature = "backend")]
mod client {
    use super::{BackendError, Span, read};
    use crate::backend::client::Client;
    use crate::trace::TraceId;

    /// A Jaeger's query service at a plain `http://` address.
    #[derive(Debug, Clone)]
    pub struct Jaeger(Client);

    impl Jaeger {
        /// The Jaeger at this address: `http://127.0.0.1:16686`.
        ///
        /// # Errors
        /// [`BackendError::Address`]: not a plain `http://` address.
        pub fn new(address: &str) -> Result<Self, BackendError> {
            Client::new(address).map(Self)
        }

        /// All spans of a trace that it has so far.
        ///
        /// # Errors
        /// It has none, does not answer, or answers something else.
        pub async fn trace(&self, trace_id: TraceId) -> Result<Vec<Span>, BackendError> {
            let spans = read(&self.0.get(&format!("/api/traces/{trace_id}")).await?)?;
            if spans.is_empty() { Err(BackendError::NotFound) } else { Ok(spans) }
        }
    }
}

#[cfg(test)]
mod tests;
