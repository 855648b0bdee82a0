//! gRPC with empty messages: only the metadata matters.

use axum::{extract::Request, http::uri::PathAndQuery, response::Response};
use tonic::{
    Status,
    body::Body,
    client::{Grpc as ClientGrpc, GrpcService},
    codegen::{Bytes, StdError},
    server::Grpc,
};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// The message of requests and responses.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Empty {}

/// Calls a method over a channel, whatever layers are around it.
pub(crate) async fn call<T>(channel: T, path: &'static str, request: tonic::Request<Empty>) -> Result<(), Status>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as tonic::codegen::Body>::Error: Into<StdError> + Send,
{
    let mut client = ClientGrpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.into().to_string()))?;
    let codec = ProstCodec::<Empty, Empty>::default();
    client.unary(request, PathAndQuery::from_static(path), codec).await.map(drop)
}

/// Answers a call once `handled` is done.
pub(crate) async fn answer(request: Request, handled: impl Future<Output = ()> + Send + 'static) -> Response {
    let mut handled = Some(handled);
    let handle = service_fn(move |_: tonic::Request<Empty>| {
        let handled = handled.take();
        async move {
            handled.expect("one call").await;
            Ok(tonic::Response::new(Empty {}))
        }
    });
    Grpc::new(ProstCodec::<Empty, Empty>::default()).unary(handle, request).await.map(axum::body::Body::new)
}
