//! The test kit's assertions for every hop. A failure names the hop: `orders → billing over grpc`.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use propagation_core::TraceTrust;
use propagation_grpc::{ClientInterceptor, ClientPropagationLayer, ServerPropagationLayer};
use propagation_testkit::{
    services::{self, TestServices, stale, traceparent},
    trace::{SpanKind, SpanSelector, service},
    wire::{Wire, WireRecord},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Status, body::Body, service::interceptor::InterceptedService, transport};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::echo::{Channel, Echo};

const UNARY: &str = "/test.Echo/Unary";

/// Two services: each call to `orders` makes it call `billing`.
struct Shop {
    services: TestServices,
    billing: transport::Channel,
}

impl Shop {
    async fn open(trusted_by_billing: TraceTrust) -> Self {
        let services = TestServices::new(trusted_by_billing);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = transport::Server::builder()
            .layer(Recorder::new(&services.wire, "orders", "billing"))
            .layer(ServerPropagationLayer::new(services.billing.clone()))
            .add_service(Echo { propagator: services.billing.clone(), seen: Arc::default() });
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let billing = transport::Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { services, billing }
    }

    /// Sends calls to `orders`, whose handler calls `billing` on this channel.
    async fn receive(&self, flags: &str, channel: impl Channel + 'static) {
        let handler = service_fn(move |_: Request<Body>| {
            let channel = channel.clone();
            async move {
                channel.unary(UNARY, "charge").await.unwrap();
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }
        });
        let orders = ServerPropagationLayer::new(self.services.orders.clone()).layer(handler);
        let orders = Recorder::new(&self.services.wire, "caller", "orders").layer(orders);
        for request in 1..=3 {
            let request = Request::post("/shop.Orders/Place").header("traceparent", traceparent(request, flags));
            drop(orders.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap());
        }
    }

    /// A channel to `billing` that leaves stale metadata of an earlier call on every call.
    fn channel(&self) -> impl Channel + use<> {
        let channel = ClientPropagationLayer::new(self.services.orders.clone()).layer(self.billing.clone());
        InterceptedService::new(channel, leave_stale)
    }

    /// Like [`channel`](Self::channel), but with an interceptor instead of a layer.
    fn intercepted(&self) -> impl Channel + use<> {
        let channel =
            InterceptedService::new(self.billing.clone(), ClientInterceptor::new(self.services.orders.clone()));
        InterceptedService::new(channel, leave_stale)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an interceptor may refuse a call")]
fn leave_stale(mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
    request.metadata_mut().insert("traceparent", stale().parse().unwrap());
    Ok(request)
}

/// Records each call as its receiver reads it.
#[derive(Clone)]
struct Recorder<S> {
    inner: S,
    wire: Wire,
    from: &'static str,
    to: &'static str,
}

impl Recorder<()> {
    fn new(wire: &Wire, from: &'static str, to: &'static str) -> Self {
        Self { inner: (), wire: wire.clone(), from, to }
    }
}

impl<S> Layer<S> for Recorder<()> {
    type Service = Recorder<S>;

    fn layer(&self, inner: S) -> Recorder<S> {
        Recorder { inner, wire: self.wire.clone(), from: self.from, to: self.to }
    }
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Recorder<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let metadata = request.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes()));
        self.wire.record(WireRecord::new(self.from, self.to, "grpc").with_fields(metadata));
        self.inner.call(request)
    }
}

fn client() -> SpanSelector {
    service("orders").kind(SpanKind::Client)
}

fn server(name: &str) -> SpanSelector {
    service(name).kind(SpanKind::Server)
}

#[tokio::test]
async fn call_continues_the_trace_of_its_client_span() {
    let shop = Shop::open(TraceTrust::Full).await;
    shop.receive("01", shop.channel()).await;
    shop.services.graph_of(9).await;
    let graph = shop.services.assert_carried();
    graph
        .assert_each_edge(server("orders"), client())
        .assert_each_edge(client(), server("billing"))
        .assert_sampled_consistently()
        .assert_count(server("billing"), 3);
    services::assert_whole_requests(&graph);
}

#[tokio::test]
async fn interceptor_continues_the_trace_of_the_current_span() {
    let shop = Shop::open(TraceTrust::Full).await;
    shop.receive("01", shop.intercepted()).await;
    shop.services.graph_of(6).await;
    let graph = shop.services.assert_carried();
    graph.assert_each_edge(server("orders"), server("billing")).assert_sampled_consistently();
}

#[tokio::test]
async fn unsampled_trace_stays_unsampled_at_every_hop() {
    let shop = Shop::open(TraceTrust::Full).await;
    shop.receive("00", shop.channel()).await;
    shop.receive("00", shop.intercepted()).await;
    shop.services.wire.assert_exactly_one(&["traceparent"]).assert_sampled_consistently();
    assert_eq!(shop.services.wire.records().len(), 12);
}

#[tokio::test]
async fn server_that_restarts_the_trace_links_to_its_caller() {
    let shop = Shop::open(TraceTrust::RestartWithLink).await;
    shop.receive("01", shop.channel()).await;
    let graph = shop.services.graph_of(9).await;
    graph.assert_each_link(server("billing"), client()).assert_reachable(server("orders"), server("billing"));
    services::assert_own_traces(&graph, server("billing"));
}
