//! The middleware preserves the behaviour of reqwest.

use axum::{
    Router,
    http::{StatusCode, header::LOCATION},
    routing::get,
};
use opentelemetry::trace::Status;
use propagation_http::ReqwestPropagation;

use crate::{
    telemetry::{Telemetry, attribute},
    tree::{client, serve},
};

async fn service() -> String {
    let app = Router::new()
        .route("/text", get(|| async { "an order" }))
        .route("/missing", get(|| async { (StatusCode::NOT_FOUND, "nothing") }))
        .route("/loop", get(|| async { (StatusCode::FOUND, [(LOCATION, "/loop")], "go on") }))
        .route("/once", get(|| async { (StatusCode::FOUND, [(LOCATION, "/text")], "go on") }));
    serve(app).await
}

#[tokio::test]
async fn response_is_unchanged_and_its_body_ends_the_span() {
    let telemetry = Telemetry::new();
    let url = format!("{}/text", service().await);
    let response = client(&telemetry).get(&url).send().await.unwrap();
    assert_eq!(response.url().as_str(), url);
    assert!(response.remote_addr().is_some());
    assert_eq!(response.content_length(), Some(8));
    assert!(telemetry.spans().is_empty(), "the span lasts as long as the body");
    assert_eq!(response.text().await.unwrap(), "an order");
    let span = telemetry.span("GET");
    assert_eq!((attribute(&span, "url.full"), &span.status), (Some(url), &Status::Unset));
}

#[tokio::test]
async fn client_span_has_the_address_of_the_connection() {
    let telemetry = Telemetry::new();
    let url = format!("{}/text", service().await);
    drop(client(&telemetry).get(&url).send().await.unwrap().text().await.unwrap());
    let span = telemetry.span("GET");
    let peer = [attribute(&span, "network.peer.address"), attribute(&span, "network.peer.port")];
    assert_eq!(peer, [Some("127.0.0.1".to_owned()), attribute(&span, "server.port")]);
}

#[tokio::test]
async fn unread_body_is_no_error() {
    let telemetry = Telemetry::new();
    let url = service().await;
    assert_eq!(client(&telemetry).get(format!("{url}/text")).send().await.unwrap().status(), 200);
    assert_eq!(telemetry.span("GET").status, Status::Unset);
    let telemetry = Telemetry::new();
    assert!(client(&telemetry).get(format!("{url}/missing")).send().await.unwrap().error_for_status().is_err());
    assert_eq!(attribute(&telemetry.span("GET"), "error.type").as_deref(), Some("404"));
}

#[tokio::test]
async fn endless_redirects_fail_as_without_the_middleware() {
    let telemetry = Telemetry::new();
    let url = service().await;
    let error = client(&telemetry).get(format!("{url}/loop")).send().await.unwrap_err();
    assert!(error.is_redirect(), "{error}");
    let spans = telemetry.spans();
    assert_eq!(spans.len(), 1, "one span covers an exchange that the client follows");
    assert_eq!(attribute(&spans[0], "error.type").as_deref(), Some("redirect"));
    assert_eq!(client(&telemetry).get(format!("{url}/once")).send().await.unwrap().text().await.unwrap(), "an order");
    assert_eq!(telemetry.spans().len(), 2);
}

/// A middleware that sends a request twice, like a retry middleware.
struct Retry;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Retry {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        next.clone().run(request.try_clone().unwrap(), extensions).await?;
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn retries_above_the_middleware_are_counted() {
    let telemetry = Telemetry::new();
    let propagation = ReqwestPropagation::new(telemetry.propagator.clone());
    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(Retry).with(propagation).build();
    client.get(format!("{}/text", service().await)).send().await.unwrap();
    let counts = telemetry.spans().iter().map(|span| attribute(span, "http.request.resend_count")).collect::<Vec<_>>();
    assert_eq!(counts, [None, Some("1".to_owned())]);
}

/// A middleware that rejects every request.
struct Refusing;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Refusing {
    async fn handle(
        &self,
        _: reqwest::Request,
        _: &mut http::Extensions,
        _: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        Err(reqwest_middleware::Error::middleware(std::io::Error::other("refused")))
    }
}

/// A middleware that buffers the whole body.
struct Reading;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Reading {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let body = next.run(request, extensions).await?.bytes().await?;
        Ok(http::Response::new(body).into())
    }
}

/// A server that sends less than its `content-length`.
async fn promising() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let mut socket = BufReader::new(socket);
            // An empty line ends the request.
            while socket.read_line(&mut String::new()).await.is_ok_and(|read| read > 2) {}
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort").await.ok();
            socket.shutdown().await.ok();
        }
    });
    url
}

#[tokio::test]
async fn failed_request_has_the_kind_of_its_error() {
    let promising = promising().await;
    // Accepts a connection, and closes it at the first byte.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rude = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::io::AsyncReadExt::read_u8(&mut socket).await.ok();
        }
    });
    let slow = serve(Router::new().route("/", get(std::future::pending::<()>))).await;
    for (case, word) in [("rude", "request"), ("slow", "timeout"), ("refused", "middleware"), ("short", "body")] {
        let telemetry = Telemetry::new();
        let propagation = ReqwestPropagation::new(telemetry.propagator.clone());
        let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(propagation);
        let client = match case {
            "refused" => client.with(Refusing),
            "short" => client.with(Reading),
            _ => client,
        };
        let client = client.build();
        let asked = match case {
            "rude" => client.get(&rude),
            "short" => client.get(&promising),
            "slow" => client.get(&slow).timeout(std::time::Duration::from_millis(20)),
            _ => client.get(&slow),
        };
        assert!(asked.send().await.is_err(), "{case}");
        assert_eq!(attribute(&telemetry.span("GET"), "error.type").as_deref(), Some(word), "{case}");
    }
}
