//! A service that the internet reaches, `orders`, over sockets: by HTTP (axum) and by gRPC (tonic), directly and behind a proxy. Each
//! request makes it call `billing` over the same protocol, which records the headers.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::Response,
    routing::post,
};
use propagation_core::{PropagationContext, Propagator};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::{
    metadata::MetadataMap,
    service::Routes,
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::ServiceBuilder;

use crate::{
    attempts::Field,
    grpc::{Empty, answer, call},
};

/// The request's id, for tests only.
const NUMBER: &str = "x-number";
const CHARGE: &str = "/shop.Billing/Charge";
const PLACE: &str = "/shop.Orders/Place";

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    Grpc,
}

/// How a request reaches `orders`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a connection of the caller's own; the service's proxy is elsewhere.
    Straight,
    /// Through a proxy that the service trusts: it adds the address of who called to the line that is there.
    ProxyJoins(&'static str),
    /// The value, in a header line of its own.
    ProxyAppends(&'static str),
}

/// The outcome of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The context that its handler ran in.
    pub(crate) context: PropagationContext,
    /// The fields of the handler's call as `billing` read them.
    pub(crate) called: Vec<Field>,
}

type Outcomes = Arc<Mutex<BTreeMap<String, Outcome>>>;

pub(crate) struct Shop {
    outcomes: Outcomes,
    http: Servers<SocketAddr>,
    grpc: Servers<Channel>,
}

struct Servers<T> {
    straight: T,
    proxied: T,
}

impl Shop {
    pub(crate) async fn open(propagator: &Propagator) -> Self {
        let outcomes = Outcomes::default();
        let orders = Orders::open(propagator, &outcomes).await;
        let elsewhere = |proxy: IpAddr| proxy == IpAddr::from([10, 0, 0, 1]);
        let here = |proxy: IpAddr| proxy.is_loopback();
        Self {
            outcomes,
            http: Servers { straight: orders.listen_http(elsewhere).await, proxied: orders.listen_http(here).await },
            grpc: Servers { straight: orders.listen_grpc(elsewhere).await, proxied: orders.listen_grpc(here).await },
        }
    }

    /// Makes a request and returns its outcome.
    pub(crate) async fn ask(&self, transport: Transport, way: Way, fields: &[Field], number: usize) -> Outcome {
        let number = number.to_string();
        let mut fields = fields.to_vec();
        fields.push((NUMBER.to_owned(), number.clone().into_bytes()));
        way.forward(&mut fields);
        match transport {
            Transport::Http => ask_http(*way.server(&self.http), &fields).await,
            Transport::Grpc => ask_grpc(way.server(&self.grpc).clone(), &fields).await,
        }
        self.outcomes.lock().unwrap().remove(&number).expect("the request is handled")
    }
}

impl Way {
    fn server<T>(self, servers: &Servers<T>) -> &T {
        if self == Self::Straight { &servers.straight } else { &servers.proxied }
    }

    fn forward(self, fields: &mut Vec<Field>) {
        const FORWARDED: &str = "X-Forwarded-For";
        match self {
            Self::Straight => {}
            Self::ProxyAppends(caller) => fields.push((FORWARDED.to_owned(), caller.into())),
            Self::ProxyJoins(caller) => {
                let line = fields.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(FORWARDED));
                let (_, line) = line.expect("a line to join");
                line.extend(format!(", {caller}").bytes());
            }
        }
    }
}

