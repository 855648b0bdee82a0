//! The test kit's assertions for every hop. A failure names the hop: `orders → billing over http`.

use std::convert::Infallible;

use axum::{Router, body::Body, http::HeaderMap, routing::post};
use http::{Request, Response};
use propagation_core::TraceTrust;
use propagation_http::{ClientPropagationLayer, ServerPropagationLayer};
use propagation_testkit::{
    services::{self, TestServices, stale, traceparent},
    trace::{SpanKind, SpanSelector, service},
    wire::{Wire, WireRecord},
};
use tower::{Layer, ServiceExt, service_fn};

use crate::tree::serve;

/// Two services: each request to `orders` makes it call `billing`.
struct Shop {
    services: TestServices,
    billing: Router,
}

impl Shop {
    fn open(trusted_by_billing: TraceTrust) -> Self {
        let services = TestServices::new(trusted_by_billing);
        let billing = Router::new()
            .route("/charges", post(|| async { "charged" }))
            .layer(ServerPropagationLayer::new(services.billing.clone()))
            .layer(recorder(&services.wire, "orders", "billing"));
        Self { services, billing }
    }

    /// Sends requests to `orders`, whose handler runs `ask`.
    async fn receive<F: Future<Output = ()> + Send + 'static>(
        &self,
        flags: &str,
        ask: impl Fn() -> F + Clone + Send + Sync + 'static,
    ) {
        let orders = Router::new()
            .route("/orders", post(ask))
            .layer(ServerPropagationLayer::new(self.services.orders.clone()))
            .layer(recorder(&self.services.wire, "caller", "orders"));
        for request in 1..=3 {
            let request = Request::post("http://orders/orders").header("traceparent", traceparent(request, flags));
            let response = orders.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), 200);
            axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        }
    }

    /// Returns a handler that calls `billing` in process, with stale headers of an earlier request.
    fn ask_by_tower(&self) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Clone + use<> {
        let billing = self.billing.clone();
        let client = ClientPropagationLayer::new(self.services.orders.clone()).layer(service_fn(
            move |request: Request<Body>| {
                let billing = billing.clone();
                async move { Ok::<Response<Body>, Infallible>(billing.oneshot(request).await.unwrap()) }
            },
        ));
        move || {
            let client = client.clone();
            Box::pin(async move {
                let request = Request::post("http://billing/charges").header("traceparent", stale());
                let response = client.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
                let body = axum::body::Body::new(response.into_body());
                axum::body::to_bytes(body, usize::MAX).await.unwrap();
            })
        }
    }

    /// Like [`ask_by_tower`](Self::ask_by_tower), but over a socket.
    async fn ask_by_reqwest(&self) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Clone + use<> {
        let url = serve(self.billing.clone()).await + "/charges";
        let (client, propagation) = propagation_http::ReqwestPropagation::with_client(
            self.services.orders.clone(),
            reqwest::Client::builder(),
            reqwest::redirect::Policy::default(),
        )
        .unwrap();
        let client = reqwest_middleware::ClientBuilder::new(client).with(propagation).build();
        move || {
            let asked = client.post(&url).header("traceparent", stale());
            Box::pin(async move {
                asked.send().await.unwrap().text().await.unwrap();
            })
        }
    }
}

/// Records each request as its receiver reads it.
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

fn client() -> SpanSelector {
    service("orders").kind(SpanKind::Client)
}

fn server(name: &str) -> SpanSelector {
    service(name).kind(SpanKind::Server)
}

#[tokio::test]
async fn request_continues_the_trace_of_its_client_span() {
    for by in ["tower", "reqwest"] {
        let shop = Shop::open(TraceTrust::Full);
        match by {
            "tower" => shop.receive("01", shop.ask_by_tower()).await,
            _ => shop.receive("01", shop.ask_by_reqwest().await).await,
        }
        shop.services.graph_of(9).await;
        let graph = shop.services.assert_carried();
        graph
            .assert_each_edge(server("orders"), client())
            .assert_each_edge(client(), server("billing"))
            .assert_sampled_consistently()
            .assert_count(server("billing"), 3);
        services::assert_whole_requests(&graph);
    }
}

#[tokio::test]
async fn unsampled_trace_stays_unsampled_at_every_hop() {
    for by in ["tower", "reqwest"] {
        let shop = Shop::open(TraceTrust::Full);
        match by {
            "tower" => shop.receive("00", shop.ask_by_tower()).await,
            _ => shop.receive("00", shop.ask_by_reqwest().await).await,
        }
        shop.services.wire.assert_exactly_one(&["traceparent"]).assert_sampled_consistently();
        assert_eq!(shop.services.wire.records().len(), 6);
    }
}

#[tokio::test]
async fn server_that_restarts_the_trace_links_to_its_caller() {
    let shop = Shop::open(TraceTrust::RestartWithLink);
    shop.receive("01", shop.ask_by_tower()).await;
    let graph = shop.services.graph_of(9).await;
    graph.assert_each_link(server("billing"), client()).assert_reachable(server("orders"), server("billing"));
    services::assert_own_traces(&graph, server("billing"));
}
