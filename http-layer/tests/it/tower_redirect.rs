//! `FollowRedirect` of tower-http above and below the client layer.

use axum::{Router, body::Body, http::HeaderMap, routing::any};
use http::{Request, StatusCode, header::LOCATION};
use propagation_core::{Direction, Hop, PropagationContext, RejectReason, SpanKind, TraceContext};
use propagation_http::{ClientPropagationLayer, GuardRedirects};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::{FollowRedirectLayer, policy::Limited};

use crate::{
    redirect::Lines,
    telemetry::{PARENT, Telemetry},
    tree::serve,
};

/// A server that redirects to a second one under the name `localhost`, which returns the received baggage.
async fn redirecting() -> String {
    let echo = |headers: HeaderMap| async move { format!("{:?}", headers.get("baggage")) };
    let other = serve(Router::new().route("/", any(echo))).await.replace("127.0.0.1", "localhost");
    let first = move |headers: HeaderMap| async move {
        assert!(headers.contains_key("baggage"), "the first host may have it");
        (StatusCode::FOUND, [(LOCATION, other)])
    };
    serve(Router::new().route("/", any(first))).await
}

async fn get<S, B>(telemetry: &Telemetry, client: S) -> (StatusCode, String)
where
    S: Service<Request<Body>, Response = http::Response<B>>,
    S::Error: std::fmt::Debug,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    context.baggage.set("tenant.id", "canary").unwrap();
    let hop = telemetry.propagator.start(Hop::remote(SpanKind::Server, context).named("server"));
    let request = Request::get(redirecting().await).body(Body::empty()).unwrap();
    let (head, body) = hop.scope(client.oneshot(request)).await.unwrap().into_parts();
    let body = axum::body::to_bytes(Body::new(body), usize::MAX).await.unwrap();
    (head.status, String::from_utf8(body.to_vec()).unwrap())
}

fn connector() -> hyper_util::client::legacy::Client<hyper_util::client::legacy::connect::HttpConnector, Body> {
    hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http()
}

fn not_covered(telemetry: &Telemetry) -> u64 {
    telemetry.propagator.counters().get(Direction::Outbound, RejectReason::UnsupportedOperation)
}

#[tokio::test]
async fn follow_redirect_above_the_layer_releases_afresh() {
    let telemetry = Telemetry::new();
    let client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(ClientPropagationLayer::new(telemetry.propagator.clone()))
        .service(connector());
    assert_eq!(get(&telemetry, client).await, (StatusCode::OK, "None".to_owned()));
    assert_eq!(not_covered(&telemetry), 0);
}

#[tokio::test]
async fn guarded_follow_redirect_below_the_layer_stops() {
    let telemetry = Telemetry::new();
    let guard = GuardRedirects::new(telemetry.propagator.clone(), Limited::default());
    let client = ServiceBuilder::new()
        .layer(ClientPropagationLayer::new(telemetry.propagator.clone()))
        .layer(FollowRedirectLayer::with_policy(guard))
        .service(connector());
    assert_eq!(get(&telemetry, client).await.0, StatusCode::FOUND);
    assert_eq!(not_covered(&telemetry), 0);
}

#[tokio::test]
async fn unguarded_follow_redirect_below_is_reported_once() {
    let telemetry = Telemetry::new();
    let lines = Lines::default();
    let _here = lines.collect();
    let client = ServiceBuilder::new()
        .layer(ClientPropagationLayer::new(telemetry.propagator.clone()))
        .layer(FollowRedirectLayer::new())
        .service(connector());
    for requests in 1..=2 {
        assert!(get(&telemetry, client.clone()).await.1.contains("canary"), "it leaks");
        assert_eq!(not_covered(&telemetry), requests);
        assert_eq!(lines.matches("put FollowRedirect above the layer"), 1);
    }
}
