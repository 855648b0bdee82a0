//! What must be right at every hop, told by the kit: a failure says which hop it was, `orders → billing over http`.

use std::convert::Infallible;

use axum::{Router, body::Body, http::HeaderMap, routing::post};
use http::{Request, Response};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{InboundRule, Policy, Propagator, Trust, bridge::opentelemetry_0_33::OpenTelemetryBridge};
use propagation_http::{ClientPropagationLayer, ServerPropagationLayer};
use propagation_testkit::{
    in_memory::InMemory,
    trace::{SpanId, SpanKind, TraceGraph, TraceId, Which, service},
    wire::{Wire, WireRecord},
};
use tower::{Layer, ServiceExt, service_fn};

use crate::tree::serve;

/// Who calls from outside of the shop: each request has a trace of its own.
const CALLER: &str = "00f067aa0ba902b7";

fn traceparent(request: u8, flags: &str) -> String {
    format!("00-4bf92f3577b34da6a3ce929d0e0e47{request:02x}-{CALLER}-{flags}")
}

/// A shop of two services: whoever asks `orders` makes it ask `billing`.
struct Shop {
    memory: InMemory,
    wire: Wire,
    orders: Propagator,
    billing: Router,
    _providers: [SdkTracerProvider; 2],
}

impl Shop {
    fn open(trusted_by_billing: Trust) -> Self {
        let (memory, wire) = (InMemory::new(), Wire::new());
        let providers = ["orders", "billing"].map(|service| memory.provider(service));
        let [orders, billing] = [(0, Trust::Trust), (1, trusted_by_billing)].map(|(at, trust)| {
            let policy = Policy::builder().inbound(InboundRule::peers(["*"]).trust(trust)).build().unwrap();
            let bridge = OpenTelemetryBridge::new(providers[at].tracer("http"));
            Propagator::builder().policy(policy).bridge(bridge).build()
        });
        let billing = Router::new()
            .route("/charges", post(|| async { "charged" }))
            .layer(ServerPropagationLayer::new(billing))
            .layer(recorder(&wire, "orders", "billing"));
        Self { memory, wire, orders, billing, _providers: providers }
    }

    /// Sends requests from outside to `orders`, whose handler calls `ask`.
    async fn receive<F: Future<Output = ()> + Send + 'static>(
        &self,
        flags: &str,
        ask: impl Fn() -> F + Clone + Send + Sync + 'static,
    ) {
        let orders = Router::new()
            .route("/orders", post(ask))
            .layer(ServerPropagationLayer::new(self.orders.clone()))
            .layer(recorder(&self.wire, "caller", "orders"));
        for request in 1..=3 {
            let request = Request::post("http://orders/orders").header("traceparent", traceparent(request, flags));
            let response = orders.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), 200);
            axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        }
    }

    /// A handler that calls `billing` in the same process, with headers of an earlier request left on its own.
    fn ask_by_tower(&self) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Clone + use<> {
        let billing = self.billing.clone();
        let client =
            ClientPropagationLayer::new(self.orders.clone()).layer(service_fn(move |request: Request<Body>| {
                let billing = billing.clone();
                async move { Ok::<Response<Body>, Infallible>(billing.oneshot(request).await.unwrap()) }
            }));
        move || {
            let client = client.clone();
            Box::pin(async move {
                let stale = traceparent(0xff, "01");
                let request = Request::post("http://billing/charges").header("traceparent", stale);
                let response = client.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
                let body = axum::body::Body::new(response.into_body());
                axum::body::to_bytes(body, usize::MAX).await.unwrap();
            })
        }
    }

    /// The same over a socket.
    async fn ask_by_reqwest(&self) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Clone + use<> {
        let url = serve(self.billing.clone()).await + "/charges";
        let client = reqwest_middleware::ClientBuilder::new(
            propagation_http::ReqwestPropagation::client_builder().build().unwrap(),
        )
        .with(propagation_http::ReqwestPropagation::new(self.orders.clone()))
        .build();
        move || {
            let asked = client.post(&url).header("traceparent", traceparent(0xff, "01"));
            Box::pin(async move {
                asked.send().await.unwrap().text().await.unwrap();
            })
        }
    }

    /// The spans, once as many have ended: over a socket the caller may be done before the server is.
    async fn graph(&self, spans: usize) -> TraceGraph {
        for _ in 0..400 {
            if self.memory.graph().len() >= spans {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        self.memory.graph().with_outside([CALLER.parse::<SpanId>().unwrap()])
    }
}

/// Notes each request as its receiver reads it.
fn recorder<S>(
    wire: &Wire,
    from: &'static str,
    to: &'static str,
) -> impl Layer<S, Service = Recorder<S>> + Clone + use<S> {
    let wire = wire.clone();
    tower::layer::layer_fn(move |inner| Recorder { inner, wire: wire.clone(), from, to })
}

#[derive(Clone)]
struct Recorder<S> {
    inner: S,
    wire: Wire,
    from: &'static str,
    to: &'static str,
}

impl<S: tower::Service<Request<Body>>> tower::Service<Request<Body>> for Recorder<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, task: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.wire.record(WireRecord::new(self.from, self.to, "http").with_fields(fields(request.headers())));
        self.inner.call(request)
    }
}

fn fields(headers: &HeaderMap) -> impl Iterator<Item = (String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
}

fn client() -> Which {
    service("orders").kind(SpanKind::Client)
}

fn server(name: &str) -> Which {
    service(name).kind(SpanKind::Server)
}

#[tokio::test]
async fn every_request_goes_on_in_the_trace_of_the_span_that_asks() {
    for by in ["tower", "reqwest"] {
        let shop = Shop::open(Trust::Trust);
        match by {
            "tower" => shop.receive("01", shop.ask_by_tower()).await,
            _ => shop.receive("01", shop.ask_by_reqwest().await).await,
        }
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
}

#[tokio::test]
async fn who_is_not_sampled_stays_so_at_every_hop() {
    for by in ["tower", "reqwest"] {
        let shop = Shop::open(Trust::Trust);
        match by {
            "tower" => shop.receive("00", shop.ask_by_tower()).await,
            _ => shop.receive("00", shop.ask_by_reqwest().await).await,
        }
        shop.wire.assert_exactly_one(&["traceparent"]).assert_sampled_consistently();
        assert_eq!(shop.wire.records().len(), 6);
    }
}

#[tokio::test]
async fn a_server_that_begins_its_own_trace_links_to_who_asked() {
    let shop = Shop::open(Trust::RestartAndLink);
    shop.receive("01", shop.ask_by_tower()).await;
    let graph = shop.graph(9).await;
    graph.assert_each_link(server("billing"), client()).assert_reachable(server("orders"), server("billing"));
    let own: Vec<TraceId> = graph.find(server("billing")).map(|span| span.trace_id).collect();
    assert!(own.iter().all(|trace| !trace.to_string().starts_with("4bf92f35")), "a trace of its own: {own:?}");
}
