//! Nested layers, and tower's `Buffer`.

use std::convert::Infallible;

use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use http_body_util::BodyExt;
use opentelemetry::trace::SpanKind;
use propagation_core::{Hop, PropagationContext, SpanKind as Kind, TraceContext};
use propagation_http::{CallerContextLayer, ClientPropagationLayer, ServerPropagationLayer};
use tower::{Layer, ServiceBuilder, ServiceExt};

use super::request;
use crate::telemetry::{BridgeKind, PARENT, Telemetry, attribute};

#[tokio::test]
async fn layer_around_a_layer_makes_one_server_span() {
    let telemetry = Telemetry::new();
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone());
    // Inside the router, where axum knows the route, and around it, where the route is unknown.
    let app: Router = Router::new().route("/orders/{id}", get(|| async { "an order" })).layer(layer.clone());
    let response = layer.layer(app).oneshot(request("/orders/7")).await.unwrap();
    response.into_body().collect().await.unwrap();
    let spans = telemetry.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].name, "GET /orders/{id}");
    assert_eq!(attribute(&spans[0], "http.route").as_deref(), Some("/orders/{id}"));
    assert_eq!(attribute(&spans[0], "http.response.status_code").as_deref(), Some("200"));
}

#[tokio::test]
async fn request_forwarded_by_a_client_layer_is_a_hop_of_its_own() {
    let telemetry = Telemetry::new();
    let server = ServerPropagationLayer::new(telemetry.propagator.clone());
    let orders =
        server.layer(tower::service_fn(|_: Request| async { Ok::<_, Infallible>(Response::new(Body::empty())) }));
    let client = ClientPropagationLayer::new(telemetry.propagator.clone()).layer(orders);
    // A gateway that forwards a received request with its extensions.
    let gateway = server.layer(client);
    gateway.oneshot(request("http://orders/")).await.unwrap().into_body().collect().await.unwrap();
    let kinds: Vec<SpanKind> = telemetry.spans().into_iter().map(|span| span.span_kind).collect();
    assert_eq!(kinds, [SpanKind::Server, SpanKind::Client, SpanKind::Server]);
}

#[tokio::test]
async fn caller_context_crosses_a_buffer() {
    for which in [BridgeKind::OpenTelemetry, BridgeKind::Tracing] {
        let telemetry = Telemetry::with(which);
        let propagator = &telemetry.propagator;
        let echo = tower::service_fn(|request: Request| async move {
            let sent = request.headers()["traceparent"].to_str().unwrap().to_owned();
            Ok::<_, Infallible>(Response::new(Body::from(sent)))
        });
        let client = ServiceBuilder::new()
            .layer(CallerContextLayer::new(propagator.clone()))
            .buffer(4)
            .layer(ClientPropagationLayer::new(propagator.clone()))
            .service(echo);
        let context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
        let hop = propagator.start(Hop::remote(Kind::Server, context).named("caller"));
        let response = hop.scope(client.oneshot(request("http://billing/"))).await.unwrap();
        let sent = response.into_body().collect().await.unwrap().to_bytes();
        hop.end(&propagation_core::Outcome::Unset);
        let (caller, call) = (telemetry.span("caller"), telemetry.span("GET"));
        assert_eq!(call.parent_span_id, caller.span_context.span_id(), "{which:?}");
        assert_eq!(call.span_context.trace_id(), caller.span_context.trace_id(), "{which:?}");
        assert!(String::from_utf8_lossy(&sent).contains(&call.span_context.span_id().to_string()), "{which:?}");
    }
}
