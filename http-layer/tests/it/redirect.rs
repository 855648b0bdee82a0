//! A redirect to another host is released afresh.

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header::LOCATION},
    routing::{get, post},
};
use propagation_core::{Hop, PropagationContext, SpanKind, TraceContext};

use crate::{
    telemetry::{PARENT, Telemetry, attribute},
    tree::{client, serve},
};

fn context() -> PropagationContext {
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    context.baggage.set("tenant.id", "canary").unwrap();
    context
}

async fn seen_after_redirect(telemetry: &Telemetry, client: &reqwest_middleware::ClientWithMiddleware) -> String {
    let echo =
        |headers: HeaderMap| async move { format!("{:?} {:?}", headers.get("traceparent"), headers.get("baggage")) };
    let other = serve(Router::new().route("/", get(echo))).await;
    // The same server under a name that no rule gives baggage to.
    let target = other.replace("127.0.0.1", "localhost");
    let first = move |headers: HeaderMap| {
        let target = target.clone();
        async move {
            assert!(headers.contains_key("baggage"), "the first host may have it");
            (StatusCode::FOUND, [(LOCATION, target)])
        }
    };
    let first = serve(Router::new().route("/", post(first))).await;
    let hop = telemetry.propagator.start(Hop::remote(SpanKind::Server, context()).named("server"));
    let answer = hop.scope(client.post(&first).body("order").send()).await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test]
async fn baggage_for_one_host_does_not_follow_a_redirect_to_another() {
    let telemetry = Telemetry::new();
    let seen = seen_after_redirect(&telemetry, &client(&telemetry)).await;
    assert!(!seen.contains("canary"), "{seen}");
    let second = telemetry.span("GET");
    assert!(seen.contains(&second.span_context.span_id().to_string()), "a span and an injection of its own: {seen}");
    assert_eq!(attribute(&second, "http.request.resend_count").as_deref(), Some("1"));
    assert_eq!(attribute(&telemetry.span("POST"), "http.response.status_code").as_deref(), Some("302"));
}

#[tokio::test]
async fn a_client_that_follows_redirects_itself_is_noticed() {
    let telemetry = Telemetry::new();
    let leaky = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(propagation_http::ReqwestPropagation::new(telemetry.propagator.clone()))
        .build();
    let seen = seen_after_redirect(&telemetry, &leaky).await;
    assert!(seen.contains("canary"), "reqwest takes it along: the canary can be seen at all");
    let counters = telemetry.propagator.counters();
    assert_eq!(counters.get(propagation_core::Direction::Outbound, propagation_core::Reason::NotCovered), 1);
}
