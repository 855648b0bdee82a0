use std::{io::IoSlice, sync::Arc};

use bytes::Buf;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE, response::Parts};
use propagation_core::{HopSpan, Outcome, Propagator, SpanKind, semconv};
use propagation_http::exchange::{BodyEnd, ClassifyResponse, ServerClassifier};
use tonic::Code;

use crate::{deadline::Deadline, metadata::RecordedMetadata, method::UnknownMethod, status, web::WebFrames};

/// Classifies a call by its gRPC status, from the trailers, from a Trailers-Only response, or from a grpc-web body.
#[derive(Debug)]
pub struct GrpcClassifier {
    kind: SpanKind,
    /// Set only if response metadata is recorded: the counts of both are shared by all calls.
    recorded: Option<(Propagator, Arc<RecordedMetadata>)>,
    code: Option<Code>,
    deadline: Option<Deadline>,
    unknown: Option<UnknownMethod>,
    /// Whether the response is a gRPC response. The body of a proxy's or middleware's response is not a message.
    is_grpc: bool,
    /// Whether the response contains a message.
    has_message: bool,
    web: Option<WebFrames>,
}

impl GrpcClassifier {
    pub(crate) fn new(
        kind: SpanKind,
        propagator: &Propagator,
        metadata: &Arc<RecordedMetadata>,
        deadline: Option<Deadline>,
        unknown: Option<UnknownMethod>,
    ) -> Self {
        let recorded = (!metadata.response.is_empty()).then(|| (propagator.clone(), Arc::clone(metadata)));
        Self { kind, recorded, code: None, deadline, unknown, is_grpc: false, has_message: false, web: None }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(Deadline::has_passed)
    }

    /// Reads the status from the headers of a Trailers-Only response, or from trailers.
    fn read(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }

    fn read_data(&mut self, bytes: &[u8]) {
        match &mut self.web {
            None => self.has_message |= !bytes.is_empty(),
            Some(web) => {
                web.read(bytes);
                self.has_message |= web.has_message;
                self.code = web.code.or(self.code);
            }
        }
    }

    fn record(&self, headers: &HeaderMap, hop: &HopSpan) {
        if let Some((propagator, metadata)) = &self.recorded
            && hop.is_recording()
        {
            metadata.record_response(headers, &propagator.policy_guard(), hop);
        }
    }

    fn is_error(&self, code: Code) -> bool {
        match self.kind {
            // Statuses that the caller causes are not errors of the server (semantic conventions 1.45, rpc/grpc).
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

    fn end(&mut self, code: Code, hop: &HopSpan) -> Outcome {
        if let Some(unknown) = self.unknown.take() {
            unknown.settle(self.has_message || self.code == Some(Code::Ok), hop);
        }
        if hop.has_panicked() {
            // No status was sent: the panic is the error.
            return Outcome::Cancelled;
        }
        hop.set_attribute(semconv::RPC_STATUS_CODE, code_name(code));
        if self.is_error(code) { Outcome::error(code_name(code)) } else { Outcome::Unset }
    }
}

impl ClassifyResponse for GrpcClassifier {
    fn on_response(&mut self, head: &mut Parts, hop: &HopSpan) {
        self.read(&head.headers);
        self.record(&head.headers, hop);
        if self.code.is_none() && !head.status.is_success() {
            // Not the response of a gRPC server, but of an intermediary.
            self.code = Some(code_of_http(head.status));
        }
        if hop.is_recording() {
            let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
            self.is_grpc = is_grpc(content_type);
            self.web = WebFrames::from_content_type(content_type);
        }
    }

    fn on_data(&mut self, data: &impl Buf, _: &HopSpan) {
        if !self.is_grpc || (self.web.is_none() && self.has_message) {
            return;
        }
        let mut parts = [IoSlice::new(&[]); 16];
        let count = data.chunks_vectored(&mut parts);
        for part in parts.iter().take(count) {
            self.read_data(part);
        }
    }

    fn on_trailers(&mut self, trailers: &HeaderMap, hop: &HopSpan) {
        self.read(trailers);
        self.record(trailers, hop);
    }

    fn classify(&mut self, end: BodyEnd, hop: &HopSpan) -> Outcome {
        let code = match (self.code, end) {
            (Some(code), _) => code,
            // The stream ended without a status.
            (None, BodyEnd::Complete) => Code::Unknown,
            (None, _) if self.is_late() => Code::DeadlineExceeded,
            (None, _) => Code::Cancelled,
        };
        self.end(code, hop)
    }

    fn on_failure<E: 'static>(&mut self, error: E, hop: &HopSpan) -> (E, Outcome) {
        let (error, code) = status::code_of_error(error);
        let code = self.code.or(code).unwrap_or(Code::Unknown);
        let outcome = self.end(code, hop);
        (error, outcome)
    }
}

/// Classifies the responses of a server that handles both gRPC calls and plain HTTP requests.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallClassifier {
    /// A remote procedure call.
    Grpc(GrpcClassifier),
    /// Any other request.
    Http(ServerClassifier),
}

impl ClassifyResponse for CallClassifier {
    fn on_response(&mut self, head: &mut Parts, hop: &HopSpan) {
        match self {
            Self::Grpc(grpc) => grpc.on_response(head, hop),
            Self::Http(http) => http.on_response(head, hop),
        }
    }

    fn on_data(&mut self, data: &impl Buf, hop: &HopSpan) {
        match self {
            Self::Grpc(grpc) => grpc.on_data(data, hop),
            Self::Http(http) => http.on_data(data, hop),
        }
    }

    fn on_trailers(&mut self, trailers: &HeaderMap, hop: &HopSpan) {
        match self {
            Self::Grpc(grpc) => grpc.on_trailers(trailers, hop),
            Self::Http(http) => http.on_trailers(trailers, hop),
        }
    }

    fn classify(&mut self, end: BodyEnd, hop: &HopSpan) -> Outcome {
        match self {
            Self::Grpc(grpc) => grpc.classify(end, hop),
            Self::Http(http) => http.classify(end, hop),
        }
    }

    fn on_failure<E: 'static>(&mut self, error: E, hop: &HopSpan) -> (E, Outcome) {
        match self {
            Self::Grpc(grpc) => grpc.on_failure(error, hop),
            Self::Http(http) => http.on_failure(error, hop),
        }
    }
}

/// Returns `true` for a content type of gRPC or grpc-web: `application/grpc`, optionally with a suffix or parameters.
pub(crate) fn is_grpc(content_type: &[u8]) -> bool {
    let Some((start, rest)) = content_type.split_at_checked("application/grpc".len()) else { return false };
    start.eq_ignore_ascii_case(b"application/grpc") && rest.first().is_none_or(|next| b"+-; ".contains(next))
}

/// Maps the HTTP status of a response without a gRPC status (gRPC, `http-grpc-status-mapping`).
fn code_of_http(status: http::StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

fn code_name(code: Code) -> &'static str {
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
