use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, response::Parts};
use propagation_core::{HopSpan, Outcome};

use super::layer::Options;
use crate::exchange::{Classify, Ending};

/// Tells from a response how a request was handled: 5xx is an error, 4xx is the caller's own.
pub struct ServerClassify {
    options: Arc<Options>,
    status: StatusCode,
}

static TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

impl ServerClassify {
    pub(super) fn new(options: Arc<Options>) -> Self {
        Self { options, status: StatusCode::OK }
    }
}

impl Classify for ServerClassify {
    fn head(&mut self, head: &mut Parts, hop: &HopSpan) {
        self.status = head.status;
        if self.options.traceresponse
            && let Some(parent) = hop.context().trace.parent
            && let Ok(value) = HeaderValue::from_bytes(&parent.to_bytes())
        {
            // Room for one header more is the only thing that can be missing.
            let _ = head.headers.try_insert(TRACERESPONSE.clone(), value);
        }
        if !hop.records() {
            return;
        }
        hop.set_attribute("http.response.status_code", self.status.as_u16());
        let mut listed = Vec::new();
        let policy = self.options.propagator.policy();
        self.options.headers.of_response(&mut listed, &head.headers, &policy);
        for attribute in listed {
            hop.set(attribute);
        }
    }

    fn trailers(&mut self, _: &HeaderMap, _: &HopSpan) {}

    fn outcome(&mut self, ending: Ending, hop: &HopSpan) -> Outcome {
        match ending {
            _ if self.status.is_server_error() => Outcome::error(self.status.as_u16().to_string()),
            Ending::Unanswered => Outcome::Cancelled,
            // A client leaves an event stream or a download as it likes.
            Ending::Midway | Ending::Unread if self.options.aborted_bodies && !hop.has_panicked() => {
                Outcome::error("cancelled")
            }
            Ending::Complete | Ending::Midway | Ending::Unread => Outcome::Unset,
        }
    }

    fn failed<E: 'static>(&mut self, error: E, _: &HopSpan) -> (E, Outcome) {
        let outcome = crate::exchange::failure(&error);
        (error, outcome)
    }
}

impl fmt::Debug for ServerClassify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerClassify").field("status", &self.status).finish_non_exhaustive()
    }
}
