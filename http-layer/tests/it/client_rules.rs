//! The middleware preserves a client's rules for redirects, credentials and timeouts.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{HeaderMap, StatusCode, header::LOCATION},
    routing::{any, get, post},
};
use propagation_core::Propagator;
use propagation_http::ReqwestPropagation;
use reqwest::{Client, redirect::Policy};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::tree::serve;

/// The middleware around a client that is built elsewhere.
fn with_middleware(client: Client) -> ClientWithMiddleware {
    ClientBuilder::new(client).with(ReqwestPropagation::new(Propagator::default())).build()
}

/// A client that is built as documented.
fn documented(client: reqwest::ClientBuilder) -> ClientBuilder {
    let (client, propagation) =
        ReqwestPropagation::with_client(Propagator::default(), client, Policy::default()).unwrap();
    ClientBuilder::new(client).with(propagation)
}

/// A server that returns the received headers, and one under another host name that redirects to it.
async fn two_hosts(status: StatusCode) -> String {
    let shown = |headers: HeaderMap, body: String| async move { format!("{headers:?} {body:?}") };
    let other = serve(Router::new().route("/", any(shown))).await.replace("127.0.0.1", "localhost");
    serve(Router::new().route("/", any(move || async move { (status, [(LOCATION, other)]) }))).await
}

#[tokio::test]
async fn default_credentials_stay_with_the_first_host() {
    let secrets = ["authorization", "cookie", "proxy-authorization"];
    let defaults = secrets.map(|name| (name.parse().unwrap(), "secret-canary".parse().unwrap())).into_iter().collect();
    let client = documented(Client::builder().default_headers(defaults)).build();
    for status in [StatusCode::FOUND, StatusCode::SEE_OTHER, StatusCode::TEMPORARY_REDIRECT] {
        let answer = client.get(two_hosts(status).await).send().await.unwrap();
        assert_eq!(answer.url().host_str(), Some("localhost"), "the redirect is followed");
        let seen = answer.text().await.unwrap();
        assert!(!seen.contains("secret-canary"), "{status}: {seen}");
    }
}

/// A middleware that adds credentials, inside the propagation middleware.
struct Credentials;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Credentials {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        request.headers_mut().insert("authorization", "secret-canary".parse().unwrap());
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn credentials_of_a_lower_middleware_stay_with_the_host() {
    let client = documented(Client::builder()).with(Credentials).build();
    let seen = client.get(two_hosts(StatusCode::FOUND).await).send().await.unwrap().text().await.unwrap();
    assert!(!seen.contains("secret-canary"), "{seen}");
}

#[tokio::test]
async fn client_without_redirects_returns_the_redirect() {
    let client = with_middleware(Client::builder().redirect(Policy::none()).build().unwrap());
    assert_eq!(client.get(two_hosts(StatusCode::FOUND).await).send().await.unwrap().status(), StatusCode::FOUND);
}

#[tokio::test]
async fn custom_redirect_policy_decides() {
    let url = two_hosts(StatusCode::FOUND).await;
    let stops = Policy::custom(|attempt| if attempt.previous().is_empty() { attempt.follow() } else { attempt.stop() });
    let client = with_middleware(Client::builder().redirect(stops).build().unwrap());
    assert_eq!(client.get(&url).send().await.unwrap().status(), StatusCode::FOUND);
    let fails = Policy::custom(|attempt| attempt.error("not to there"));
    let client = with_middleware(Client::builder().redirect(fails).build().unwrap());
    assert!(client.get(&url).send().await.unwrap_err().is_redirect());
}

#[tokio::test]
async fn total_timeout_covers_all_redirects() {
    let slow = |Path(left): Path<u32>| async move {
        tokio::time::sleep(Duration::from_millis(120)).await;
        match left {
            0 => (StatusCode::OK, [(LOCATION, String::new())]),
            _ => (StatusCode::FOUND, [(LOCATION, format!("/{}", left - 1))]),
        }
    };
    let url = serve(Router::new().route("/{left}", get(slow))).await;
    let client = documented(Client::builder().timeout(Duration::from_millis(250))).build();
    let answer = client.get(format!("{url}/4")).send().await;
    assert!(answer.unwrap_err().is_timeout());
}

#[tokio::test]
async fn streamed_post_follows_a_303_as_get() {
    let done = |body: String| async move { format!("{} bytes", body.len()) };
    let app = Router::new()
        .route("/", post(|_: Body| async { (StatusCode::SEE_OTHER, [(LOCATION, "/done")]) }))
        .route("/done", get(done));
    let url = serve(app).await;
    let part = |text: &'static str| Ok::<_, std::convert::Infallible>(http_body::Frame::data(bytes::Bytes::from(text)));
    let parts = futures_util::stream::iter(["an ", "order"].map(part));
    let body = reqwest::Body::wrap(http_body_util::StreamBody::new(parts));
    let answer = documented(Client::builder()).build().post(&url).body(body).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "0 bytes");
}
