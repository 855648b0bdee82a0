//! The JSON of Tempo's query API (`/api/v2/traces/{id}` and `/api/traces/{id}`).
//!
//! Tested on responses as Tempo's documentation and source define them, not against a running Tempo.

use serde_json::Value as Json;

use super::BackendError;
use super::json::text;
use super::otlp_json;
use crate::trace::Span;

/// Reads a response of either version: `{"trace": {"resourceSpans": […]}}`, or `{"batches": […]}`.
///
/// Ids are in base64 there, 64-bit numbers are text, and kinds are names.
///
/// # Errors
/// [`BackendError::Malformed`]: not JSON, not a response of Tempo, or an invalid id. [`BackendError::Partial`]: Tempo has left out
/// spans, for example of a trace over its size limit.
pub fn read(bytes: &[u8]) -> Result<Vec<Span>, BackendError> {
    let json: Json =
        serde_json::from_slice(bytes).map_err(|error| BackendError::Malformed(format!("not JSON: {error}")))?;
    let status = json.get("status");
    if status.is_some_and(|status| status == "PARTIAL" || status == 1) {
        return Err(BackendError::Partial(text(&json, &["message"]).chars().take(400).collect()));
    }
    let trace = json.get("trace").unwrap_or(&json);
    // The JSON mapping of Protocol Buffers omits empty fields.
    let empty = trace.is_null() || trace.as_object().is_some_and(serde_json::Map::is_empty);
    if !empty && !otlp_json::is_traces(trace) {
        return Err(BackendError::Malformed("no `trace` and no `batches`: not a response of Tempo".to_owned()));
    }
    let mut spans = Vec::new();
    otlp_json::read_traces(trace, &mut spans)?;
    Ok(spans)
}

#[cfg(feature = "backend")]
pub use client::Tempo;

#[cfg(feature = "backend")]
mod client {
    use super::{BackendError, Span, read};
    use crate::backend::Endpoint;
    use crate::backend::client::Client;
    use crate::trace::TraceId;

    /// A client of Tempo's query API.
    #[derive(Debug, Clone)]
    pub struct Tempo(Client);

    impl Tempo {
        /// Creates a client for an address such as `http://127.0.0.1:3200`.
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

        /// Returns all spans of a trace that Tempo has so far. Uses version 1 of the API if version 2 does not find the trace.
        ///
        /// # Errors
        /// No span, only a part of the trace, no response, or a response of another format.
        pub async fn trace(&self, trace_id: TraceId) -> Result<Vec<Span>, BackendError> {
            let body = match self.0.get(&format!("/api/v2/traces/{trace_id}")).await {
                Err(BackendError::NotFound) => self.0.get(&format!("/api/traces/{trace_id}")).await?,
                body => body?,
            };
            let spans = read(&body)?;
            if spans.is_empty() { Err(BackendError::NotFound) } else { Ok(spans) }
        }
    }
}

#[cfg(test)]
mod tests;