/// Byte by byte, so that names go out as they are spelled.
async fn ask_http(orders: SocketAddr, fields: &[Field]) {
    let mut request = b"POST /orders HTTP/1.1\r\nhost: orders\r\nconnection: close\r\ncontent-length: 0\r\n".to_vec();
    for (name, value) in fields {
        request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    let mut stream = TcpStream::connect(orders).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

async fn ask_grpc(orders: Channel, fields: &[Field]) {
    let header = |(name, value): &Field| -> (HeaderName, HeaderValue) {
        (name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(header) {
        headers.append(name, value);
    }
    let mut request = tonic::Request::new(Empty {});
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    call(orders, PLACE, request).await.unwrap();
}

fn number(headers: &HeaderMap) -> String {
    headers[NUMBER].to_str().unwrap().to_owned()
}

/// The service: its handler calls `billing`, and records its current context.
#[derive(Clone)]
struct Orders {
    propagator: Propagator,
    outcomes: Outcomes,
    client: ClientWithMiddleware,
    billing: String,
    channel: Channel,
}

impl Orders {
    async fn open(propagator: &Propagator, outcomes: &Outcomes) -> Self {
        let billing = listen_billing(outcomes).await;
        let (client, propagation) = propagation_http::ReqwestPropagation::with_client(
            propagator.clone(),
            reqwest::Client::builder(),
            reqwest::redirect::Policy::default(),
        )
        .unwrap();
        Self {
            propagator: propagator.clone(),
            outcomes: Arc::clone(outcomes),
            client: ClientBuilder::new(client).with(propagation).build(),
            channel: Channel::from_shared(billing.clone()).unwrap().connect_lazy(),
            billing,
        }
    }

    fn note(&self, number: &str) {
        self.outcomes.lock().unwrap().entry(number.to_owned()).or_default().context = self.propagator.current();
    }

    async fn handle_http(self, number: String) {
        self.note(&number);
        let charged = self.client.post(format!("{}/charges", self.billing)).header(NUMBER, number).send().await;
        assert_eq!(charged.unwrap().status(), StatusCode::NO_CONTENT);
    }

    async fn handle_grpc(self, number: String) {
        self.note(&number);
        let layer = propagation_grpc::ClientPropagationLayer::new(self.propagator.clone()).peer("shop.Billing");
        let channel = ServiceBuilder::new().layer(layer).service(self.channel.clone());
        let mut request = tonic::Request::new(Empty {});
        request.metadata_mut().insert(NUMBER, number.parse().unwrap());
        call(channel, CHARGE, request).await.unwrap();
    }

    async fn listen_http(&self, proxies: fn(IpAddr) -> bool) -> SocketAddr {
        async fn handle(State(orders): State<Orders>, headers: HeaderMap) -> StatusCode {
            orders.handle_http(number(&headers)).await;
            StatusCode::NO_CONTENT
        }
        let layer = propagation_http::ServerPropagationLayer::new(self.propagator.clone()).trusted_proxies(proxies);
        let routes = Router::new().route("/orders", post(handle)).layer(layer).with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = routes.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        address
    }

    async fn listen_grpc(&self, proxies: fn(IpAddr) -> bool) -> Channel {
        async fn handle(State(orders): State<Orders>, request: Request) -> Response {
            let number = number(request.headers());
            answer(request, orders.handle_grpc(number)).await
        }
        let layer = propagation_grpc::ServerPropagationLayer::new(self.propagator.clone()).trusted_proxies(proxies);
        let routes = Router::new().route(PLACE, post(handle)).with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().layer(layer).add_routes(Routes::from(routes));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Channel::from_shared(url).unwrap().connect_lazy()
    }
}

/// Records received fields, over HTTP and gRPC.
async fn listen_billing(outcomes: &Outcomes) -> String {
    fn note(outcomes: &Outcomes, headers: &HeaderMap) {
        let called = headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        outcomes.lock().unwrap().entry(number(headers)).or_default().called = called.collect();
    }
    async fn charge(State(outcomes): State<Outcomes>, headers: HeaderMap) -> StatusCode {
        note(&outcomes, &headers);
        StatusCode::NO_CONTENT
    }
    async fn charge_by_grpc(State(outcomes): State<Outcomes>, request: Request) -> Response {
        note(&outcomes, request.headers());
        answer(request, std::future::ready(())).await
    }
    let routes = Router::new().route("/charges", post(charge)).route(CHARGE, post(charge_by_grpc));
    let routes = Routes::from(routes.with_state(Arc::clone(outcomes)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().accept_http1(true).add_routes(routes);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    url
}
