//! The JSON of Jaeger's query APIs: `/api/v3/traces/{id}`, which is OTLP, and `/api/traces/{id}`.

use std::sync::Arc;

use serde_json::Value as Json;

use super::json::{list, number, span_id, text, trace_id};
use super::{BackendError, otlp_json};
use crate::trace::{Attributes, Event, Link, Span, SpanKind, Status, Value};

/// Reads a response of either API, with one or more traces.
///
/// Of version 3: one export request of OTLP, or a stream of `{"result": …}`; ids are hexadecimal or base64. Of the older API: the
/// first `CHILD_OF` reference within the trace is the parent, or without one the first link within the trace, as in Jaeger itself; all
/// other references are links. Jaeger drops the reference to a parent that the span also links to.
///
/// # Errors
/// [`BackendError::Malformed`]: not JSON, not a response of Jaeger, or an invalid id. [`BackendError::NotFound`] and
/// [`BackendError::Refused`]: an error that the stream contains.
pub fn read(bytes: &[u8]) -> Result<Vec<Span>, BackendError> {
    let mut spans = Vec::new();
    let mut documents = 0;
    for json in serde_json::Deserializer::from_slice(bytes).into_iter::<Json>() {
        let json = json.map_err(|error| BackendError::Malformed(format!("not JSON: {error}")))?;
        documents += 1;
        if let Some(error) = json.get("error").filter(|error| error.is_object()) {
            return Err(error_of(error));
        }
        let traces = json.get("result").unwrap_or(&json);
        if otlp_json::is_traces(traces) {
            otlp_json::read_traces(traces, &mut spans)?;
        } else if json.get("data").is_some() {
            read_data(&json, &mut spans)?;
        } else {
            return Err(BackendError::Malformed(
                "no `resourceSpans` and no `data`: not a response of Jaeger".to_owned(),
            ));
        }
    }
    if documents == 0 {
        return Err(BackendError::Malformed("the response is empty".to_owned()));
    }
    Ok(spans)
}

/// An error in a response with status 200, as a gateway of gRPC streams has it.
fn error_of(error: &Json) -> BackendError {
    const GRPC_NOT_FOUND: u64 = 5;
    let code = |name| number(error.get(name)).unwrap_or_default();
    if code("httpCode") == 404 || code("grpcCode") == GRPC_NOT_FOUND {
        return BackendError::NotFound;
    }
    let status = u16::try_from(code("httpCode")).ok().filter(|status| *status > 0).unwrap_or(500);
    BackendError::Refused(status, text(error, &["message"]).chars().take(400).collect())
}

fn read_data(json: &Json, spans: &mut Vec<Span>) -> Result<(), BackendError> {
    for trace in list(json, &["data"]) {
        for received in list(trace, &["spans"]) {
            let process = trace.get("processes").and_then(|processes| processes.get(text(received, &["processID"])));
            spans.push(read_span(received, process)?);
        }
    }
    Ok(())
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
    if span.parent.is_none() {
        span.parent = span.links.iter().find(|link| link.trace_id == span.trace_id).map(|link| link.span_id);
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
    use crate::backend::Endpoint;
    use crate::backend::client::Client;
    use crate::trace::TraceId;

    /// A client of Jaeger's query API.
    #[derive(Debug, Clone)]
    pub struct Jaeger(Client);

    impl Jaeger {
        /// Creates a client for an address such as `http://127.0.0.1:16686`.
        ///
        /// # Errors
        /// As [`Endpoint::new`] and [`at`](Self::at).
        pub fn new(address: &str) -> Result<Self, BackendError> {
            Self::at(&Endpoint::new(address)?)
        }

        /// Creates a client for an endpoint with headers or certificates.
        ///
        /// # Errors
        /// [`BackendError::Certificate`]: the machine or the endpoint has no usable certificate authority.
        pub fn at(endpoint: &Endpoint) -> Result<Self, BackendError> {
            Client::new(endpoint).map(Self)
        }

        /// Returns all spans of a trace that Jaeger has so far. Uses the older API if version 3 does not find the trace.
        ///
        /// # Errors
        /// No span, no response, or a response of another format.
        pub async fn trace(&self, trace_id: TraceId) -> Result<Vec<Span>, BackendError> {
            let spans = match self.0.get(&format!("/api/v3/traces/{trace_id}")).await.and_then(|body| read(&body)) {
                Err(BackendError::NotFound) => read(&self.0.get(&format!("/api/traces/{trace_id}")).await?)?,
                spans => spans?,
            };
            if spans.is_empty() { Err(BackendError::NotFound) } else { Ok(spans) }
        }
    }
}

#[cfg(test)]
mod tests;
