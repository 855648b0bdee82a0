use std::sync::Arc;

use http::{HeaderMap, StatusCode, response::Parts};
use propagation_core::{HopSpan, Outcome, semconv};

use super::Options;
use crate::exchange::{BodyEnd, ClassifyResponse};

/// Classifies responses for a client: 4xx and 5xx are errors.
#[derive(Debug)]
pub struct ClientClassifier {
    status: StatusCode,
    /// Set only if response headers are recorded: the count of an `Arc` is shared by all requests.
    recorded: Option<Arc<Options>>,
    #[cfg(feature = "tower-http-0-6")]
    options: Arc<Options>,
    /// The authority of the request, to detect a redirect that was followed below the layer.
    #[cfg(feature = "tower-http-0-6")]
    authority: Box<str>,
}

impl ClientClassifier {
    #[cfg_attr(
        not(feature = "tower-http-0-6"),
        expect(unused_variables, reason = "only tower-http shows the final URI")
    )]
    pub(crate) fn new(options: &Arc<Options>, authority: &str) -> Self {
        Self {
            status: StatusCode::OK,
            recorded: (!options.headers.response.is_empty()).then(|| Arc::clone(options)),
            #[cfg(feature = "tower-http-0-6")]
            options: Arc::clone(options),
            #[cfg(feature = "tower-http-0-6")]
            authority: authority.into(),
        }
    }
}

impl ClassifyResponse for ClientClassifier {
    fn on_response(&mut self, head: &mut Parts, hop: &HopSpan) {
        self.status = head.status;
        #[cfg(feature = "tower-http-0-6")]
        crate::tower_http::check_final_uri(&self.options, &head.extensions, hop, &self.authority);
        if !hop.is_recording() {
            return;
        }
        hop.set_attribute(semconv::HTTP_RESPONSE_STATUS_CODE, self.status.as_u16());
        if let Some(version) = crate::attributes::version(head.version) {
            hop.set_attribute(version.key, version.value);
        }
        if let Some(options) = &self.recorded {
            options.headers.record_response(&options.propagator, &head.headers, hop);
        }
    }

    fn on_trailers(&mut self, _: &HeaderMap, _: &HopSpan) {}

    fn classify(&mut self, end: BodyEnd, hop: &HopSpan) -> Outcome {
        if self.status.is_client_error() || self.status.is_server_error() {
            Outcome::error(self.status.as_u16().to_string())
        } else if matches!(end, BodyEnd::Complete | BodyEnd::NotRead) {
            // A client that reads only the status and drops the body has not aborted.
            Outcome::Unset
        } else if hop.has_panicked() {
            Outcome::Cancelled
        } else {
            Outcome::error("cancelled")
        }
    }

    fn on_failure<E: 'static>(&mut self, error: E, _: &HopSpan) -> (E, Outcome) {
        let outcome = crate::exchange::failure(&error);
        (error, outcome)
    }
}
