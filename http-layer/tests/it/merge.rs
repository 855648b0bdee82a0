//! Baggage that other code sets on a request passes the policy and is merged.

use axum::{Router, body::Body, http::HeaderMap, routing::any};
use http::{HeaderValue, Request, Response};
use propagation_core::{
    Direction, InboundRule, OutboundRule, Policy, PropagationContext, Propagator, RejectReason, TraceContext,
    TraceTrust,
};
use propagation_http::{ClientPropagationLayer, ReqwestPropagation};
use tower::{Layer, ServiceExt, service_fn};

use crate::{telemetry::PARENT, tree::serve};

const THEIRS: &str = "sentry-release=1,tenant.id=red,secret=x";

fn propagator() -> Propagator {
    let rule = OutboundRule::peers(["http:127.0.0.1"]).allow("tenant.id").allow("sentry-*");
    Propagator::builder().policy(Policy::builder().outbound(rule).build().unwrap()).build()
}

fn ours() -> PropagationContext {
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    context.baggage.set("tenant.id", "blue").unwrap();
    context
}

fn counted(propagator: &Propagator, reason: RejectReason) -> u64 {
    propagator.counters().get(Direction::Outbound, reason)
}

/// Returns the `baggage` of a request with these values to a host.
fn injected(propagator: &Propagator, host: &str, context: &PropagationContext, values: &[&str]) -> Vec<String> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append("baggage", HeaderValue::from_str(value).unwrap());
    }
    propagation_http::inject(propagator, host, context, &mut headers);
    headers.get_all("baggage").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn baggage_of_other_code_is_released_and_merged() {
    let none: [&str; 0] = [];
    for (host, context, values, expected, dropped, replaced) in [
        ("127.0.0.1", ours(), &[THEIRS][..], &["tenant.id=blue,sentry-release=1"][..], 1, 1),
        ("127.0.0.1", PropagationContext::EMPTY, &[THEIRS], &["sentry-release=1,tenant.id=red"], 1, 0),
        ("127.0.0.1", ours(), &["sentry-a=1", "sentry-b=2;p"], &["tenant.id=blue,sentry-a=1,sentry-b=2;p"], 0, 0),
        ("127.0.0.1", ours(), &["tenant.id=blue"], &["tenant.id=blue"], 0, 0),
        ("elsewhere", ours(), &[THEIRS], &none, 3, 1),
    ] {
        let propagator = propagator();
        assert_eq!(injected(&propagator, host, &context, values), expected, "{host} {values:?}");
        assert_eq!(counted(&propagator, RejectReason::NotAllowed), dropped, "{host} {values:?}");
        assert_eq!(counted(&propagator, RejectReason::DuplicateKey), replaced, "{host} {values:?}");
    }
}

#[test]
fn malformed_baggage_of_other_code_is_counted() {
    let propagator = propagator();
    assert_eq!(injected(&propagator, "127.0.0.1", &ours(), &["no member,sentry-a=1"]), ["tenant.id=blue,sentry-a=1"]);
    assert_eq!(counted(&propagator, RejectReason::Malformed), 1);
}

#[test]
fn merged_baggage_beyond_the_limits_is_counted() {
    let propagator = propagator();
    let many = (0..64).map(|n| format!("sentry-{n}=1")).collect::<Vec<_>>().join(",");
    let baggage = injected(&propagator, "127.0.0.1", &ours(), &[&many]);
    assert_eq!(baggage[0].split(',').count(), 64);
    assert_eq!(counted(&propagator, RejectReason::TooManyMembers), 1);
}

#[test]
fn stale_trace_on_a_request_is_replaced_without_a_report() {
    let propagator = propagator();
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::from_static("broken"));
    propagation_http::inject(&propagator, "127.0.0.1", &ours(), &mut headers);
    assert_eq!(headers["traceparent"], PARENT);
    assert!(RejectReason::ALL.iter().all(|reason| counted(&propagator, *reason) == 0));
}

