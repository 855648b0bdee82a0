//! Requests without spans: they still propagate.

use axum::{Router, http::HeaderMap, routing::any};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use propagation_core::{Hop, PropagationContext, SpanKind, TraceContext};
use propagation_http::{
    ClientPropagationLayer, CurrentContext, Exclusions, RequestOptions, ReqwestPropagation, ServerPropagationLayer,
};
use tower::{Layer, ServiceExt};

use crate::{
    telemetry::{PARENT, TRACE, Telemetry},
    tree::serve,
};

/// Returns the received `traceparent`.
async fn echo() -> String {
    let handler = |headers: HeaderMap| async move {
        headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    serve(Router::new().fallback(any(handler))).await
}

fn context() -> PropagationContext {
    PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()))
}

#[tokio::test]
async fn excluded_request_of_a_server_propagates_without_a_span() {
    let telemetry = Telemetry::new();
    let exclusions = Exclusions::health_checks().path("/metrics").path_prefix("/internal").method(Method::OPTIONS);
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone())
        .exclude(exclusions)
        .filter(|request| request.uri.query() != Some("silent"));
    let handler = |CurrentContext(context): CurrentContext| async move {
        context.trace.trace_id().map(|id| id.to_string()).unwrap_or_default()
    };
    let app = Router::new().route("/{*path}", any(handler)).layer(layer);
    let url = serve(app).await;
    for (method, path, has_span) in [
        (Method::GET, "/healthz", false),
        (Method::GET, "/metrics", false),
        (Method::POST, "/internal/tick", false),
        (Method::OPTIONS, "/orders", false),
        (Method::GET, "/orders?silent", false),
        (Method::GET, "/orders", true),
        (Method::POST, "/healthz", true),
    ] {
        let before = telemetry.spans().len();
        let request = reqwest::Client::new().request(method.clone(), format!("{url}{path}"));
        let trace = request.header("traceparent", PARENT).send().await.unwrap().text().await.unwrap();
        assert_eq!(trace, TRACE, "{path}");
        assert_eq!(telemetry.spans().len() - before, usize::from(has_span), "{method} {path}");
    }
}

#[tokio::test]
async fn excluded_request_of_a_client_carries_the_callers_context() {
    let url = echo().await;
    for (path, has_span) in [("/healthz", false), ("/poll/now", false), ("/quiet", false), ("/orders", true)] {
        for by in ["tower", "reqwest"] {
            let telemetry = Telemetry::new();
            let propagator = telemetry.propagator.clone();
            let exclusions = Exclusions::health_checks().path_glob("/poll/*");
            let hop = propagator.continue_from(context());
            let call = async {
                if by == "tower" {
                    let layer = ClientPropagationLayer::new(propagator.clone()).exclude(exclusions);
                    let layer = layer.filter(|_, uri| uri.path() != "/quiet");
                    let client = layer.layer(Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>());
                    let request = Request::get(format!("{url}{path}")).body(Empty::new()).unwrap();
                    let body = client.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
                    String::from_utf8(body.to_bytes().to_vec()).unwrap()
                } else {
                    let propagation = ReqwestPropagation::new(propagator.clone()).exclude(exclusions);
                    let propagation = propagation.filter(|_, uri| uri.path() != "/quiet");
                    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(propagation);
                    client.build().get(format!("{url}{path}")).send().await.unwrap().text().await.unwrap()
                }
            };
            let received = hop.scope(call).await;
            assert_eq!(telemetry.spans().len(), usize::from(has_span), "{by} {path}");
            if has_span {
                let span = telemetry.span("GET").span_context.span_id().to_string();
                assert!(received.contains(&span), "{by} {path}: {received}");
            } else {
                assert_eq!(received, PARENT, "{by} {path}: the parent is the caller");
            }
        }
    }
}

