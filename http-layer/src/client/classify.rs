use std::sync::Arc;

use http::{HeaderMap, StatusCode, response::Parts};
use propagation_core::{HopSpan, Outcome};

use super::Options;
use crate::exchange::Classify;

/// Tells from a response how a request went: 4xx and 5xx are errors.
#[derive(Debug)]
pub struct ClientClassify {
    options: Arc<Options>,
    status: StatusCode,
}

impl ClientClassify {
    pub(crate) fn new(options: Arc<Options>) -> Self {
        Self { options, status: StatusCode::OK }
    }

    /// Notes the head of a response.
    pub(crate) fn note(&mut self, status: StatusCode, version: http::Version, headers: &HeaderMap, hop: &HopSpan) {
        self.status = status;
        if !hop.records() {
            return;
        }
        hop.set_attribute("http.response.status_code", status.as_u16());
        let mut noted = Hop::resume(propagation_core::PropagationContext::EMPTY);
        crate::attributes::version(&mut noted, version);
        crate::attributes::headers(
            &mut noted.attributes,
            "http.response.header",
            &self.options.response_headers,
            headers,
        );
        for attribute in noted.attributes {
            hop.set(attribute);
        }
    }
}

use propagation_core::Hop;

impl Classify for ClientClassify {
    fn head(&mut self, head: &mut Parts, hop: &HopSpan) {
        self.note(head.status, head.version, &head.headers, hop);
    }

    fn trailers(&mut self, _: &HeaderMap, _: &HopSpan) {}

    fn outcome(&mut self, complete: bool, _: &HopSpan) -> Outcome {
        if self.status.is_client_error() || self.status.is_server_error() {
            Outcome::error(self.status.as_u16().to_string())
        } else if complete {
            Outcome::Unset
        } else {
            Outcome::Cancelled
        }
    }

    fn failed(&mut self, error: &'static str, _: &HopSpan) -> Outcome {
        Outcome::error(error)
    }
}
