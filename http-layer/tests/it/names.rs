//! Callers and customers cannot choose span names or metric attributes, and credentials are not recorded.

use std::{collections::BTreeMap, convert::Infallible};

use axum::{Router, body::Body, routing::any};
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::BodyExt;
use propagation_core::{NoBridge, OutboundRule, Policy, Propagator};
use propagation_http::{ClientPropagationLayer, KnownMethods, ServerPropagationLayer};
use propagation_opentelemetry::metrics::HopMetrics;
use propagation_testkit::in_memory::InMemoryMetrics;
use tower::{Layer, ServiceExt, service_fn};

use crate::telemetry::{Telemetry, attribute};

/// Sends a request to each URL and returns the counts of the client's metric by `server.*`.
async fn measured(
    layer: impl FnOnce(ClientPropagationLayer) -> ClientPropagationLayer,
    urls: &[String],
) -> BTreeMap<String, u64> {
    let metrics = InMemoryMetrics::new();
    let rule = OutboundRule::peers(["http:api.example.com", "http:*.internal", "*"]);
    let propagator = Propagator::builder()
        .policy(Policy::builder().outbound(rule).build().unwrap())
        .bridge(HopMetrics::new(&metrics.meter("shop"), NoBridge))
        .build();
    let answer = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let client = layer(ClientPropagationLayer::new(propagator)).layer(answer);
    for url in urls {
        let request = Request::get(url).body(Body::empty()).unwrap();
        client.clone().oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    }
    let common = "http.request.method=GET http.response.status_code=200 network.protocol.version=1.1";
    let series = metrics.series("http.client.request.duration").into_iter();
    series.map(|(attributes, count)| (attributes.replace(common, "").trim().to_owned(), count)).collect()
}

#[tokio::test]
async fn hosts_chosen_by_customers_make_no_series() {
    let webhooks = (0..40).map(|n| format!("http://hooks-{n}.example.org:{}/", 8000 + n));
    let known =
        ["http://api.example.com/", "http://API.example.com:443/", "http://Declared.example.org./"].map(str::to_owned);
    let urls: Vec<String> = webhooks.chain(known).collect();
    let expected = [
        (String::new(), 40),
        ("server.address=api.example.com server.port=80".to_owned(), 1),
        ("server.address=api.example.com server.port=443".to_owned(), 1),
        ("server.address=declared.example.org server.port=80".to_owned(), 1),
    ];
    let series = measured(|layer| layer.with_known_hosts(["declared.example.org"]), &urls).await;
    assert_eq!(series, BTreeMap::from(expected));
}

#[tokio::test]
async fn hosts_of_a_pattern_are_bounded() {
    let many = (0..300).map(|n| format!("http://host-{n}.internal/"));
    let ports = (0..300).map(|n| format!("http://api.example.com:{}/", 2000 + n));
    let urls: Vec<String> = many.chain(ports).chain(["http://api.example.com/".to_owned()]).collect();
    let series = measured(|layer| layer, &urls).await;
    assert!(series.len() <= 256 + 3, "{}", series.len());
    assert_eq!(series["server.address=api.example.com server.port=80"], 1);
    assert_eq!(series.values().sum::<u64>(), 601, "every request is measured");
}

