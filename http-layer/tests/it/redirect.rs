//! Redirects: unchanged by the middleware, and no baggage to hosts that may not receive it.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    http::{HeaderMap, Method, StatusCode, header::LOCATION},
    routing::any,
};
use propagation_core::{
    Direction, Hop, OutboundRule, Policy as PropagationPolicy, PropagationContext, Propagator, RejectReason, SpanKind,
    TraceContext,
};
use propagation_http::{Redirects, ReqwestPropagation};
use reqwest::{Response, redirect::Policy};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::{
    telemetry::{PARENT, Telemetry, attribute},
    tree::{client, serve},
};

fn context() -> PropagationContext {
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    context.baggage.set("tenant.id", "canary").unwrap();
    context
}

/// Three servers: the first, `127.0.0.1`, redirects to the second, which redirects to the last.
struct Chain {
    first: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Chain {
    /// Starts the servers. The names are the host names of the second and third one.
    async fn open(second: &str, last: &str) -> Self {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let server = |target: Option<String>| {
            let seen = Arc::clone(&seen);
            let answer = move |headers: HeaderMap| async move {
                seen.lock().unwrap().push(format!("{:?} {:?}", headers.get("traceparent"), headers.get("baggage")));
                match target {
                    Some(target) => (StatusCode::FOUND, [(LOCATION, target)]),
                    None => (StatusCode::OK, [(LOCATION, String::new())]),
                }
            };
            serve(Router::new().route("/", any(answer)))
        };
        let target = server(None).await.replace("127.0.0.1", last);
        let target = server(Some(target)).await.replace("127.0.0.1", second);
        Self { first: server(Some(target)).await, seen }
    }

    async fn get(&self, telemetry: &Telemetry, client: &ClientWithMiddleware) -> Response {
        let hop = telemetry.propagator.start(Hop::remote(SpanKind::Server, context()).named("server"));
        hop.scope(client.get(&self.first).send()).await.unwrap()
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn not_covered(telemetry: &Telemetry) -> u64 {
    telemetry.propagator.counters().get(Direction::Outbound, RejectReason::UnsupportedOperation)
}

fn stating(telemetry: &Telemetry, redirects: Redirects, client: reqwest::Client) -> ClientWithMiddleware {
    let propagation = ReqwestPropagation::new(telemetry.propagator.clone()).with_redirects(redirects);
    ClientBuilder::new(client).with(propagation).build()
}

#[tokio::test]
async fn guarded_client_stops_where_baggage_would_leak() {
    let telemetry = Telemetry::new();
    for (second, last, requests) in [("localhost", "localhost", 1), ("127.0.0.1", "localhost", 2)] {
        let chain = Chain::open(second, last).await;
        assert_eq!(chain.get(&telemetry, &client(&telemetry)).await.status(), StatusCode::FOUND);
        let seen = chain.seen();
        assert_eq!(seen.len(), requests, "{seen:?}");
        assert!(seen.iter().all(|seen| seen.contains("canary")), "allowed hosts get it: {seen:?}");
    }
    assert_eq!(not_covered(&telemetry), 0);
}

#[tokio::test]
async fn guarded_client_follows_to_hosts_of_the_same_rule() {
    let telemetry = Telemetry::new();
    let chain = Chain::open("127.0.0.1", "127.0.0.1").await;
    assert_eq!(chain.get(&telemetry, &client(&telemetry)).await.text().await.unwrap(), "");
    let seen = chain.seen();
    assert!(seen.len() == 3 && seen.iter().all(|seen| seen.contains("canary")), "{seen:?}");
    let span = telemetry.span("GET");
    assert_eq!(attribute(&span, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(telemetry.spans().iter().filter(|span| span.name == "GET").count(), 1, "one span an exchange");
    assert_eq!(attribute(&span, "http.request.resend_count"), None);
}

#[tokio::test]
async fn guard_stops_where_trace_context_is_denied() {
    let telemetry = Telemetry::new();
    let denied = OutboundRule::peers(["http:localhost"]).trace_context(false);
    telemetry.propagator.set_policy(PropagationPolicy::builder().outbound(denied).build().unwrap());
    let chain = Chain::open("localhost", "localhost").await;
    assert_eq!(chain.get(&telemetry, &client(&telemetry)).await.status(), StatusCode::FOUND);
    telemetry.propagator.set_enabled(false);
    assert_eq!(chain.get(&telemetry, &client(&telemetry)).await.status(), StatusCode::OK, "nothing of ours is sent");
}

#[tokio::test]
async fn guard_delegates_to_the_wrapped_policy() {
    let telemetry = Telemetry::new();
    let chain = Chain::open("127.0.0.1", "127.0.0.1").await;
    for (wrapped, requests) in [
        (Policy::none(), 1),
        (Policy::custom(|attempt| if attempt.previous().len() > 1 { attempt.stop() } else { attempt.follow() }), 2),
    ] {
        let (guarded, propagation) =
            ReqwestPropagation::with_client(telemetry.propagator.clone(), reqwest::Client::builder(), wrapped).unwrap();
        let client = ClientBuilder::new(guarded).with(propagation).build();
        assert_eq!(chain.get(&telemetry, &client).await.status(), StatusCode::FOUND);
        assert_eq!(chain.seen().len(), requests);
    }
}

#[tokio::test]
async fn guard_works_for_a_client_built_elsewhere() {
    let telemetry = Telemetry::new();
    let propagation = ReqwestPropagation::new(telemetry.propagator.clone()).with_redirects(Redirects::Guarded);
    let guarded = reqwest::Client::builder().redirect(propagation.guard(Policy::default())).build().unwrap();
    let client = ClientBuilder::new(guarded).with(propagation).build();
    let chain = Chain::open("127.0.0.1", "localhost").await;
    assert_eq!(chain.get(&telemetry, &client).await.status(), StatusCode::FOUND);
    assert_eq!(chain.seen().len(), 2);
}

#[tokio::test]
async fn baggage_is_withheld_where_redirects_are_unknown() {
    let telemetry = Telemetry::new();
    let lines = Lines::default();
    let _here = lines.collect();
    let unknown = stating(&telemetry, Redirects::Unknown, reqwest::Client::new());
    let chain = Chain::open("localhost", "127.0.0.1").await;
    for requests in 1..=3 {
        assert_eq!(chain.get(&telemetry, &unknown).await.status(), StatusCode::OK);
        let seen = chain.seen();
        assert!(
            seen.len() == 3 && seen.iter().all(|seen| seen.contains("00-") && !seen.contains("canary")),
            "{seen:?}"
        );
        assert_eq!(not_covered(&telemetry), requests);
        for way in ["Redirects::NotFollowed", "ReqwestPropagation::with_client"] {
            assert_eq!(lines.matches(way), 1, "{way}");
        }
    }
}

#[tokio::test]
async fn baggage_is_sent_where_no_redirect_is_followed() {
    let telemetry = Telemetry::new();
    let none = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let chain = Chain::open("localhost", "localhost").await;
    assert_eq!(chain.get(&telemetry, &stating(&telemetry, Redirects::NotFollowed, none)).await.status(), 302);
    assert!(chain.seen()[0].contains("canary"));
}

#[tokio::test]
async fn followed_redirect_against_the_setting_is_reported() {
    let telemetry = Telemetry::new();
    let lines = Lines::default();
    let _here = lines.collect();
    let leaky = stating(&telemetry, Redirects::NotFollowed, reqwest::Client::new());
    let chain = Chain::open("127.0.0.1", "localhost").await;
    for requests in 1..=3 {
        chain.get(&telemetry, &leaky).await;
        assert!(chain.seen()[2].contains("canary"), "reqwest takes it along");
        assert_eq!(not_covered(&telemetry), requests);
        assert_eq!(lines.matches("the client followed a redirect"), 1);
    }
}

/// The logged lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn collect(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(move || writer.clone()).finish())
    }

    pub(crate) fn matches(&self, text: &str) -> usize {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().matches(text).count()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Sends a request that is redirected with a status to a URL, and returns the request that arrives there.
async fn arrives(client: &ClientWithMiddleware, method: Method, status: StatusCode, target: String) -> String {
    let redirect = move || async move { (status, [(LOCATION, target)]) };
    let first = serve(Router::new().route("/", any(redirect.clone())).route("/here", any(shown))).await;
    let mut asked = client.request(method, &first).header("x-own", "1").header("authorization", "Bearer x");
    for name in ["cookie", "cookie2", "proxy-authorization", "www-authenticate"] {
        asked = asked.header(name, "x");
    }
    let asked = asked.header("content-type", "text/plain").header("content-encoding", "identity").body("an order");
    let answer = asked.send().await.unwrap();
    format!("{} {}", answer.status(), answer.text().await.unwrap())
        .replace(first.trim_start_matches("http://"), "first")
}

/// A request without propagated headers and without parts that vary between requests.
async fn shown(method: Method, mut headers: HeaderMap, body: String) -> String {
    for name in ["traceparent", "tracestate", "accept", "user-agent"] {
        headers.remove(name);
    }
    let mut headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    format!("{method} {headers:?} {body:?}")
}

#[tokio::test]
async fn guarded_client_follows_as_reqwest_does() {
    let plain = ClientBuilder::new(reqwest::Client::new()).build();
    let (guarded, propagation) =
        ReqwestPropagation::with_client(Propagator::default(), reqwest::Client::builder(), Policy::default()).unwrap();
    let ours = ClientBuilder::new(guarded).with(propagation).build();
    let elsewhere = serve(Router::new().route("/here", any(shown))).await;
    let by_name = elsewhere.replace("127.0.0.1", "localhost");
    let mut kept_secrets = 0;
    for target in ["/here".to_owned(), format!("{elsewhere}/here"), format!("{by_name}/here"), "ftp://x/".to_owned()] {
        for status in [300, 301, 302, 303, 304, 307, 308].map(|status| StatusCode::from_u16(status).unwrap()) {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE] {
                let case = format!("{method} {status} {target}");
                if target.starts_with("ftp") && status.as_u16() != 300 {
                    // reqwest fails, with and without the middleware.
                    continue;
                }
                let theirs = arrives(&plain, method.clone(), status, target.clone()).await;
                let arrived = arrives(&ours, method, status, target.clone()).await;
                assert_eq!(arrived, theirs, "{case}");
                kept_secrets += usize::from(arrived.contains("authorization"));
            }
        }
    }
    assert!(kept_secrets > 0, "the same origin gets them, so that others could have");
}

#[tokio::test]
async fn credentials_stay_behind_on_another_port() {
    let telemetry = Telemetry::new();
    let elsewhere = serve(Router::new().route("/here", any(shown))).await;
    for status in [StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT] {
        let seen = arrives(&client(&telemetry), Method::POST, status, format!("{elsewhere}/here")).await;
        assert!(seen.contains("x-own") && !seen.contains("auth") && !seen.contains("cookie"), "{seen}");
    }
}
