//! What must be right at every hop, told by the kit: a failure says which hop it was, `orders → billing over grpc`.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{InboundRule, Policy, Propagator, Trust, bridge::opentelemetry_0_33::OpenTelemetryBridge};
use propagation_grpc::{ClientInterceptor, ClientPropagationLayer, ServerPropagationLayer};
use propagation_testkit::{
    in_memory::InMemory,
    trace::{SpanId, SpanKind, TraceGraph, TraceId, Which, service},
    wire::{Wire, WireRecord},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Status, body::Body, service::interceptor::InterceptedService, transport};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::echo::{Channel, Echo};

/// Who calls from outside of the shop: each request has a trace of its own.
const CALLER: &str = "00f067aa0ba902b7";
const UNARY: &str = "/test.Echo/Unary";

fn traceparent(request: u8, flags: &str) -> String {
    format!("00-4bf92f3577b34da6a3ce929d0e0e47{request:02x}-{CALLER}-{flags}")
}

/// A shop of two services: whoever calls `orders` makes it call `billing`.
struct Shop {
    memory: InMemory,
    wire: Wire,
    orders: Propagator,
    billing: transport::Channel,
    _providers: [SdkTracerProvider; 2],
}

impl Shop {
    async fn open(trusted_by_billing: Trust) -> Self {
        let (memory, wire) = (InMemory::new(), Wire::new());
        let providers = ["orders", "billing"].map(|service| memory.provider(service));
        let [orders, billing] = [(0, Trust::Trust), (1, trusted_by_billing)].map(|(at, trust)| {
            let policy = Policy::builder().inbound(InboundRule::peers(["*"]).trust(trust)).build().unwrap();
            let bridge = OpenTelemetryBridge::new(providers[at].tracer("grpc"));
            Propagator::builder().policy(policy).bridge(bridge).build()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = transport::Server::builder()
            .layer(Recorder::new(&wire, "orders", "billing"))
            .layer(ServerPropagationLayer::new(billing.clone()))
            .add_service(Echo { propagator: billing, seen: Arc::default() });
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let billing = transport::Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { memory, wire, orders, billing, _providers: providers }
    }

    /// Sends calls from outside to `orders`, whose handler calls `billing` on this channel.
    async fn receive(&self, flags: &str, channel: impl Channel + 'static) {
        let handler = service_fn(move |_: Request<Body>| {
            let channel = channel.clone();
            async move {
                channel.unary(UNARY, "charge").await.unwrap();
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }
        });
        let orders = ServerPropagationLayer::new(self.orders.clone()).layer(handler);
        let orders = Recorder::new(&self.wire, "caller", "orders").layer(orders);
        for request in 1..=3 {
            let request = Request::post("/shop.Orders/Place").header("traceparent", traceparent(request, flags));
            drop(orders.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap());
        }
    }

    /// A channel to `billing`, with metadata of an earlier call left on every call.
    fn channel(&self) -> impl Channel + use<> {
        let channel = ClientPropagationLayer::new(self.orders.clone()).layer(self.billing.clone());
        InterceptedService::new(channel, stale)
    }

    /// The same for those who cannot use a layer.
    fn intercepted(&self) -> impl Channel + use<> {
        let channel = InterceptedService::new(self.billing.clone(), ClientInterceptor::new(self.orders.clone()));
        InterceptedService::new(channel, stale)
    }

    /// The spans, once as many have ended: the caller may be done before the server is.
    async fn graph(&self, spans: usize) -> TraceGraph {
        for _ in 0..400 {
            if self.memory.graph().len() >= spans {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.memory.graph().with_outside([CALLER.parse::<SpanId>().unwrap()])
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an interceptor may refuse a call")]
fn stale(mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
    request.metadata_mut().insert("traceparent", traceparent(0xff, "01").parse().unwrap());
    Ok(request)
}

/// Notes each call as its receiver reads it.
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

fn client() -> Which {
    service("orders").kind(SpanKind::Client)
}

fn server(name: &str) -> Which {
    service(name).kind(SpanKind::Server)
}

#[tokio::test]
async fn every_call_goes_on_in_the_trace_of_the_span_that_calls() {
    let shop = Shop::open(Trust::Trust).await;
    shop.receive("01", shop.channel()).await;
    shop.wire.assert_exactly_one(&["traceparent"]).assert_valid_context();
    let graph = shop.graph(9).await;
    shop.wire.between("orders", "billing").assert_carries_spans_of(&graph);
    graph
        .assert_each_edge(server("orders"), client())
        .assert_each_edge(client(), server("billing"))
        .assert_sampled_consistently()
        .assert_count(server("billing"), 3);
    for trace in graph.traces() {
        trace.assert_continuous().assert_services(&["orders", "billing"]);
    }
}

#[tokio::test]
async fn every_call_of_an_interceptor_goes_on_in_the_trace_of_the_current_span() {
    let shop = Shop::open(Trust::Trust).await;
    shop.receive("01", shop.intercepted()).await;
    shop.wire.assert_exactly_one(&["traceparent"]).assert_valid_context();
    let graph = shop.graph(6).await;
    shop.wire.between("orders", "billing").assert_carries_spans_of(&graph);
    graph.assert_each_edge(server("orders"), server("billing")).assert_sampled_consistently();
}

#[tokio::test]
async fn who_is_not_sampled_stays_so_at_every_hop() {
    let shop = Shop::open(Trust::Trust).await;
    shop.receive("00", shop.channel()).await;
    shop.receive("00", shop.intercepted()).await;
    shop.wire.assert_exactly_one(&["traceparent"]).assert_sampled_consistently();
    assert_eq!(shop.wire.records().len(), 12);
}

#[tokio::test]
async fn a_server_that_begins_its_own_trace_links_to_who_called() {
    let shop = Shop::open(Trust::RestartAndLink).await;
    shop.receive("01", shop.channel()).await;
    let graph = shop.graph(9).await;
    graph.assert_each_link(server("billing"), client()).assert_reachable(server("orders"), server("billing"));
    let own: Vec<TraceId> = graph.find(server("billing")).map(|span| span.trace_id).collect();
    assert!(own.iter().all(|trace| !trace.to_string().starts_with("4bf92f35")), "a trace of its own: {own:?}");
}