#[tokio::test]
async fn unknown_method_is_other_and_known_ones_are_configurable() {
    let propfind = || KnownMethods::new(["GET", "PROPFIND"]);
    for (methods, method, name, recorded, original) in [
        (None, "QUERY", "QUERY", "QUERY", None),
        (None, "PROPFIND", "HTTP", "_OTHER", Some("PROPFIND")),
        (None, "get", "HTTP", "_OTHER", Some("get")),
        (Some(propfind()), "PROPFIND", "PROPFIND", "PROPFIND", None),
        (Some(propfind()), "POST", "HTTP", "_OTHER", Some("POST")),
    ] {
        let telemetry = Telemetry::new();
        let mut server = ServerPropagationLayer::new(telemetry.propagator.clone());
        let mut client = ClientPropagationLayer::new(telemetry.propagator.clone());
        if let Some(methods) = methods {
            (server, client) = (server.with_known_methods(methods.clone()), client.with_known_methods(methods));
        }
        let app: Router = Router::new().route("/a", any(|| async {})).layer(server);
        let service = client.layer(service_fn(move |request: Request<Body>| app.clone().oneshot(request)));
        let request = Request::builder().method(method.parse::<Method>().unwrap()).uri("http://shop/a");
        let response = service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        response.into_body().collect().await.unwrap();
        for span in [telemetry.span(&format!("{name} /a")), telemetry.span(name)] {
            assert_eq!(attribute(&span, "http.request.method").as_deref(), Some(recorded), "{method}");
            assert_eq!(attribute(&span, "http.request.method_original").as_deref(), original, "{method}");
        }
    }
}

#[tokio::test]
async fn credentials_are_never_recorded_even_if_listed() {
    let secrets = ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-amz-security-token", "x-own-pass"];
    let answers = ["set-cookie", "www-authenticate", "x-auth-token"];
    let names =
        || secrets.iter().chain(&answers).chain(&["x-plain", "x-marked"]).map(|name| HeaderName::from_static(name));
    let own = || [HeaderName::from_static("x-own-pass")];
    let telemetry = Telemetry::new();
    let server = ServerPropagationLayer::new(telemetry.propagator.clone())
        .record_request_headers(names())
        .record_response_headers(names())
        .with_credential_headers(own());
    let client = ClientPropagationLayer::new(telemetry.propagator.clone())
        .record_request_headers(names())
        .record_response_headers(names())
        .with_credential_headers(own());
    let marked = || {
        let mut value = HeaderValue::from_static("canary-marked");
        value.set_sensitive(true);
        value
    };
    let app = service_fn(move |_: Request<Body>| async move {
        let mut response = Response::new(Body::empty());
        for name in answers.iter().chain(&["x-plain"]) {
            response.headers_mut().append(*name, HeaderValue::from_static("canary"));
        }
        response.headers_mut().append("x-plain", marked());
        Ok::<_, Infallible>(response)
    });
    let mut request = Request::get("http://shop/").body(Body::empty()).unwrap();
    for name in secrets.iter().chain(&["x-plain"]) {
        request.headers_mut().append(*name, HeaderValue::from_static("canary"));
    }
    request.headers_mut().append("x-marked", marked());
    request.headers_mut().append("x-plain", marked());
    let service = client.layer(server.layer(app));
    service.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    let spans = telemetry.spans();
    assert_eq!(spans.len(), 2);
    for span in spans {
        for key in ["http.request.header.x-plain", "http.response.header.x-plain"] {
            assert_eq!(attribute(&span, key).as_deref(), Some("[\"canary\"]"), "other values are recorded");
        }
        assert_eq!(format!("{:?}", span.attributes).matches("canary").count(), 2, "{:?}", span.attributes);
    }
}

#[tokio::test]
async fn server_names_limit_the_server_address() {
    for (names, host, address) in [
        (&[][..], "Shop.example:8080", Some("shop.example")),
        (&["shop.example"], "Shop.example.:8080", Some("shop.example")),
        (&["shop.example"], "evil.example", None),
        (&["shop.example", "shop.internal"], "shop.internal", Some("shop.internal")),
        (&["2001:db8::1"], "[2001:db8::1]:8080", Some("2001:db8::1")),
    ] {
        let telemetry = Telemetry::new();
        let answer = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        let service = ServerPropagationLayer::new(telemetry.propagator.clone()).with_server_names(names).layer(answer);
        let request = Request::get("/").header(header::HOST, host).body(Body::empty()).unwrap();
        service.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(attribute(&telemetry.span("GET"), "server.address").as_deref(), address, "{host}");
    }
}
