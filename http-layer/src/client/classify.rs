use std::sync::Arc;

use http::{HeaderMap, StatusCode, response::Parts};
use propagation_core::{Hop, HopSpan, Outcome};

use super::Options;
use crate::exchange::{Classify, Ending};

/// Tells from a response how a request went: 4xx and 5xx are errors.
#[derive(Debug)]
pub struct ClientClassify {
    options: Arc<Options>,
    status: StatusCode,
    /// The host that the request was sent to, to notice a redirect that was followed below.
    #[cfg(feature = "tower-http-0-6")]
    authority: Box<str>,
}

impl ClientClassify {
    #[cfg_attr(
        not(feature = "tower-http-0-6"),
        expect(unused_variables, reason = "only tower-http shows the final URI")
    )]
    pub(crate) fn new(options: Arc<Options>, authority: &str) -> Self {
        Self {
            options,
            status: StatusCode::OK,
            #[cfg(feature = "tower-http-0-6")]
            authority: authority.into(),
        }
    }
}

impl Classify for ClientClassify {
    fn head(&mut self, head: &mut Parts, hop: &HopSpan) {
        self.status = head.status;
        #[cfg(feature = "tower-http-0-6")]
        crate::tower_http::check_final_uri(&self.options, &head.extensions, hop, &self.authority);
        if !hop.records() {
            return;
        }
        hop.set_attribute("http.response.status_code", self.status.as_u16());
        let mut noted = Hop::resume(propagation_core::PropagationContext::EMPTY);
        crate::attributes::version(&mut noted, head.version);
        let policy = self.options.propagator.policy();
        self.options.headers.of_response(&mut noted.attributes, &head.headers, &policy);
        for attribute in noted.attributes {
            hop.set(attribute);
        }
    }

    fn trailers(&mut self, _: &HeaderMap, _: &HopSpan) {}

    fn outcome(&mut self, ending: Ending, hop: &HopSpan) -> Outcome {
        if self.status.is_client_error() || self.status.is_server_error() {
            Outcome::error(self.status.as_u16().to_string())
        } else if matches!(ending, Ending::Complete | Ending::Unread) {
            // Who asks for the status alone and lets the body go has not given up.
            Outcome::Unset
        } else if hop.has_panicked() {
            Outcome::Cancelled
        } else {
            Outcome::error("cancelled")
        }
    }

    fn failed<E: 'static>(&mut self, error: E, _: &HopSpan) -> (E, Outcome) {
        let outcome = crate::exchange::failure(&error);
        (error, outcome)
    }
}
