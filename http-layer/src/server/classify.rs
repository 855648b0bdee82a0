use std::{fmt, sync::Arc};

use http::{HeaderMap, StatusCode, response::Parts};
use propagation_core::{HopSpan, Outcome, semconv};

use super::{layer::Options, response_ids::ResponseIds};
use crate::exchange::{BodyEnd, ClassifyResponse};

/// Classifies responses for a server: 5xx is an error, 4xx is not.
pub struct ServerClassifier {
    ids: ResponseIds,
    status: StatusCode,
    aborted_bodies: bool,
    /// Set only if response headers are recorded: the count of an `Arc` is shared by all requests.
    recorded: Option<Arc<Options>>,
}

impl ServerClassifier {
    pub(super) fn new(options: &Arc<Options>, ids: ResponseIds) -> Self {
        Self {
            ids,
            status: StatusCode::OK,
            aborted_bodies: options.aborted_bodies,
            recorded: (!options.headers.response.is_empty()).then(|| Arc::clone(options)),
        }
    }
}

impl ClassifyResponse for ServerClassifier {
    fn on_response(&mut self, head: &mut Parts, hop: &HopSpan) {
        self.status = head.status;
        self.ids.write(hop, &mut head.headers);
        if !hop.is_recording() {
            return;
        }
        hop.set_attribute(semconv::HTTP_RESPONSE_STATUS_CODE, self.status.as_u16());
        if let Some(options) = &self.recorded {
            options.headers.record_response(&options.propagator, &head.headers, hop);
        }
    }

    fn on_trailers(&mut self, _: &HeaderMap, _: &HopSpan) {}

    fn classify(&mut self, end: BodyEnd, hop: &HopSpan) -> Outcome {
        match end {
            // `CatchPanic` between two of our layers has responded in place of the handler. The panic is the error.
            _ if hop.has_panicked() => Outcome::Cancelled,
            _ if self.status.is_server_error() => Outcome::error(self.status.as_u16().to_string()),
            BodyEnd::NoResponse => Outcome::Cancelled,
            // Clients close event streams and downloads at any time: an error only where configured.
            BodyEnd::Aborted | BodyEnd::NotRead if self.aborted_bodies => Outcome::error("cancelled"),
            BodyEnd::Complete | BodyEnd::Aborted | BodyEnd::NotRead => Outcome::Unset,
        }
    }

    fn on_failure<E: 'static>(&mut self, error: E, _: &HopSpan) -> (E, Outcome) {
        let outcome = crate::exchange::failure(&error);
        (error, outcome)
    }
}

impl fmt::Debug for ServerClassifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerClassifier").field("status", &self.status).finish_non_exhaustive()
    }
}
