//! An axum service with instrumented handlers that calls another service with reqwest: one trace, with each bridge.

use axum::{Router, extract::State, http::HeaderMap, routing::get};
use propagation_http::{ReqwestPropagation, ServerPropagationLayer};
use reqwest_middleware::ClientWithMiddleware;
use tokio::net::TcpListener;

use crate::telemetry::{BridgeKind, CALLER, PARENT, TRACE, Telemetry};

pub(crate) async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}")
}

pub(crate) fn client(telemetry: &Telemetry) -> ClientWithMiddleware {
    let (propagator, redirects) = (telemetry.propagator.clone(), reqwest::redirect::Policy::default());
    let (client, propagation) =
        ReqwestPropagation::with_client(propagator, reqwest::Client::builder(), redirects).unwrap();
    reqwest_middleware::ClientBuilder::new(client).with(propagation).build()
}

#[tracing::instrument(skip_all)]
async fn handler(State((client, url)): State<(ClientWithMiddleware, String)>) -> String {
    client.get(url).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn instrumented_handler_joins_the_tree_with_each_bridge() {
    for which in [BridgeKind::OpenTelemetry, BridgeKind::Tracing] {
        let telemetry = Telemetry::with(which);
        let echo = |headers: HeaderMap| async move {
            format!("{:?} {:?}", headers["traceparent"], headers.get_all("baggage"))
        };
        let stock = serve(Router::new().route("/stock", get(echo))).await;
        let layer = ServerPropagationLayer::new(telemetry.propagator.clone());
        let app =
            Router::new().route("/orders", get(handler)).with_state((client(&telemetry), format!("{stock}/stock")));
        let shop = serve(app.layer(layer)).await;

        let asked = reqwest::Client::new().get(format!("{shop}/orders")).header("traceparent", PARENT);
        let seen = asked.header("baggage", "tenant.id=blue,user.email=x").send().await.unwrap().text().await.unwrap();

        let (server, handler, client) =
            (telemetry.span("GET /orders"), telemetry.span("handler"), telemetry.span("GET"));
        assert_eq!(server.span_context.trace_id().to_string(), TRACE, "{which:?}");
        assert_eq!(server.parent_span_id.to_string(), CALLER, "{which:?}");
        assert_eq!(handler.parent_span_id, server.span_context.span_id(), "{which:?}");
        assert_eq!(client.parent_span_id, handler.span_context.span_id(), "{which:?}");
        assert!(seen.contains(&client.span_context.span_id().to_string()), "{which:?}: {seen}");
        assert!(seen.contains("tenant.id=blue") && !seen.contains("email"), "{which:?}: {seen}");
        assert_eq!(telemetry.spans().len(), 3);
    }
}

#[tokio::test]
async fn manually_set_headers_are_replaced() {
    let telemetry = Telemetry::new();
    let echo = |headers: HeaderMap| async move { headers.get_all("traceparent").iter().count().to_string() };
    let url = serve(Router::new().route("/", get(echo))).await;
    let stale = client(&telemetry).get(&url).header("traceparent", PARENT).header("traceparent", PARENT);
    assert_eq!(stale.send().await.unwrap().text().await.unwrap(), "1");
}

#[tokio::test]
async fn failed_request_keeps_its_error_and_records_its_kind() {
    let telemetry = Telemetry::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(client(&telemetry).get(format!("http://{address}/")).send().await.unwrap_err().is_connect());
    assert_eq!(crate::telemetry::attribute(&telemetry.span("GET"), "error.type").as_deref(), Some("connect"));
}
