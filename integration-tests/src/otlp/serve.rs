//! The two protocols, on one port: gRPC comes as HTTP/2, and axum tells it apart.

use std::io::{self, Read};
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;

use super::convert;
use super::store::Store;

/// A request may be this large, in bytes, after decompression too.
const LARGEST: usize = 64 * 1024 * 1024;

pub(super) async fn serve(listener: TcpListener, store: Arc<Store>) -> io::Result<()> {
    let grpc = TraceServiceServer::new(Grpc(store.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(LARGEST);
    let http = Router::new()
        .route("/v1/traces", post(traces))
        // Exporters of other signals are often set up with the same endpoint: taken, so that they don't complain.
        .route("/v1/metrics", post(StatusCode::OK))
        .route("/v1/logs", post(StatusCode::OK))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(store);
    let router = Routes::new(grpc).into_axum_router().merge(http);
    axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
}

struct Grpc(Arc<Store>);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        Ok(tonic::Response::new(accept(&self.0, request.into_inner())))
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
            Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("not gzip: {error}")),
        },
        other => return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("cannot read the encoding {other:?}")),
    };
    let media_type = of(header::CONTENT_TYPE);
    match media_type.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => match ExportTraceServiceRequest::decode(body) {
            Ok(request) => {
                let answer = accept(&store, request).encode_to_vec();
                ([(header::CONTENT_TYPE, "application/x-protobuf")], answer).into_response()
            }
            Err(error) => refuse(StatusCode::BAD_REQUEST, format!("not an export request: {error}")),
        },
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

fn gunzip(body: &[u8]) -> io::Result<Bytes> {
    let mut out = Vec::new();
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    flate2::read::GzDecoder::new(body).take(limit + 1).read_to_end(&mut out)?;
    if out.len() > LARGEST {
        return Err(io::Error::other("too large"));
    }
    Ok(out.into())
}
