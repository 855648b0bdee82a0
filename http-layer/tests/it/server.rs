mod bodies;
mod endings;
mod layers;
mod response_ids;

use std::{convert::Infallible, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use http::StatusCode;
use http_body_util::BodyExt;
use opentelemetry::trace::{SpanKind, Status};
use propagation_core::Propagator;
use propagation_http::{CurrentContext, ServerPropagationLayer};
use tower::{Layer, Service, ServiceExt};

use crate::telemetry::{CALLER, PARENT, TRACE, Telemetry, attribute};

fn request(path: &str) -> Request {
    let request = Request::builder().uri(path).header("traceparent", PARENT);
    request.header("baggage", "tenant.id=blue,user.email=x").body(Body::empty()).unwrap()
}

fn app(propagator: Propagator) -> Router {
    Router::new()
        .route(
            "/orders/{id}",
            get(|CurrentContext(context): CurrentContext| async move {
                context.baggage.get("tenant.id").unwrap().into_owned()
            }),
        )
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/missing", get(|| async { StatusCode::NOT_FOUND }))
        .route(
            "/healthz",
            get(|CurrentContext(context): CurrentContext| async move { context.trace.has_ids().to_string() }),
        )
        .layer(
            ServerPropagationLayer::new(propagator)
                .with_traceresponse(true)
                .filter(|head| head.uri.path() != "/healthz"),
        )
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn request_has_a_server_span_named_after_its_route() {
    let telemetry = Telemetry::new();
    let response = app(telemetry.propagator.clone()).oneshot(request("/orders/7?sig=abc&x=1")).await.unwrap();
    let returned = response.headers()["traceresponse"].to_str().unwrap().to_owned();
    assert_eq!(text(response).await, "blue");

    let span = telemetry.span("GET /orders/{id}");
    assert_eq!((span.span_kind.clone(), span.parent_span_id.to_string()), (SpanKind::Server, CALLER.to_owned()));
    assert_eq!(span.span_context.trace_id().to_string(), TRACE);
    assert!(returned.contains(&span.span_context.span_id().to_string()));
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/orders/{id}"),
        ("url.path", "/orders/7"),
        ("url.query", "sig=REDACTED&x=1"),
        ("url.scheme", "http"),
        ("http.response.status_code", "200"),
        ("network.protocol.version", "1.1"),
    ] {
        assert_eq!(attribute(&span, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(span.status, Status::Unset);
}

#[tokio::test]
async fn server_errors_are_errors_and_client_errors_are_not() {
    let telemetry = Telemetry::new();
    for path in ["/broken", "/missing", "/nowhere"] {
        drop(text(app(telemetry.propagator.clone()).oneshot(request(path)).await.unwrap()).await);
    }
    let broken = telemetry.span("GET /broken");
    assert!(matches!(broken.status, Status::Error { .. }));
    assert_eq!(attribute(&broken, "error.type").as_deref(), Some("500"));
    assert_eq!(telemetry.span("GET /missing").status, Status::Unset);
    assert_eq!(attribute(&telemetry.span("GET"), "http.route"), None, "no route, no path in the name");
}

#[tokio::test]
async fn filtered_request_propagates_without_a_span() {
    let telemetry = Telemetry::new();
    let response = app(telemetry.propagator.clone()).oneshot(request("/healthz")).await.unwrap();
    assert_eq!(text(response).await, "true");
    assert!(telemetry.spans().is_empty());
}

#[tokio::test]
async fn dropped_request_ends_its_span() {
    let telemetry = Telemetry::new();
    let slow = tower::service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>());
    let service = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(slow);
    assert!(tokio::time::timeout(Duration::from_millis(5), service.oneshot(request("/slow"))).await.is_err());
    let span = telemetry.span("GET");
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(span.status, Status::Unset, "a client that leaves is no error");
}

#[tokio::test]
async fn readiness_is_that_of_the_inner_service() {
    let telemetry = Telemetry::new();
    let mut never = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(Never);
    let ready = std::future::poll_fn(|task| Service::<Request>::poll_ready(&mut never, task));
    assert!(tokio::time::timeout(Duration::from_millis(5), ready).await.is_err());
}

#[derive(Clone, Debug)]
struct Never;

impl Service<Request> for Never {
    type Response = Response;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Pending
    }

    fn call(&mut self, _: Request) -> Self::Future {
        unreachable!("never ready")
    }
}

#[tokio::test]
async fn headers_are_recorded_only_when_listed() {
    let telemetry = Telemetry::new();
    let layer =
        ServerPropagationLayer::new(telemetry.propagator.clone()).record_request_headers([http::header::ACCEPT]);
    let app: Router = Router::new().route("/", get(|| async { "" })).layer(layer);
    let mut asked = request("/");
    asked.headers_mut().insert("accept", "text/plain".parse().unwrap());
    asked.headers_mut().insert("authorization", "Bearer x".parse().unwrap());
    drop(text(app.oneshot(asked).await.unwrap()).await);
    let span = telemetry.span("GET /");
    assert_eq!(attribute(&span, "http.request.header.accept").as_deref(), Some("[\"text/plain\"]"));
    assert!(!format!("{:?}", span.attributes).contains("Bearer"));
}

#[tokio::test]
async fn invented_methods_name_no_span() {
    let telemetry = Telemetry::new();
    let app: Router = Router::new()
        .route("/", axum::routing::any(|| async {}))
        .layer(ServerPropagationLayer::new(telemetry.propagator.clone()));
    let mut asked = request("/");
    *asked.method_mut() = "BREW".parse().unwrap();
    drop(text(app.oneshot(asked).await.unwrap()).await);
    let span = telemetry.span("HTTP /");
    assert_eq!(attribute(&span, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(attribute(&span, "http.request.method_original").as_deref(), Some("BREW"));
}

#[tokio::test]
async fn nested_router_has_the_full_route() {
    let telemetry = Telemetry::new();
    let inner = Router::new().route("/orders/{id}", get(|| async {}));
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone());
    let app: Router = Router::new().nest("/api/{version}", inner).layer(layer);
    drop(text(app.oneshot(request("/api/v1/orders/7")).await.unwrap()).await);
    assert_eq!(
        attribute(&telemetry.span("GET /api/{version}/orders/{id}"), "http.route").as_deref(),
        Some("/api/{version}/orders/{id}")
    );
}

#[tokio::test]
async fn paths_queries_and_listed_headers_are_redacted() {
    let telemetry = Telemetry::new();
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone())
        .with_scheme("https")
        .record_request_headers([http::header::FROM, http::header::ACCEPT])
        .record_response_headers([http::header::SERVER]);
    let app = Router::new().route("/users/{mail}", get(|| async { [(http::header::SERVER, "anna@example.com")] }));
    let mut asked = request("/users/anna@example.com?to=anna%40example.com&page=2");
    asked.headers_mut().insert("from", "anna@example.com".parse().unwrap());
    asked.headers_mut().insert("accept", "text/plain".parse().unwrap());
    drop(text(app.layer(layer).oneshot(asked).await.unwrap()).await);
    let span = telemetry.span("GET /users/{mail}");
    assert!(!format!("{:?}", span.attributes).contains("anna"), "{:?}", span.attributes);
    for (key, value) in [
        ("url.path", "/users/REDACTED"),
        ("url.query", "to=REDACTED&page=2"),
        ("url.scheme", "https"),
        ("http.request.header.from", "[\"REDACTED\"]"),
        ("http.request.header.accept", "[\"text/plain\"]"),
        ("http.response.header.server", "[\"REDACTED\"]"),
    ] {
        assert_eq!(attribute(&span, key).as_deref(), Some(value), "{key}");
    }
}

#[tokio::test]
async fn address_rule_applies_behind_trusted_proxies_only() {
    let trusted = |address: std::net::IpAddr| address.to_string() == "10.0.0.1";
    for (connection, header, forwarded, believed) in [
        ("10.0.0.1", "x-forwarded-for", "192.168.7.7", true),
        ("10.0.0.1", "x-forwarded-for", "192.168.7.7, 203.0.113.7", false),
        ("203.0.113.7", "x-forwarded-for", "192.168.7.7", false),
        ("10.0.0.1", "x-forwarded-for", "hidden", false),
        ("10.0.0.1", "forwarded", "for=203.0.113.9, For=\"192.168.7.7:80\";proto=https", true),
        ("10.0.0.1", "forwarded", "for=192.168.7.7, for=203.0.113.7", false),
        ("10.0.0.1", "forwarded", "for=192.168.7.7, x=\", for=203.0.113.7", false),
        ("203.0.113.7", "forwarded", "for=192.168.7.7", false),
        ("10.0.0.1", "forwarded", "for=_hidden", false),
    ] {
        let policy = propagation_core::Policy::builder()
            .inbound(propagation_core::InboundRule::peers(["address:192.168.0.0/16"]).allow("tenant.id"))
            .inbound(propagation_core::InboundRule::peers(["*"]).trust(propagation_core::TraceTrust::Restart))
            .build()
            .unwrap();
        let propagator = Propagator::builder().policy(policy).build();
        let handler = |CurrentContext(context): CurrentContext| async move {
            format!("{} {}", context.trace.has_ids(), context.baggage.get("tenant.id").is_some())
        };
        let app = Router::new().route("/", get(handler));
        let app = app.layer(ServerPropagationLayer::new(propagator).trusted_proxies(trusted));
        let mut asked = request("/");
        let connection: std::net::IpAddr = connection.parse().unwrap();
        asked.extensions_mut().insert(axum::extract::ConnectInfo(std::net::SocketAddr::new(connection, 4711)));
        asked.headers_mut().insert(http::HeaderName::from_static(header), forwarded.parse().unwrap());
        let answer = text(app.oneshot(asked).await.unwrap()).await;
        assert_eq!(answer, format!("{believed} {believed}"), "{connection} {forwarded}");
    }
}

#[tokio::test]
async fn client_address_is_recorded_only_if_enabled() {
    for recorded in [true, false] {
        let telemetry = Telemetry::new();
        let layer = ServerPropagationLayer::new(telemetry.propagator.clone());
        let layer = if recorded { layer.with_client_address(true) } else { layer };
        let app: Router = Router::new().route("/", get(|| async {})).layer(layer);
        let mut asked = request("/");
        asked.extensions_mut().insert(propagation_http::PeerAddress::from(std::net::IpAddr::from([203, 0, 113, 7])));
        drop(text(app.oneshot(asked).await.unwrap()).await);
        let address = attribute(&telemetry.span("GET /"), "client.address");
        assert_eq!(address.as_deref(), recorded.then_some("203.0.113.7"));
    }
}

#[tokio::test]
async fn network_peer_is_recorded_only_if_enabled() {
    for recorded in [true, false] {
        let telemetry = Telemetry::new();
        let layer = ServerPropagationLayer::new(telemetry.propagator.clone()).with_network_peer(recorded);
        let app: Router = Router::new().route("/", get(|| async {})).layer(layer);
        let mut asked = request("/");
        let connection: std::net::SocketAddr = "[::ffff:203.0.113.7]:49152".parse().unwrap();
        asked.extensions_mut().insert(propagation_http::PeerAddress::from(connection));
        drop(text(app.oneshot(asked).await.unwrap()).await);
        let span = telemetry.span("GET /");
        let peer = |key| attribute(&span, key);
        assert_eq!(peer("network.peer.address").as_deref(), recorded.then_some("203.0.113.7"));
        assert_eq!(peer("network.peer.port").as_deref(), recorded.then_some("49152"));
        assert_eq!(peer("client.address"), None);
    }
}

/// A service that responds to every request with the same head and a new body.
fn answering(
    length: Option<&'static str>,
    body: fn() -> Body,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone {
    tower::service_fn(move |_: Request| async move {
        let response = Response::builder();
        let response = if let Some(length) = length { response.header("content-length", length) } else { response };
        Ok::<_, Infallible>(response.body(body()).unwrap())
    })
}

#[tokio::test]
async fn service_error_passes_unchanged_and_is_the_error_type() {
    let telemetry = Telemetry::new();
    let broken = tower::service_fn(|_: Request| async { Err::<Response, _>(std::io::Error::other("broken")) });
    let service = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(broken);
    assert_eq!(service.oneshot(request("/")).await.err().unwrap().to_string(), "broken");
    let span = telemetry.span("GET");
    assert!(matches!(span.status, Status::Error { .. }));
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("std::io::error::Error"));
}

#[tokio::test]
async fn debug_output_names_the_type_and_its_content() {
    let layer = ServerPropagationLayer::new(Propagator::default());
    let body = layer.layer(answering(None, Body::empty)).oneshot(request("/")).await.unwrap().into_body();
    assert!(format!("{body:?}").contains("ServerClassifier { status: 200"), "{body:?}");
    assert!(format!("{layer:?}").starts_with("ServerPropagationLayer {"));
    assert!(format!("{:?}", layer.layer(Never)).contains("inner: Never"));
    assert!(format!("{:?}", propagation_http::TrustedProxies::new(|_| true)).contains("any: true"));
}
