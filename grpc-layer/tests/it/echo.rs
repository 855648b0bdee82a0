//! A handwritten service with a method of each kind: unary, client streaming, server streaming, bidirectional.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, future::BoxFuture, stream};
use propagation_core::{PropagationContext, Propagator};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client::{Grpc as ClientGrpc, GrpcService},
    codegen::{Bytes, StdError, http::uri::PathAndQuery},
    server::{ClientStreamingService, Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService},
};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Text {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

pub(crate) fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

/// Responds with the tenant of its current baggage, and records every context it runs in.
#[derive(Clone)]
pub(crate) struct Echo {
    pub(crate) propagator: Propagator,
    pub(crate) seen: Arc<std::sync::Mutex<Vec<PropagationContext>>>,
}

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Echo {
    fn answer(&self, asked: &str) -> Result<Text, Status> {
        let context = self.propagator.current();
        self.seen.lock().unwrap().push(context.clone());
        match asked {
            "missing" => Err(Status::not_found("missing")),
            "broken" => Err(Status::internal("broken")),
            "panic" => panic!("on purpose"),
            _ => Ok(text(&context.baggage.get("tenant.id").unwrap_or_default())),
        }
    }
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(match request.uri().path() {
                "/test.Echo/Unary" => grpc.unary(echo, request).await,
                "/test.Echo/Stream" => grpc.streaming(echo, request).await,
                "/test.Echo/Collect" => grpc.client_streaming(echo, request).await,
                "/test.Echo/Repeat" => grpc.server_streaming(echo, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

impl UnaryService<Text> for Echo {
    type Response = Text;
    type Future = BoxFuture<'static, Result<Response<Text>, Status>>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let asked = &request.get_ref().text;
            if asked == "slow" {
                std::future::pending::<()>().await;
            }
            echo.answer(asked).map(Response::new)
        })
    }
}

impl ClientStreamingService<Text> for Echo {
    type Response = Text;
    type Future = BoxFuture<'static, Result<Response<Text>, Status>>;

    fn call(&mut self, request: Request<Streaming<Text>>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut asked = request.into_inner();
            let mut answer = text("nothing");
            while let Some(asked) = asked.message().await? {
                answer = echo.answer(&asked.text)?;
            }
            Ok(Response::new(answer))
        })
    }
}

impl ServerStreamingService<Text> for Echo {
    type Response = Text;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let echo = self.clone();
        let answers = stream::iter(0..3).map(move |_| echo.answer(&request.get_ref().text));
        let answers: Self::ResponseStream = Box::pin(answers);
        Box::pin(async move { Ok(Response::new(answers)) })
    }
}

impl StreamingService<Text> for Echo {
    type Response = Text;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Text>>) -> Self::Future {
        let echo = self.clone();
        let answers = request.into_inner().map(move |asked| echo.answer(&asked?.text));
        let answers: Self::ResponseStream = Box::pin(answers);
        Box::pin(async move { Ok(Response::new(answers)) })
    }
}

/// The bounds of a channel, with any layers around it.
pub(crate) trait Channel: Clone + Send {
    fn unary(&self, path: &'static str, asked: &str) -> impl Future<Output = Result<String, Status>>;
    fn unary_within(&self, asked: &str, timeout: Duration) -> impl Future<Output = Result<String, Status>>;
    fn stream(&self, asked: &[&str]) -> impl Future<Output = Result<Streaming<Text>, Status>>;
    fn collect(&self, asked: &[&str]) -> impl Future<Output = Result<String, Status>>;
    fn repeat(&self, asked: &str) -> impl Future<Output = Result<Streaming<Text>, Status>>;
}

impl<T> Channel for T
where
    T: GrpcService<Body> + Clone + Send,
    T::Error: Into<StdError>,
    T::ResponseBody: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as tonic::codegen::Body>::Error: Into<StdError> + Send,
{
    async fn unary(&self, path: &'static str, asked: &str) -> Result<String, Status> {
        let mut client = ClientGrpc::new(self.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.into().to_string()))?;
        let path = PathAndQuery::from_static(path);
        let answer = client.unary(Request::new(text(asked)), path, ProstCodec::<Text, Text>::default()).await?;
        Ok(answer.into_inner().text)
    }

    async fn unary_within(&self, asked: &str, timeout: Duration) -> Result<String, Status> {
        let mut client = ClientGrpc::new(self.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.into().to_string()))?;
        let path = PathAndQuery::from_static("/test.Echo/Unary");
        let mut request = Request::new(text(asked));
        request.set_timeout(timeout);
        Ok(client.unary(request, path, ProstCodec::<Text, Text>::default()).await?.into_inner().text)
    }

    async fn collect(&self, asked: &[&str]) -> Result<String, Status> {
        let mut client = ClientGrpc::new(self.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.into().to_string()))?;
        let asked: Vec<Text> = asked.iter().map(|asked| text(asked)).collect();
        let path = PathAndQuery::from_static("/test.Echo/Collect");
        let request = Request::new(stream::iter(asked));
        Ok(client.client_streaming(request, path, ProstCodec::<Text, Text>::default()).await?.into_inner().text)
    }

    async fn repeat(&self, asked: &str) -> Result<Streaming<Text>, Status> {
        let mut client = ClientGrpc::new(self.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.into().to_string()))?;
        let path = PathAndQuery::from_static("/test.Echo/Repeat");
        let request = Request::new(text(asked));
        Ok(client.server_streaming(request, path, ProstCodec::<Text, Text>::default()).await?.into_inner())
    }

    async fn stream(&self, asked: &[&str]) -> Result<Streaming<Text>, Status> {
        let mut client = ClientGrpc::new(self.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.into().to_string()))?;
        let asked: Vec<Text> = asked.iter().map(|asked| text(asked)).collect();
        let path = PathAndQuery::from_static("/test.Echo/Stream");
        let request = Request::new(stream::iter(asked));
        Ok(client.streaming(request, path, ProstCodec::<Text, Text>::default()).await?.into_inner())
    }
}
