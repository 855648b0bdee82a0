//! The attributes of spans.

use std::{convert::Infallible, io, sync::Mutex};

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use propagation_core::{AttributeValue, Extract, FieldName, Hop, Policy, PropagationContext, Scrub, SpanKind};
use propagation_http::{ClientPropagationLayer, HeaderCarrierMut, KnownMethods, ServerPropagationLayer, attributes};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::telemetry::{Telemetry, attribute};

fn attributes_of(describe: impl FnOnce(&mut Hop)) -> Vec<(String, AttributeValue)> {
    let mut hop = Hop::local(SpanKind::Client, PropagationContext::EMPTY);
    describe(&mut hop);
    hop.attributes.into_iter().map(|attribute| (attribute.key.to_string(), attribute.value)).collect()
}

#[test]
fn known_methods_default_to_the_standard_ones() {
    let methods = KnownMethods::default();
    for name in ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] {
        assert_eq!(methods.find(&name.parse::<Method>().unwrap()), Some(name));
    }
    for name in ["get", "BREW", "PROPFIND"] {
        assert_eq!(methods.find(&name.parse::<Method>().unwrap()), None, "{name}");
    }
}

#[test]
fn server_port_comes_from_the_authority_or_the_scheme() {
    for (authority, scheme, always, port) in [
        ("shop:8080", "http", false, Some(8080_u16)),
        ("shop", "https", true, Some(443)),
        ("shop", "http", true, Some(80)),
        ("shop", "http", false, None),
        ("anna:pw@shop:1", "http", false, Some(1)),
    ] {
        let found = attributes_of(|hop| attributes::server(hop, authority, scheme, always));
        assert_eq!(found[0], ("server.address".to_owned(), "shop".to_owned().into()), "{authority}");
        assert_eq!(found.get(1).map(|port| port.1.clone()), port.map(AttributeValue::from), "{authority} {scheme}");
    }
    assert!(attributes_of(|hop| attributes::server(hop, "", "http", true)).is_empty(), "an unknown server has no port");
}

#[test]
fn outgoing_headers_can_be_read() {
    for more in [0, 8] {
        let mut headers = HeaderMap::new();
        headers.append("traceparent", HeaderValue::from_static("first"));
        headers.append("traceparent", HeaderValue::from_static("second"));
        for number in 0..more {
            headers.append(http::HeaderName::try_from(format!("x-{number}")).unwrap(), HeaderValue::from_static("1"));
        }
        let carrier = HeaderCarrierMut::new(&mut headers);
        let mut values = Vec::new();
        let name = FieldName::from_static("traceparent");
        carrier.visit(&name, &mut |value| values.push(value.as_bytes().to_vec()));
        assert_eq!(values, [b"first".as_slice(), b"second"]);
        let mut count = 0;
        carrier.visit_all(&mut |_, _| count += 1);
        assert_eq!(count, 2 + more);
    }
}

#[tokio::test]
async fn inner_error_passes_unchanged_and_is_the_error_type() {
    let telemetry = Telemetry::new();
    let broken = service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>(io::Error::other("broken")) });
    let client = ClientPropagationLayer::new(telemetry.propagator.clone()).layer(broken);
    let error = client.oneshot(Request::new(Body::empty())).await.err().unwrap();
    assert_eq!(error.to_string(), "broken");
    let span = telemetry.span("GET");
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("std::io::error::Error"));
    assert_eq!(attribute(&span, "http.request.resend_count"), None, "a first attempt");
}

/// A service that is ready on the second poll.
struct Busy(Mutex<u8>);

impl Service<Request<Body>> for Busy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, task: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        task.waker().wake_by_ref();
        let mut polls = self.0.lock().unwrap();
        *polls += 1;
        if *polls < 2 { std::task::Poll::Pending } else { std::task::Poll::Ready(Ok(())) }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert_eq!(*self.0.lock().unwrap(), 2, "called before it was ready");
        let length = if request.method() == Method::HEAD { "7" } else { "0" };
        std::future::ready(Ok(Response::builder().header("content-length", length).body(Body::empty()).unwrap()))
    }
}

#[tokio::test]
async fn inner_service_is_called_only_when_ready() {
    let telemetry = Telemetry::new();
    let client = ClientPropagationLayer::new(telemetry.propagator.clone()).layer(Busy(Mutex::new(0)));
    let request = Request::head("http://shop/").body(Body::empty()).unwrap();
    let response = client.oneshot(request).await.unwrap();
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    assert_eq!(attribute(&telemetry.span("HEAD"), "server.address").as_deref(), Some("shop"));
}

#[tokio::test]
async fn body_dropped_halfway_is_cancelled_except_after_head() {
    for (method, error) in [(Method::GET, Some("cancelled")), (Method::HEAD, None)] {
        let telemetry = Telemetry::new();
        let endless = service_fn(|_: Request<Body>| async {
            let parts = futures_util::stream::repeat_with(|| Ok::<_, Infallible>(bytes::Bytes::from_static(b"part")));
            Ok::<_, Infallible>(Response::new(Body::from_stream(parts)))
        });
        let client = ClientPropagationLayer::new(telemetry.propagator.clone()).layer(endless);
        let request = Request::builder().method(method.clone()).body(Body::empty()).unwrap();
        let mut body = client.oneshot(request).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!(attribute(&telemetry.span(method.as_str()), "error.type").as_deref(), error, "{method}");
    }
}

#[tokio::test]
async fn described_host_follows_a_replaced_policy() {
    let telemetry = Telemetry::new();
    let service = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let client = ClientPropagationLayer::new(telemetry.propagator.clone()).layer(service);
    let unscrubbed = Policy::builder().scrub(Scrub::off()).build().unwrap();
    for (policy, is_shown) in [(unscrubbed, true), (Policy::default(), false)] {
        telemetry.propagator.set_policy(policy);
        for _ in 0..2 {
            let request = Request::get("http://4111111111111111.example/").body(Body::empty()).unwrap();
            client.clone().oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        }
        for span in telemetry.spans().iter().rev().take(2) {
            let url = attribute(span, "url.full").unwrap_or_default();
            assert_eq!(attribute(span, "server.address").is_some(), is_shown, "{url}");
            assert_eq!(url.contains("4111111111111111"), is_shown, "{url}");
        }
    }
}

#[tokio::test]
async fn described_server_follows_a_replaced_policy() {
    let telemetry = Telemetry::new();
    let service = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let server = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(service);
    let unscrubbed = Policy::builder().scrub(Scrub::off()).build().unwrap();
    for (policy, is_shown) in [(unscrubbed, true), (Policy::default(), false)] {
        telemetry.propagator.set_policy(policy);
        for _ in 0..2 {
            let request =
                Request::get("/").header("host", "4111111111111111.example:8080").body(Body::empty()).unwrap();
            server.clone().oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        }
        for span in telemetry.spans().iter().rev().take(2) {
            assert_eq!(attribute(span, "server.address").is_some(), is_shown);
            assert_eq!(attribute(span, "server.port").as_deref(), Some("8080"));
        }
    }
}