#[tokio::test]
async fn options_of_one_request_apply_with_each_client() {
    let (url, stored) = (echo().await, context());
    let other = "00-11111111111111111111111111111111-2222222222222222-01";
    let cases = [
        (RequestOptions::new().url_template("/orders/{id}"), Some("GET /orders/{id}"), TRACE),
        (RequestOptions::new().url_template("/orders/{id}".to_owned()), Some("GET /orders/{id}"), TRACE),
        (RequestOptions::new().without_propagation(), Some("GET"), ""),
        (RequestOptions::new().without_span(), None, TRACE),
        (
            RequestOptions::new().context(PropagationContext::new(TraceContext::new(other.parse().unwrap()))),
            Some("GET"),
            "11111111111111111111111111111111",
        ),
    ];
    for (options, name, trace) in cases {
        for by in ["tower", "reqwest"] {
            let telemetry = Telemetry::new();
            let propagator = telemetry.propagator.clone();
            let hop = propagator.start(Hop::remote(SpanKind::Server, stored.clone()).named("server"));
            let call = async {
                if by == "tower" {
                    let layer = ClientPropagationLayer::new(propagator.clone());
                    let client = layer.layer(Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>());
                    let mut request = Request::get(format!("{url}/orders/7")).header("traceparent", PARENT);
                    request.extensions_mut().unwrap().insert(options.clone());
                    let response = client.oneshot(request.body(Empty::new()).unwrap()).await.unwrap();
                    let body = response.into_body().collect().await.unwrap();
                    String::from_utf8(body.to_bytes().to_vec()).unwrap()
                } else {
                    let request = crate::tree::client(&telemetry).get(format!("{url}/orders/7"));
                    let request = request.header("traceparent", PARENT).with_extension(options.clone());
                    request.send().await.unwrap().text().await.unwrap()
                }
            };
            let received = hop.scope(call).await;
            hop.end(&propagation_core::Outcome::Unset);
            assert!(received.contains(trace) && received.is_empty() == trace.is_empty(), "{by}: {received}");
            let client = telemetry.spans().into_iter().find(|span| span.name != "server");
            assert_eq!(client.as_ref().map(|span| &*span.name), name, "{by}");
            let template = client.and_then(|span| crate::telemetry::attribute(&span, "url.template"));
            assert_eq!(template.is_some(), name == Some("GET /orders/{id}"), "{by}");
        }
    }
}

#[tokio::test]
async fn released_fields_depend_on_the_peer_of_the_request() {
    use propagation_core::{OutboundRule, Policy, Propagator};
    use propagation_http::Redirects;
    let handler = |headers: HeaderMap| async move { format!("{:?}", headers.get("baggage")) };
    let url = serve(Router::new().route("/", any(handler))).await;
    let rule = OutboundRule::peers(["http:orders.internal"]).allow("tenant.id");
    let propagator = Propagator::builder().policy(Policy::builder().outbound(rule).build().unwrap()).build();
    let mut context = context();
    context.baggage.set("tenant.id", "blue").unwrap();
    let send = async |redirects: Option<Redirects>, options: RequestOptions| {
        let hop = propagator.continue_from(context.clone());
        let (reqwest, propagation) = match redirects {
            Some(redirects) => {
                let none = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
                (none, ReqwestPropagation::new(propagator.clone()).with_redirects(redirects))
            }
            None => {
                let policy = reqwest::redirect::Policy::default();
                ReqwestPropagation::with_client(propagator.clone(), reqwest::Client::builder(), policy).unwrap()
            }
        };
        let client = reqwest_middleware::ClientBuilder::new(reqwest).with(propagation).build();
        hop.scope(client.get(&url).with_extension(options).send()).await.unwrap().text().await.unwrap()
    };
    let orders = || RequestOptions::new().peer("Orders.internal");
    assert!(send(Some(Redirects::NotFollowed), orders()).await.contains("tenant.id=blue"));
    assert_eq!(send(Some(Redirects::NotFollowed), RequestOptions::new()).await, "None");
    // A client that follows redirects compares the next host with the URL's, which may receive no baggage.
    assert_eq!(send(None, orders()).await, "None");

    let echo = tower::service_fn(|request: Request<Empty<&'static [u8]>>| async move {
        Ok::<_, std::convert::Infallible>(http::Response::new(format!("{:?}", request.headers().get("baggage"))))
    });
    let client = ClientPropagationLayer::new(propagator.clone()).layer(echo);
    let request = Request::get(&url).extension(orders()).body(Empty::new()).unwrap();
    let response = propagator.continue_from(context.clone()).scope(client.oneshot(request)).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("tenant.id=blue"));
}
