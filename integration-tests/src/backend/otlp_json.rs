//! OTLP/JSON, as written by the Collector's file exporter and by OTLP/HTTP exporters.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::BackendError;
use super::json::{list, number, otlp_span_id as span_id, otlp_trace_id as trace_id, text};
use crate::text::base64;
use crate::trace::{Attributes, Event, Link, Span, SpanKind, Status, Value};

/// Reads all spans of a file: one export request, several one after the other (a line each, or not), or a list of them.
///
/// Names may be in camel case, as the specification requires, or in snake case. 64-bit numbers may be text or numbers, kinds and
/// status codes numbers or names, ids hexadecimal, as the specification requires, or base64.
///
/// # Errors
/// [`BackendError::Malformed`]: not JSON, not OTLP, or an invalid id.
pub fn read(bytes: &[u8]) -> Result<Vec<Span>, BackendError> {
    let mut spans = Vec::new();
    let mut requests = 0;
    for document in serde_json::Deserializer::from_slice(bytes).into_iter::<Json>() {
        let document = document.map_err(|error| BackendError::Malformed(format!("not JSON: {error}")))?;
        let documents = match &document {
            Json::Array(documents) => documents.as_slice(),
            one => std::slice::from_ref(one),
        };
        for request in documents {
            requests += 1;
            read_request(request, &mut spans)?;
        }
    }
    if requests == 0 {
        return Err(BackendError::Malformed("the file is empty".to_owned()));
    }
    Ok(spans)
}

fn read_request(request: &Json, spans: &mut Vec<Span>) -> Result<(), BackendError> {
    if is_traces(request) {
        return read_traces(request, spans);
    }
    // Metrics and logs of an exporter can be in one file; other content is another format.
    let other = ["resourceMetrics", "resourceLogs", "resource_metrics", "resource_logs", "partialSuccess"];
    let empty = request.as_object().is_some_and(serde_json::Map::is_empty);
    if empty || other.iter().any(|name| request.get(name).is_some()) {
        Ok(())
    } else {
        Err(BackendError::Malformed("no `resourceSpans`: not an OTLP export".to_owned()))
    }
}

/// The names of the list of resources; Tempo's is `batches`.
const RESOURCE_SPANS: &[&str] = &["resourceSpans", "resource_spans", "batches"];

/// Whether this is an export request of spans.
pub(super) fn is_traces(request: &Json) -> bool {
    RESOURCE_SPANS.iter().any(|name| request.get(name).is_some())
}

/// Reads the spans of one export request.
pub(super) fn read_traces(request: &Json, spans: &mut Vec<Span>) -> Result<(), BackendError> {
    for resource_spans in list(request, RESOURCE_SPANS) {
        let resource = resource_spans.get("resource").map(|resource| attributes(list(resource, &["attributes"])));
        let resource = Arc::new(resource.unwrap_or_default());
        for scope_spans in list(resource_spans, &["scopeSpans", "scope_spans", "instrumentationLibrarySpans"]) {
            let scope = scope_spans.get("scope").or_else(|| scope_spans.get("instrumentationLibrary"));
            let scope = scope.map(|scope| text(scope, &["name"])).unwrap_or_default();
            for received in list(scope_spans, &["spans"]) {
                let mut span = read_span(received)?;
                span.resource = resource.clone();
                scope.clone_into(&mut span.scope);
                spans.push(span);
            }
        }
    }
    Ok(())
}

fn read_span(json: &Json) -> Result<Span, BackendError> {
    let field = |camel: &str, snake: &str| json.get(camel).or_else(|| json.get(snake));
    let ids = (trace_id(text(json, &["traceId", "trace_id"]))?, span_id(text(json, &["spanId", "span_id"]))?);
    let mut span = Span::new(ids.0, ids.1, text(json, &["name"]));
    span.parent = match text(json, &["parentSpanId", "parent_span_id"]) {
        "" => None,
        parent => Some(span_id(parent)?),
    };
    span.kind = json.get("kind").map_or(SpanKind::Unspecified, kind);
    span.start = number(field("startTimeUnixNano", "start_time_unix_nano")).unwrap_or_default();
    span.end = number(field("endTimeUnixNano", "end_time_unix_nano")).unwrap_or_default();
    span.attributes = attributes(list(json, &["attributes"]));
    span.flags = flags(json);
    text(json, &["traceState", "trace_state"]).clone_into(&mut span.trace_state);
    if let Some(status) = json.get("status") {
        span.status = match status.get("code") {
            Some(code) if code.as_u64() == Some(2) || code.as_str() == Some("STATUS_CODE_ERROR") => {
                Status::Error(text(status, &["message"]).to_owned())
            }
            Some(code) if code.as_u64() == Some(1) || code.as_str() == Some("STATUS_CODE_OK") => Status::Ok,
            _ => Status::Unset,
        };
    }
    for received in list(json, &["events"]) {
        let time = number(received.get("timeUnixNano").or_else(|| received.get("time_unix_nano")));
        let mut event = Event::new(text(received, &["name"]), time.unwrap_or_default());
        event.attributes = attributes(list(received, &["attributes"]));
        span.events.push(event);
    }
    for received in list(json, &["links"]) {
        let mut link = Link::to(
            trace_id(text(received, &["traceId", "trace_id"]))?,
            span_id(text(received, &["spanId", "span_id"]))?,
        );
        text(received, &["traceState", "trace_state"]).clone_into(&mut link.trace_state);
        link.flags = flags(received);
        link.attributes = attributes(list(received, &["attributes"]));
        span.links.push(link);
    }
    let dropped = ["Attributes", "Events", "Links"]
        .map(|list| number(json.get(format!("dropped{list}Count"))).unwrap_or_default());
    span.dropped =
        u32::try_from(dropped.iter().fold(0_u64, |sum, count| sum.saturating_add(*count))).unwrap_or(u32::MAX);
    Ok(span)
}

