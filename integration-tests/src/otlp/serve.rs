//! Serves OTLP/gRPC and OTLP/HTTP on one port; the router separates them.

use std::io::{self, Read};
use std::marker::PhantomData;
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
    metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
    trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse},
};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};

use super::store::{ReceivedRequest, Store};
use super::{bound, convert, signals};

/// A request may be this large, in bytes, after decompression too.
const LARGEST: usize = 64 * 1024 * 1024;

/// A request of metrics or log records may be this large, in bytes, after decompression too.
const LARGEST_OF_OTHERS: usize = 1024 * 1024;

pub(super) async fn serve(listener: TcpListener, store: Arc<Store>) -> io::Result<()> {
    const COLLECTOR: &str = "/opentelemetry.proto.collector";
    let router = Router::new()
        .route(&format!("{COLLECTOR}.trace.v1.TraceService/Export"), post(export::<ExportTraceServiceRequest>))
        .route(&format!("{COLLECTOR}.metrics.v1.MetricsService/Export"), post(export::<ExportMetricsServiceRequest>))
        .route(&format!("{COLLECTOR}.logs.v1.LogsService/Export"), post(export::<ExportLogsServiceRequest>))
        .route("/v1/traces", post(traces))
        .route("/v1/metrics", post(other::<ExportMetricsServiceRequest>))
        .route("/v1/logs", post(other::<ExportLogsServiceRequest>))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&store), record))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(store);
    axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
}

/// Records path and headers of each request.
async fn record(State(store): State<Arc<Store>>, request: axum::extract::Request, next: Next) -> Response {
    store.add_request(ReceivedRequest::new(request.uri().path(), request.headers()));
    next.run(request).await
}

/// The export request of a signal.
trait Exported: Message + Default + Send + 'static {
    type Response: Message + Default + Send + 'static;

    /// Decodes a request within the bounds of memory.
    fn decode_bounded(bytes: Bytes) -> Result<Self, (bound::Refused, String)>;

    fn accept(self, store: &Store) -> Self::Response;
}

impl Exported for ExportTraceServiceRequest {
    type Response = ExportTraceServiceResponse;

    fn decode_bounded(bytes: Bytes) -> Result<Self, (bound::Refused, String)> {
        bound::protobuf(&bytes).map_err(|refused| (refused, refused.to_string()))?;
        decode(bytes)
    }

    fn accept(self, store: &Store) -> Self::Response {
        accept(store, self)
    }
}

impl Exported for ExportMetricsServiceRequest {
    type Response = ExportMetricsServiceResponse;

    fn decode_bounded(bytes: Bytes) -> Result<Self, (bound::Refused, String)> {
        decode_small(bytes)
    }

    fn accept(self, store: &Store) -> Self::Response {
        let (metrics, response) = signals::metrics(self);
        store.add_metrics(metrics);
        response
    }
}

impl Exported for ExportLogsServiceRequest {
    type Response = ExportLogsServiceResponse;

    fn decode_bounded(bytes: Bytes) -> Result<Self, (bound::Refused, String)> {
        decode_small(bytes)
    }

    fn accept(self, store: &Store) -> Self::Response {
        let (logs, response) = signals::logs(self);
        store.add_logs(logs);
        response
    }
}

async fn export<T: Exported>(State(store): State<Arc<Store>>, request: axum::extract::Request) -> Response {
    let mut grpc = Grpc::new(BoundedCodec::<T>(store.clone(), PhantomData))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(LARGEST);
    grpc.unary(Export::<T>(store, PhantomData), request).await.into_response()
}

struct Export<T>(Arc<Store>, PhantomData<T>);

impl<T: Exported> UnaryService<T> for Export<T> {
    type Response = T::Response;
    type Future = std::future::Ready<Result<tonic::Response<T::Response>, Status>>;

    fn call(&mut self, request: tonic::Request<T>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(request.into_inner().accept(&self.0))))
    }
}

/// Decodes exports within the bounds, and counts the others as refused.
struct BoundedCodec<T>(Arc<Store>, PhantomData<T>);

impl<T: Exported> Codec for BoundedCodec<T> {
    type Encode = T::Response;
    type Decode = T;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone(), PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<T: Exported> Encoder for BoundedCodec<T> {
    type Item = T::Response;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(into).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<T: Exported> Decoder for BoundedCodec<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        let bytes = prost::bytes::Buf::copy_to_bytes(from, prost::bytes::Buf::remaining(from));
        T::decode_bounded(bytes).map(Some).map_err(|(refused, why)| {
            self.0.add_malformed();
            match refused {
                bound::Refused::TooLarge => Status::resource_exhausted(why),
                bound::Refused::Malformed => Status::invalid_argument(why),
            }
        })
    }
}

fn decode<T: Message + Default>(bytes: Bytes) -> Result<T, (bound::Refused, String)> {
    T::decode(bytes).map_err(|error| (bound::Refused::Malformed, format!("not an export request: {error}")))
}

/// Decodes metrics or log records. Their bound is in bytes of the request: each decodes to at most some hundred.
fn decode_small<T: Message + Default>(bytes: Bytes) -> Result<T, (bound::Refused, String)> {
    if bytes.len() > LARGEST_OF_OTHERS {
        return Err((bound::Refused::TooLarge, bound::Refused::TooLarge.to_string()));
    }
    decode(bytes)
}

/// Reads a protobuf body of metrics or log records. Other media types are accepted and dropped.
async fn other<T: Exported>(State(store): State<Arc<Store>>, headers: HeaderMap, body: Bytes) -> Response {
    let of = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !of(header::CONTENT_TYPE).starts_with("application/x-protobuf") {
        return StatusCode::OK.into_response();
    }
    let body = if of(header::CONTENT_ENCODING) == "gzip" { gunzip(&body).unwrap_or_default() } else { body };
    match T::decode_bounded(body) {
        Ok(request) => {
            let answer = request.accept(&store).encode_to_vec();
            ([(header::CONTENT_TYPE, "application/x-protobuf")], answer).into_response()
        }
        Err((refused, why)) => {
            store.add_malformed();
            (status(refused), why).into_response()
        }
    }
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
        "application/x-protobuf" => match ExportTraceServiceRequest::decode_bounded(body) {
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
