//! Zipkin's v2 JSON: a reader, a writer, and a client for a Zipkin's API.
//!
//! Zipkin keeps less than OpenTelemetry: every attribute is text ([`Span::typed`] is false), names and service names are
//! lower case, times are microseconds, and there are no links, flags or tracestate. The writer keeps these
//! in tags of its own (`otel.name`, `otel.links`, `w3c.tracestate`), which the reader restores.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::BackendError;
use super::json::{list, number, span_id, text, trace_id};
use crate::trace::{Event, Link, Span, SpanId, SpanKind, Status, TraceId};

/// Reads a list of spans, or a list of traces, each a list of spans.
///
/// If client and server share one span id, as B3 allows, the server's span gets an id of its own below the client's, and its
/// children are moved below it.
///
/// # Errors
/// [`BackendError::Malformed`]: not JSON, not a list, or an invalid id.
pub fn read(bytes: &[u8]) -> Result<Vec<Span>, BackendError> {
    let json: Json =
        serde_json::from_slice(bytes).map_err(|error| BackendError::Malformed(format!("not JSON: {error}")))?;
    let Json::Array(members) = &json else {
        return Err(BackendError::Malformed("not a list of spans".to_owned()));
    };
    let spans = members.iter().flat_map(|member| match member {
        Json::Array(spans) => spans.as_slice(),
        span => std::slice::from_ref(span),
    });
    let mut read = Vec::new();
    let mut shared = HashSet::new();
    for json in spans {
        let span = read_span(json)?;
        if json.get("shared").and_then(Json::as_bool) == Some(true) {
            shared.insert((span.trace_id, span.span_id, span.service().to_owned()));
        }
        read.push(span);
    }
    unshare(&mut read, &shared);
    Ok(read)
}

fn read_span(json: &Json) -> Result<Span, BackendError> {
    let mut span = Span::new(trace_id(text(json, &["traceId"]))?, span_id(text(json, &["id"]))?, text(json, &["name"]));
    span.typed = false;
    span.parent = match text(json, &["parentId"]) {
        "" => None,
        parent => Some(span_id(parent)?),
    };
    span.kind = match text(json, &["kind"]) {
        "CLIENT" => SpanKind::Client,
        "SERVER" => SpanKind::Server,
        "PRODUCER" => SpanKind::Producer,
        "CONSUMER" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    };
    let micros = |name| number(json.get(name)).unwrap_or_default();
    span.start = micros("timestamp").saturating_mul(1_000);
    span.end = span.start.saturating_add(micros("duration").saturating_mul(1_000));
    for annotation in list(json, &["annotations"]) {
        let time = number(annotation.get("timestamp")).unwrap_or_default().saturating_mul(1_000);
        span.events.push(Event::new(text(annotation, &["value"]), time));
    }
    let endpoint = json.get("localEndpoint").map(|endpoint| text(endpoint, &["serviceName"])).unwrap_or_default();
    let mut service = endpoint.to_owned();
    let (mut failed, mut why) = (false, String::new());
    for (key, value) in json.get("tags").and_then(Json::as_object).into_iter().flatten() {
        let Some(value) = value.as_str() else { continue };
        match key.as_str() {
            "otel.name" if value.eq_ignore_ascii_case(&span.name) => value.clone_into(&mut span.name),
            "service.name" if value.eq_ignore_ascii_case(endpoint) => value.clone_into(&mut service),
            "otel.links" => span.links = links(value)?,
            "otel.scope.name" | "otel.library.name" => value.clone_into(&mut span.scope),
            "w3c.tracestate" => value.clone_into(&mut span.trace_state),
            "otel.status_code" => failed |= value == "ERROR",
            "error" | "otel.status_description" => {
                failed |= key == "error";
                value.clone_into(&mut why);
            }
            _ => span.attributes.push(key.clone(), value),
        }
    }
    if failed {
        span.status = Status::Error(why);
    }
    if !service.is_empty() {
        span.resource = Arc::new([("service.name", service)].into());
    }
    Ok(span)
}

fn links(tag: &str) -> Result<Vec<Link>, BackendError> {
    let pairs = tag.split(',').filter_map(|link| link.split_once('-'));
    pairs.map(|(trace, span)| Ok(Link::to(trace_id(trace)?, span_id(span)?))).collect()
}