fn flags(json: &Json) -> Option<u32> {
    number(json.get("flags")).and_then(|flags| u32::try_from(flags).ok()).filter(|flags| *flags != 0)
}

const KINDS: [(SpanKind, &str); 6] = [
    (SpanKind::Unspecified, "SPAN_KIND_UNSPECIFIED"),
    (SpanKind::Internal, "SPAN_KIND_INTERNAL"),
    (SpanKind::Server, "SPAN_KIND_SERVER"),
    (SpanKind::Client, "SPAN_KIND_CLIENT"),
    (SpanKind::Producer, "SPAN_KIND_PRODUCER"),
    (SpanKind::Consumer, "SPAN_KIND_CONSUMER"),
];

fn kind(json: &Json) -> SpanKind {
    let by_number = json.as_u64().and_then(|number| KINDS.get(usize::try_from(number).ok()?));
    let found = by_number.or_else(|| KINDS.iter().find(|(_, name)| Some(*name) == json.as_str()));
    found.map_or(SpanKind::Unspecified, |(kind, _)| *kind)
}

fn attributes(pairs: &[Json]) -> Attributes {
    pairs.iter().map(|pair| (text(pair, &["key"]), pair.get("value").map_or(Value::Empty, value))).collect()
}

fn value(json: &Json) -> Value {
    let of = |camel: &str, snake: &str| json.get(camel).or_else(|| json.get(snake));
    if let Some(text) = of("stringValue", "string_value").and_then(Json::as_str) {
        Value::String(text.to_owned())
    } else if let Some(truth) = of("boolValue", "bool_value").and_then(Json::as_bool) {
        Value::Bool(truth)
    } else if let Some(number) = of("intValue", "int_value") {
        let number = number.as_i64().or_else(|| number.as_str()?.parse().ok());
        number.map_or(Value::Empty, Value::Int)
    } else if let Some(number) = of("doubleValue", "double_value").and_then(Json::as_f64) {
        Value::Double(number)
    } else if let Some(values) = of("arrayValue", "array_value") {
        Value::Array(list(values, &["values"]).iter().map(value).collect())
    } else if let Some(values) = of("kvlistValue", "kvlist_value") {
        Value::Map(attributes(list(values, &["values"])))
    } else if let Some(bytes) = of("bytesValue", "bytes_value").and_then(Json::as_str) {
        Value::Bytes(base64::decode(bytes).unwrap_or_default())
    } else {
        Value::Empty
    }
}

/// Writes spans as one export request that [`read`] reads back, each span under a resource of its own.
#[must_use]
pub fn write<'s>(spans: impl IntoIterator<Item = &'s Span>) -> Json {
    let resource_spans: Vec<Json> = spans
        .into_iter()
        .map(|span| {
            json!({
                "resource": { "attributes": write_attributes(&span.resource) },
                "scopeSpans": [{ "scope": { "name": span.scope }, "spans": [write_span(span)] }],
            })
        })
        .collect();
    json!({ "resourceSpans": resource_spans })
}

fn write_span(span: &Span) -> Json {
    let (code, message) = match &span.status {
        Status::Unset => (0, ""),
        Status::Ok => (1, ""),
        Status::Error(message) => (2, message.as_str()),
    };
    let links: Vec<Json> = span
        .links
        .iter()
        .map(|link| {
            json!({
                "traceId": link.trace_id.to_string(),
                "spanId": link.span_id.to_string(),
                "traceState": link.trace_state,
                "flags": link.flags.unwrap_or_default(),
                "attributes": write_attributes(&link.attributes),
            })
        })
        .collect();
    let events: Vec<Json> = span
        .events
        .iter()
        .map(|event| {
            json!({
                "name": event.name,
                "timeUnixNano": event.time.to_string(),
                "attributes": write_attributes(&event.attributes),
            })
        })
        .collect();
    json!({
        "traceId": span.trace_id.to_string(),
        "spanId": span.span_id.to_string(),
        "parentSpanId": span.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        "traceState": span.trace_state,
        "flags": span.flags.unwrap_or_default(),
        "name": span.name,
        "kind": KINDS.iter().position(|(kind, _)| *kind == span.kind).unwrap_or_default(),
        "startTimeUnixNano": span.start.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": write_attributes(&span.attributes),
        "droppedAttributesCount": span.dropped,
        "events": events,
        "links": links,
        "status": { "code": code, "message": message },
    })
}

fn write_attributes(attributes: &Attributes) -> Json {
    attributes.iter().map(|(key, value)| json!({ "key": key, "value": write_value(value) })).collect()
}

fn write_value(value: &Value) -> Json {
    match value {
        Value::Empty => json!({}),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Bool(truth) => json!({ "boolValue": truth }),
        Value::Int(number) => json!({ "intValue": number.to_string() }),
        Value::Double(number) => json!({ "doubleValue": number }),
        Value::Bytes(bytes) => json!({ "bytesValue": base64::encode(bytes) }),
        Value::Array(members) => {
            json!({ "arrayValue": { "values": members.iter().map(write_value).collect::<Vec<_>>() } })
        }
        Value::Map(members) => json!({ "kvlistValue": { "values": write_attributes(members) } }),
    }
}

#[cfg(test)]
mod tests;
