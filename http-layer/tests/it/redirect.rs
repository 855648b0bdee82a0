//! A redirect to another host is released afresh.

use axum::{
    Router,
    http::{HeaderMap, Method, StatusCode, header::LOCATION},
    routing::{any, get, post},
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

/// Sends a request that is redirected with this status to that URL, and answers with what arrives there.
async fn arrives(
    client: &reqwest_middleware::ClientWithMiddleware,
    method: Method,
    status: StatusCode,
    target: String,
) -> String {
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

/// A request, without what is ours or differs between any two.
async fn shown(method: Method, mut headers: HeaderMap, body: String) -> String {
    for name in ["traceparent", "tracestate", "accept", "user-agent", "referer"] {
        headers.remove(name);
    }
    let mut headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    format!("{method} {headers:?} {body:?}")
}

#[tokio::test]
async fn a_redirect_is_followed_as_reqwest_follows_it() {
    let telemetry = Telemetry::new();
    let plain = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).build();
    let ours = client(&telemetry);
    let elsewhere = serve(Router::new().route("/here", any(shown))).await;
    let by_name = elsewhere.replace("127.0.0.1", "localhost");
    let mut kept_secrets = 0;
    for target in ["/here".to_owned(), format!("{elsewhere}/here"), format!("{by_name}/here"), "ftp://x/".to_owned()] {
        for status in [300, 301, 302, 303, 304, 307, 308].map(|status| StatusCode::from_u16(status).unwrap()) {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE] {
                let case = format!("{method} {status} {target}");
                if target.starts_with("ftp") && status.as_u16() != 300 {
                    // reqwest fails there; an answer that the caller can look at is no worse.
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
async fn a_redirect_to_another_port_or_scheme_takes_no_secrets_along() {
    let telemetry = Telemetry::new();
    let elsewhere = serve(Router::new().route("/here", any(shown))).await;
    for status in [StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT] {
        let seen = arrives(&client(&telemetry), Method::POST, status, format!("{elsewhere}/here")).await;
        assert!(seen.contains("x-own") && !seen.contains("auth") && !seen.contains("cookie"), "{seen}");
    }
}

/// Lines that were logged.
#[derive(Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_client_that_follows_redirects_itself_is_warned_of_once() {
    let telemetry = Telemetry::new();
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let leaky = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(propagation_http::ReqwestPropagation::new(telemetry.propagator.clone()))
        .build();
    let said = || String::from_utf8(lines.0.lock().unwrap().clone()).unwrap().matches("client_builder()").count();
    for _ in 0..3 {
        seen_after_redirect(&telemetry, &leaky).await;
        assert_eq!(said(), 1);
    }
}
