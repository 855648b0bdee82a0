use http::{HeaderMap, response::Parts};
use propagation_core::{HopSpan, Outcome, SpanKind};
use propagation_http::exchange::{Classify, Ending};
use tonic::Code;

use crate::deadline::Deadline;

/// Tells from trailers, or a response of trailers only, how a call went.
#[derive(Debug)]
pub struct GrpcClassify {
    kind: SpanKind,
    code: Option<Code>,
    deadline: Option<Deadline>,
}

impl GrpcClassify {
    pub(crate) fn new(kind: SpanKind, deadline: Option<Deadline>) -> Self {
        Self { kind, code: None, deadline }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(Deadline::has_passed)
    }

    /// The status is in the headers where there is no body, else in the trailers.
    fn read(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }

    fn is_error(&self, code: Code) -> bool {
        match self.kind {
            // What a caller did wrong is no fault of the server's (semantic conventions 1.44, rpc/grpc).
            SpanKind::Server => matches!(
                code,
                Code::Unknown
                    | Code::DeadlineExceeded
                    | Code::Unimplemented
                    | Code::Internal
                    | Code::Unavailable
                    | Code::DataLoss
            ),
            _ => code != Code::Ok,
        }
    }

    fn end(&self, code: Code, hop: &HopSpan) -> Outcome {
        if hop.has_panicked() {
            // No status was sent: the panic is the error.
            return Outcome::Cancelled;
        }
        hop.set_attribute("rpc.response.status_code", name(code));
        if self.is_error(code) { Outcome::error(name(code)) } else { Outcome::Unset }
    }
}

impl Classify for GrpcClassify {
    fn head(&mut self, head: &mut Parts, _: &HopSpan) {
        self.read(&head.headers);
        if self.code.is_none() && !head.status.is_success() {
            // Something on the way that is not a gRPC server has answered.
            self.code = Some(of_http(head.status));
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap, _: &HopSpan) {
        self.read(trailers);
    }

    fn outcome(&mut self, ending: Ending, hop: &HopSpan) -> Outcome {
        match (self.code, ending) {
            (Some(code), _) => self.end(code, hop),
            // A stream that ends without a status was broken off.
            (None, Ending::Complete) => self.end(Code::Unknown, hop),
            (None, _) if self.is_late() => self.end(Code::DeadlineExceeded, hop),
            (None, _) => self.end(Code::Cancelled, hop),
        }
    }

    fn failed<E: 'static>(&mut self, error: E, hop: &HopSpan) -> (E, Outcome) {
        let unsaid = match self.kind {
            _ if self.is_late() => Code::DeadlineExceeded,
            SpanKind::Server => Code::Unknown,
            _ => Code::Unavailable,
        };
        let outcome = self.end(self.code.unwrap_or(unsaid), hop);
        (error, outcome)
    }
}

/// The mapping for responses without a gRPC status (gRPC, `http-grpc-status-mapping`).
fn of_http(status: http::StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