/// Gives the server's half of each shared span an id of its own.
fn unshare(spans: &mut [Span], shared: &HashSet<(TraceId, SpanId, String)>) {
    if shared.is_empty() {
        return;
    }
    let taken: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    let mut fresh: HashMap<&(TraceId, SpanId, String), SpanId> = HashMap::new();
    for half in shared {
        let start = u64::from_be_bytes(half.1.to_bytes()) ^ 0x5a5a_5a5a_5a5a_5a5a;
        let mut tries = (0..=u64::MAX).map(|step| SpanId::from_bytes(start.wrapping_add(step).to_be_bytes()));
        if let Some(id) = tries.find(|id| !taken.contains(id) && !id.is_zero()) {
            fresh.insert(half, id);
        }
    }
    for span in spans {
        let own = (span.trace_id, span.span_id, span.service().to_owned());
        let below = span.parent.map(|parent| (span.trace_id, parent, span.service().to_owned()));
        if let Some(id) = fresh.get(&own).filter(|_| span.kind == SpanKind::Server) {
            span.parent = Some(span.span_id);
            span.span_id = *id;
        } else if let Some(id) = below.and_then(|below| fresh.get(&below)) {
            span.parent = Some(*id);
        }
    }
}

/// Writes spans as the list that `POST /api/v2/spans` takes and [`read`] reads.
#[must_use]
pub fn write<'s>(spans: impl IntoIterator<Item = &'s Span>) -> Json {
    spans.into_iter().map(write_span).collect()
}

fn write_span(span: &Span) -> Json {
    let mut tags: BTreeMap<&str, String> = BTreeMap::new();
    for (key, value) in span.attributes.iter() {
        tags.entry(key).or_insert_with(|| value.to_string());
    }
    tags.insert("otel.name", span.name.clone());
    tags.insert("service.name", span.service().to_owned());
    if let Status::Error(why) = &span.status {
        tags.insert("otel.status_code", "ERROR".to_owned());
        tags.insert("error", why.clone());
    }
    if !span.scope.is_empty() {
        tags.insert("otel.scope.name", span.scope.clone());
    }
    if !span.trace_state.is_empty() {
        tags.insert("w3c.tracestate", span.trace_state.clone());
    }
    if !span.links.is_empty() {
        let links: Vec<String> = span.links.iter().map(|link| format!("{}-{}", link.trace_id, link.span_id)).collect();
        tags.insert("otel.links", links.join(","));
    }
    let annotations: Vec<Json> =
        span.events.iter().map(|event| json!({ "timestamp": event.time / 1_000, "value": event.name })).collect();
    let mut json = Map::new();
    json.insert("traceId".to_owned(), span.trace_id.to_string().into());
    json.insert("id".to_owned(), span.span_id.to_string().into());
    if let Some(parent) = span.parent {
        json.insert("parentId".to_owned(), parent.to_string().into());
    }
    let kind = match span.kind {
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Server => Some("SERVER"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
        SpanKind::Internal | SpanKind::Unspecified => None,
    };
    if let Some(kind) = kind {
        json.insert("kind".to_owned(), kind.into());
    }
    json.insert("name".to_owned(), span.name.as_str().into());
    json.insert("timestamp".to_owned(), (span.start / 1_000).into());
    // Zipkin takes a duration of zero for a span that has not ended.
    json.insert("duration".to_owned(), (span.end.saturating_sub(span.start) / 1_000).max(1).into());
    json.insert("localEndpoint".to_owned(), json!({ "serviceName": span.service() }));
    json.insert("annotations".to_owned(), annotations.into());
    json.insert("tags".to_owned(), json!(tags));
    Json::Object(json)
}

#[cfg(feature = "backend")]
pub use client::Zipkin;

#[cfg(feature = "backend")]
mod client {
    use super::{BackendError, Span, TraceId, read, write};
    use crate::backend::Endpoint;
    use crate::backend::client::Client;

    /// A client of Zipkin's API.
    #[derive(Debug, Clone)]
    pub struct Zipkin(Client);

    impl Zipkin {
        /// Creates a client for an address such as `http://127.0.0.1:9411`.
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

        /// Returns all spans of a trace that Zipkin has so far.
        ///
        /// # Errors
        /// No span, no response, or a response of another format.
        pub async fn trace(&self, trace_id: TraceId) -> Result<Vec<Span>, BackendError> {
            let spans = read(&self.0.get(&format!("/api/v2/trace/{trace_id}")).await?)?;
            if spans.is_empty() { Err(BackendError::NotFound) } else { Ok(spans) }
        }

        /// Sends spans to Zipkin.
        ///
        /// # Errors
        /// No response, or an error status.
        pub async fn post<'s>(&self, spans: impl IntoIterator<Item = &'s Span>) -> Result<(), BackendError> {
            self.0.post("/api/v2/spans", write(spans).to_string()).await
        }
    }
}

#[cfg(test)]
mod tests;
