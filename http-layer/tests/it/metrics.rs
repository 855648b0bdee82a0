//! The standard metrics of requests.

use std::{collections::BTreeMap, convert::Infallible};

use axum::{Router, body::Body, routing::get};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use propagation_core::{NoBridge, Propagator};
use propagation_http::{ClientPropagationLayer, ServerPropagationLayer};
use propagation_opentelemetry::metrics::HopMetrics;
use propagation_testkit::in_memory::InMemoryMetrics;
use tower::{ServiceBuilder, ServiceExt, service_fn};

#[tokio::test]
async fn requests_are_measured_by_route_and_status() {
    let metrics = InMemoryMetrics::new();
    let propagator = Propagator::builder().bridge(HopMetrics::new(&metrics.meter("shop"), NoBridge)).build();
    let broken = || async { StatusCode::SERVICE_UNAVAILABLE };
    let app = Router::new()
        .route("/orders/{id}", get(|| async { "an order" }))
        .route("/broken", get(broken))
        .layer(ServerPropagationLayer::new(propagator.clone()));
    let client = ServiceBuilder::new()
        .layer(ClientPropagationLayer::new(propagator).with_known_hosts(["shop.example"]))
        .service(service_fn(move |request: Request<Body>| {
            let app = app.clone();
            async move { Ok::<Response<_>, Infallible>(app.oneshot(request).await.unwrap()) }
        }));
    let paths = (0..20).map(|n| format!("/orders/{n}?user=anna")).chain(["/broken".into(), "/nowhere/4711".into()]);
    for path in paths {
        let request = Request::get(format!("http://shop.example:8080{path}")).body(Body::empty()).unwrap();
        client.clone().oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    }

    let server = metrics.series("http.server.request.duration");
    let common = "http.request.method=GET http.response.status_code";
    let expected = [
        (format!("{common}=200 http.route=/orders/{{id}} network.protocol.version=1.1 url.scheme=http"), 20),
        (format!("{common}=404 network.protocol.version=1.1 url.scheme=http"), 1),
        (format!("error.type=503 {common}=503 http.route=/broken network.protocol.version=1.1 url.scheme=http"), 1),
    ];
    assert_eq!(server, BTreeMap::from(expected));
    let client = metrics.series("http.client.request.duration");
    let shop = "network.protocol.version=1.1 server.address=shop.example server.port=8080";
    let expected = [
        (format!("{common}=200 {shop}"), 20),
        (format!("error.type=404 {common}=404 {shop}"), 1),
        (format!("error.type=503 {common}=503 {shop}"), 1),
    ];
    assert_eq!(client, BTreeMap::from(expected));
}
