//! Metadata recorded as attributes.

use http::{HeaderMap, HeaderName};
use propagation_core::{Attribute, HopSpan, Policy};
use propagation_http::attributes;

/// The request and response metadata to record.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordedMetadata {
    pub(crate) request: Vec<HeaderName>,
    pub(crate) response: Vec<HeaderName>,
}

impl RecordedMetadata {
    /// Returns the listed metadata of a request. Credentials are never recorded.
    pub(crate) fn of_request(&self, headers: &HeaderMap, policy: &Policy) -> impl Iterator<Item = Attribute> {
        self.request.iter().filter_map(|name| attributes::header("rpc.request.metadata", name, headers, policy))
    }

    /// Records the listed metadata of a response's head or trailers.
    pub(crate) fn record_response(&self, headers: &HeaderMap, policy: &Policy, hop: &HopSpan) {
        let found = self.response.iter();
        for attribute in found.filter_map(|name| attributes::header("rpc.response.metadata", name, headers, policy)) {
            hop.set_attribute(attribute.key, attribute.value);
        }
    }
}
