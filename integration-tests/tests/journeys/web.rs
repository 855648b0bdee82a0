//! HTTP by axum, reqwest and `propagation-http`; gRPC by tonic and `propagation-grpc`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware,
    routing::post,
};
use http::{HeaderMap, StatusCode, uri::PathAndQuery};
use propagation_http::ReqwestPropagation;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::net::TcpListener;
use tonic::{
    Response, Status,
    server::Grpc,
    service::Routes,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::{ServiceBuilder, service_fn};

use crate::{
    Failure,
    service::{Service, Stop},
    transport::Address,
};

pub(crate) struct HttpSender {
    client: ClientWithMiddleware,
    url: String,
}

impl HttpSender {
    pub(crate) fn open(service: &Service, to: &Address) -> Result<Self, Failure> {
        let (propagator, redirects) = (service.propagator.clone(), reqwest::redirect::Policy::default());
        let (client, propagation) = ReqwestPropagation::with_client(propagator, reqwest::Client::builder(), redirects)?;
        Ok(Self { client: ClientBuilder::new(client).with(propagation).build(), url: to.name.clone() })
    }

    pub(crate) async fn send(&self, body: &str) -> Result<(), Failure> {
        self.client.post(&self.url).body(body.to_owned()).send().await?.error_for_status()?;
        Ok(())
    }
}

fn headers(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

pub(crate) async fn listen_http(stop: Arc<Stop>) -> Result<String, Failure> {
    let (handling, watching) = (Arc::clone(&stop), Arc::clone(&stop));
    let handle = move |body: String| async move {
        match handling.handle(body).await {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(_) => StatusCode::BAD_GATEWAY,
        }
    };
    let watch = move |request: Request, next: middleware::Next| {
        watching.saw("", headers(request.headers()));
        next.run(request)
    };
    let routes = Router::new()
        .route("/orders", post(handle))
        .route_layer(propagation_http::ServerPropagationLayer::new(stop.service.propagator.clone()))
        .route_layer(middleware::from_fn(watch));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/orders", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(url)
}

const SERVICE: &str = "shop.Orders";
const METHOD: &str = "/shop.Orders/Place";

/// The one message, in both directions.
#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

pub(crate) struct GrpcSender {
    channel: Channel,
    layer: propagation_grpc::ClientPropagationLayer,
}

impl GrpcSender {
    pub(crate) fn open(service: &Service, to: &Address) -> Result<Self, Failure> {
        let layer = propagation_grpc::ClientPropagationLayer::new(service.propagator.clone()).peer(SERVICE);
        let endpoint = Channel::from_shared(to.name.clone())?;
        let layer = layer.endpoint(endpoint.uri()).with_methods([METHOD]);
        Ok(Self { channel: endpoint.connect_lazy(), layer })
    }

    pub(crate) async fn send(&self, body: &str) -> Result<(), Failure> {
        let channel = ServiceBuilder::new().layer(self.layer.clone()).service(self.channel.clone());
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await?;
        let request = tonic::Request::new(Text { text: body.to_owned() });
        let codec = ProstCodec::<Text, Text>::default();
        client.unary(request, PathAndQuery::from_static(METHOD), codec).await?;
        Ok(())
    }
}

pub(crate) async fn listen_grpc(stop: Arc<Stop>) -> Result<String, Failure> {
    async fn place(State(stop): State<Arc<Stop>>, request: Request) -> axum::response::Response {
        let handle = service_fn(move |request: tonic::Request<Text>| {
            let stop = Arc::clone(&stop);
            async move {
                let handled = stop.handle(request.into_inner().text).await;
                handled.map_err(|error| Status::unavailable(error.to_string()))?;
                Ok(Response::new(Text::default()))
            }
        });
        Grpc::new(ProstCodec::<Text, Text>::default()).unary(handle, request).await.map(axum::body::Body::new)
    }
    let watching = Arc::clone(&stop);
    let watch = tower::util::MapRequestLayer::new(move |request: http::Request<_>| {
        watching.saw("", headers(request.headers()));
        request
    });
    let propagation = propagation_grpc::ServerPropagationLayer::new(stop.service.propagator.clone());
    let propagation = propagation.with_methods([METHOD]);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let routes = Routes::from(Router::new().route(METHOD, post(place)).with_state(stop));
    let server = Server::builder().layer(watch).layer(propagation).add_routes(routes);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(url)
}
