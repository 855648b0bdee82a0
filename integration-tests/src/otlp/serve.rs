//! Serves OTLP/gRPC and OTLP/HTTP on one port; the router separates them.

use std::io::{self, Read};
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};

use super::store::Store;
use super::{bound, convert};

/// A request may be this large, in bytes, after decompression too.
const LARGEST: usize = 64 * 1024 * 1024;

pub(super) async fn serve(listener: TcpListener, store: Arc<Store>) -> io::Result<()> {
    let router = Router::new()
        .route("/opentelemetry.proto.collector.trace.v1.TraceService/Export", post(export))
        .route("/v1/traces", post(traces))
        // Exporters of other signals are often set up with the same endpoint: taken, so that they don't complain.
        .route("/v1/metrics", post(StatusCode::OK))
        .route("/v1/logs", post(StatusCode::OK))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(store);
    axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
}

async fn export(State(store): State<Arc<Store>>, request: axum::extract::Request) -> Response {
    let mut grpc = Grpc::new(BoundedCodec(store.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(LARGEST);
    grpc.unary(Export(store), request).await.into_response()
}

struct Export(Arc<Store>);

impl UnaryService<ExportTraceServiceRequest> for Export {
    type Response = ExportTraceServiceResponse;
    type Future = std::future::Ready<Result<tonic::Response<ExportTraceServiceResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<ExportTraceServiceRequest>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(accept(&self.0, request.into_inner()))))
    }
}

/// Decodes exports within the bounds, and counts the others as refused.
#[derive(Clone)]
struct BoundedCodec(Arc<Store>);

impl Codec for BoundedCodec {
    type Encode = ExportTraceServiceResponse;
    type Decode = ExportTraceServiceRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for BoundedCodec {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(into).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for BoundedCodec {
    type Item = ExportTraceServiceRequest;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let bytes = prost::bytes::Buf::copy_to_bytes(from, prost::bytes::Buf::remaining(from));
        decode(bytes).map(Some).map_err(|(refused, why)| {
            self.0.add_malformed();
            match refused {
                bound::Refused::TooLarge => Status::resource_exhausted(why),
                bound::Refused::Malformed => Status::invalid_argument(why),
            }
        })
    }
}

fn decode(bytes: Bytes) -> Result<ExportTraceServiceRequest, (bound::Refused, String)> {
    bound::protobuf(&bytes).map_err(|refused| (refused, refused.to_string()))?;
    ExportTraceServiceRequest::decode(bytes)
        .map_err(|error| (bound::Refused::Malformed, format!("not an export request: {error}")))
}

fn accept(store: &Store, request: ExportTraceServiceRequest) -> ExportTraceServiceResponse {
    let (spans, refused) = convert::spans(request);
    respond(store.add(spans, refused))
}

fn respond(refused: usize) -> ExportTraceServiceResponse {
    let partial_success = (refused > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(refused).unwrap_or(i64::MAX),
        error_message: "ids of a wrong length, or more spans than a test receiver keeps".to_owned(),
    });
    ExportTraceServiceResponse { partial_success }
}

async fn traces(State(store): State<Arc<Store>>, headers: HeaderMap, body: Bytes) -> Response {
    let of = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refuse = |status: StatusCode, why: String| {
        store.add_malformed();
        (status, why).into_response()
    };
    let body = match of(header::CONTENT_ENCODING) {
        "" | "identity" => body,
        "gzip" => match gunzip(&body) {
            Ok(body) => body,
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return refuse(StatusCode::PAYLOAD_TOO_LARGE, error.to_string());
            }
            Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("not gzip: {error}")),
        },
        other => return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("cannot read the encoding {other:?}")),
    };
    let media_type = of(header::CONTENT_TYPE);
    match media_type.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => match decode(body) {
            Ok(request) => {
                let answer = accept(&store, request).encode_to_vec();
                ([(header::CONTENT_TYPE, "application/x-protobuf")], answer).into_response()
            }
            Err((refused, why)) => refuse(status(refused), why),
        },
        "application/json" if bound::json(&body).is_err() => {
            refuse(status(bound::Refused::TooLarge), bound::Refused::TooLarge.to_string())
        }
        "application/json" => match crate::backend::otlp_json::read(&body) {
            Ok(spans) => {
                store.add(spans, 0);
                ([(header::CONTENT_TYPE, "application/json")], "{}").into_response()
            }
            Err(error) => refuse(StatusCode::BAD_REQUEST, error.to_string()),
        },
        _ => refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("want protobuf or JSON, not {media_type:?}")),
    }
}

fn status(refused: bound::Refused) -> StatusCode {
    match refused {
        bound::Refused::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        bound::Refused::Malformed => StatusCode::BAD_REQUEST,
    }
}

fn gunzip(body: &[u8]) -> io::Result<Bytes> {
    let mut out = Vec::new();
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    flate2::read::GzDecoder::new(body).take(limit + 1).read_to_end(&mut out)?;
    if out.len() > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("export too large: more than {} MiB after decompression; export smaller batches", LARGEST >> 20),
        ));
    }
    Ok(out.into())
}