#[tokio::test]
async fn baggage_of_other_code_passes_the_tower_layer() {
    let propagator = propagator();
    let echo = service_fn(|request: Request<Body>| async move {
        Ok::<_, std::convert::Infallible>(Response::new(Body::from(
            request.headers()["baggage"].to_str().unwrap().to_owned(),
        )))
    });
    let client = ClientPropagationLayer::new(propagator.clone()).layer(echo);
    let request = Request::get("http://127.0.0.1/").header("baggage", THEIRS).body(Body::empty()).unwrap();
    let hop = propagator.continue_from(ours());
    let body = hop.scope(client.oneshot(request)).await.unwrap().into_body();
    assert_eq!(axum::body::to_bytes(Body::new(body), 100).await.unwrap(), "tenant.id=blue,sentry-release=1");
}

#[tokio::test]
async fn baggage_of_other_code_passes_reqwest_unless_withheld() {
    let propagator = propagator();
    let echo =
        |headers: HeaderMap| async move { format!("{:?}", headers.get_all("baggage").iter().collect::<Vec<_>>()) };
    let url = serve(Router::new().route("/", any(echo))).await;
    let (client, propagation) = ReqwestPropagation::with_client(
        propagator.clone(),
        reqwest::Client::builder(),
        reqwest::redirect::Policy::default(),
    )
    .unwrap();
    let guarded = reqwest_middleware::ClientBuilder::new(client).with(propagation).build();
    let unknown = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(ReqwestPropagation::new(propagator.clone()))
        .build();
    for (client, expected) in [(guarded, "[\"tenant.id=blue,sentry-release=1\"]"), (unknown, "[]")] {
        let hop = propagator.continue_from(ours());
        let answer = hop.scope(client.get(&url).header("baggage", THEIRS).send()).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), expected);
    }
    assert_eq!(counted(&propagator, RejectReason::UnsupportedOperation), 1);
}

#[tokio::test]
async fn headers_keep_to_a_configured_limit() {
    let propagator = propagator();
    let mut context = ours();
    let state = format!("a=1,b={},c=3", "x".repeat(200));
    context.trace = context.trace.with_state(propagation_core::TraceState::parse(state.as_bytes()).unwrap());
    // 98 bytes for `traceparent`, 42 and the value for `tracestate`, 53 for `baggage`.
    for (limit, expected, dropped) in [
        (1_000, (state.as_str(), "tenant.id=blue"), 0),
        (98 + 42 + 7, ("a=1,c=3", ""), 2),
        (98 + 42 + 7 + 53, ("a=1,c=3", "tenant.id=blue"), 1),
        (98 + 42 + 6, ("a=1", ""), 2),
        (98 + 42 + 2, ("", ""), 2),
        (98, ("", ""), 2),
    ] {
        let before = counted(&propagator, RejectReason::TooLarge);
        let echo = service_fn(|request: Request<Body>| async move {
            let header = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
            assert_eq!(request.headers()["traceparent"], PARENT);
            Ok::<_, std::convert::Infallible>(Response::new(Body::from(
                header("tracestate") + " " + &header("baggage"),
            )))
        });
        let client = ClientPropagationLayer::new(propagator.clone()).with_header_limit(limit).layer(echo);
        let hop = propagator.continue_from(context.clone());
        let request = Request::get("http://127.0.0.1/").body(Body::empty()).unwrap();
        let body = hop.scope(client.oneshot(request)).await.unwrap().into_body();
        let seen = axum::body::to_bytes(Body::new(body), 1_000).await.unwrap();
        assert_eq!(seen, format!("{} {}", expected.0, expected.1), "{limit}");
        assert_eq!(counted(&propagator, RejectReason::TooLarge) - before, dropped, "{limit}");
    }
}

/// Headers that an outsider sent, and that a handler copies onto its own request.
const RECEIVED: [(&str, &str); 3] = [
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", "evil=1"),
    ("baggage", "tenant.id=evil,sentry-release=1"),
];

