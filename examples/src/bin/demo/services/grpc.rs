//! `shop.Orders`, written by hand: one unary method, and no `protoc` to build it.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tonic::{
    Request, Response, Status,
    body::Body,
    client::Grpc as ClientGrpc,
    codegen::http::uri::PathAndQuery,
    server::{Grpc, NamedService, UnaryService},
};
use tonic_prost::ProstCodec;

pub(crate) const SERVICE: &str = "shop.Orders";
pub(crate) const PLACE: &str = "/shop.Orders/Place";

/// The gateway's request.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PlaceRequest {
    #[prost(string, tag = "1")]
    pub(crate) order: String,
    #[prost(string, tag = "2")]
    pub(crate) sku: String,
    #[prost(uint32, tag = "3")]
    pub(crate) quantity: u32,
    #[prost(string, tag = "4")]
    pub(crate) tenant: String,
    #[prost(string, tag = "5")]
    pub(crate) email: String,
}

/// The price of the order.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PlaceReply {
    #[prost(uint64, tag = "1")]
    pub(crate) total_cents: u64,
}

/// A handler of [`PlaceRequest`]s.
pub(crate) trait Place: Send + Sync + 'static {
    fn place(
        self: Arc<Self>,
        request: Request<PlaceRequest>,
    ) -> BoxFuture<'static, Result<Response<PlaceReply>, Status>>;
}

/// The service as tonic's server routes it.
pub(crate) struct OrdersServer<H>(Arc<H>);

impl<H> OrdersServer<H> {
    pub(crate) fn new(handler: H) -> Self {
        Self(Arc::new(handler))
    }
}

impl<H> Clone for OrdersServer<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H> NamedService for OrdersServer<H> {
    const NAME: &'static str = SERVICE;
}

impl<H: Place> tower::Service<http::Request<Body>> for OrdersServer<H> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != PLACE {
            return Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) });
        }
        let handler = Handler(Arc::clone(&self.0));
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(handler, request).await) })
    }
}

struct Handler<H>(Arc<H>);

impl<H: Place> UnaryService<PlaceRequest> for Handler<H> {
    type Response = PlaceReply;
    type Future = BoxFuture<'static, Result<Response<PlaceReply>, Status>>;

    fn call(&mut self, request: Request<PlaceRequest>) -> Self::Future {
        Arc::clone(&self.0).place(request)
    }
}

/// Calls the service over a channel, whatever layers are around it.
pub(crate) async fn place<T>(channel: T, request: PlaceRequest) -> Result<PlaceReply, Status>
where
    T: tonic::client::GrpcService<Body>,
    T::Error: Into<tonic::codegen::StdError>,
    T::ResponseBody: tonic::codegen::Body<Data = tonic::codegen::Bytes> + Send + 'static,
    <T::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError> + Send,
{
    let mut client = ClientGrpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.into().to_string()))?;
    let codec = ProstCodec::default();
    let answer = client.unary(Request::new(request), PathAndQuery::from_static(PLACE), codec).await?;
    Ok(answer.into_inner())
}