/// Serves at the edge, with a handler that sends `call` a request with the received headers; returns its answer.
async fn copied<F: Future<Output = String> + Send>(
    inbound: InboundRule,
    slot: &std::sync::OnceLock<Propagator>,
    call: impl Fn(HeaderMap) -> F + Clone + Send + Sync + 'static,
) -> (String, Propagator) {
    let rule = OutboundRule::peers(["http:127.0.0.1"]).allow("tenant.id").allow("sentry-*");
    let propagator =
        Propagator::builder().policy(Policy::builder().inbound(inbound).outbound(rule).build().unwrap()).build();
    slot.set(propagator.clone()).unwrap();
    let handler = service_fn(move |request: Request<Body>| {
        let call = call.clone();
        async move { Ok::<_, std::convert::Infallible>(Response::new(Body::from(call(request.headers().clone()).await))) }
    });
    let server = propagation_http::ServerPropagationLayer::new(propagator.clone()).layer(handler);
    let mut request = Request::get("/orders").body(Body::empty()).unwrap();
    for (name, value) in RECEIVED {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let body = server.oneshot(request).await.unwrap().into_body();
    let answer = axum::body::to_bytes(Body::new(body), 1_000).await.unwrap();
    (String::from_utf8(answer.to_vec()).unwrap(), propagator)
}

fn all_of(headers: &HeaderMap) -> String {
    let names = ["traceparent", "tracestate", "baggage"];
    names.map(|name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned()).join(" ")
}

/// Answers through the tower layer or the reqwest middleware of a hop's propagator.
async fn call_with(propagator: Propagator, url: Option<String>, headers: HeaderMap) -> String {
    let Some(url) = url else {
        let echo = service_fn(|request: Request<Body>| async move {
            Ok::<_, std::convert::Infallible>(Response::new(Body::from(all_of(request.headers()))))
        });
        let mut request = Request::get("http://127.0.0.1/").body(Body::empty()).unwrap();
        *request.headers_mut() = headers;
        let answer = ClientPropagationLayer::new(propagator).layer(echo).oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(Body::new(answer.into_body()), 1_000).await.unwrap();
        return String::from_utf8(body.to_vec()).unwrap();
    };
    let (client, propagation) =
        ReqwestPropagation::with_client(propagator, reqwest::Client::builder(), reqwest::redirect::Policy::none())
            .unwrap();
    let client = reqwest_middleware::ClientBuilder::new(client).with(propagation).build();
    client.get(url).headers(headers).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn copied_headers_are_judged_by_the_rule_of_the_request() {
    let url = serve(Router::new().route("/", any(|headers: HeaderMap| async move { all_of(&headers) }))).await;
    for url in [None, Some(url)] {
        for (trust, keys, continued, baggage) in [
            (TraceTrust::RestartWithLink, &[][..], false, ""),
            (TraceTrust::Ignore, &[], false, ""),
            (TraceTrust::Restart, &["sentry-*"], false, "sentry-release=1"),
            (TraceTrust::IdsOnly, &["sentry-*"], true, "sentry-release=1"),
            (TraceTrust::Full, &[], true, ""),
        ] {
            let inbound = keys.iter().fold(InboundRule::peers(["http:*"]).trust(trust), |rule, key| rule.allow(*key));
            let slot = std::sync::Arc::new(std::sync::OnceLock::<Propagator>::new());
            let (url, seen) = (url.clone(), slot.clone());
            let call = move |headers: HeaderMap| call_with(seen.get().unwrap().clone(), url.clone(), headers);
            let (answer, propagator) = copied(inbound, &slot, call).await;
            assert_eq!(answer.contains("0af7651916cd43dd8448eb211c80319c"), continued, "{trust:?}: {answer}");
            assert!(answer.ends_with(&format!(" {baggage}")) && !answer.contains("tenant.id"), "{trust:?}: {answer}");
            assert_eq!(answer.contains("evil=1"), trust == TraceTrust::Full, "{trust:?}: {answer}");
            assert!(counted(&propagator, RejectReason::NotAllowed) > 0, "dropped members are counted");
        }
    }
}
