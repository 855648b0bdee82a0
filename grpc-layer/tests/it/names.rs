//! Callers cannot choose span names or time series.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};

use futures_util::StreamExt;
use opentelemetry::trace::SpanKind;
use propagation_grpc::{ClientPropagationLayer, DescriptorSetError, ServerPropagationLayer};
use tonic::{Status, body::Body, service::InterceptorLayer, transport::Server};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{
    echo::{Channel, Echo},
    telemetry::{Telemetry, attribute, connect, listen},
};

const UNARY: &str = "/test.Echo/Unary";

fn echo(telemetry: &Telemetry) -> Echo {
    Echo { propagator: telemetry.propagator.clone(), seen: Arc::default() }
}

fn call(path: &str) -> http::Request<Body> {
    http::Request::post(path).header("content-type", "application/grpc").body(Body::empty()).unwrap()
}

/// Calls a method with an empty request, and reads the whole response.
async fn send<S, B>(service: S, path: &str)
where
    S: Service<http::Request<Body>, Response = http::Response<B>, Error: std::fmt::Debug>,
    B: http_body::Body,
{
    if let Ok(response) = tokio::time::timeout(Duration::from_millis(20), service.oneshot(call(path))).await {
        let mut body = std::pin::pin!(response.unwrap().into_body());
        while std::future::poll_fn(|task| body.as_mut().poll_frame(task)).await.is_some() {}
    }
}

#[tokio::test]
async fn hostile_methods_share_one_name_and_series() {
    let telemetry = Telemetry::new();
    let authenticate = InterceptorLayer::new(|request: tonic::Request<()>| match request.metadata().get("token") {
        Some(_) => Ok(request),
        None => Err(Status::unauthenticated("who are you")),
    });
    let server = Server::builder()
        .layer(ServerPropagationLayer::new(telemetry.propagator.clone()))
        .layer(authenticate)
        .add_service(echo(&telemetry));
    let (socket, url) = listen().await;
    tokio::spawn(server.serve_with_incoming(socket));
    let channel = connect(&url).await;
    for n in 0..2_500 {
        send(channel.clone(), &format!("/evil.Svc{n}/Call{n}")).await;
    }
    let known = tonic::service::interceptor::InterceptedService::new(channel, |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("token", "yes".parse().unwrap());
        Ok(request)
    });
    for _ in 0..3 {
        known.unary(UNARY, "hello").await.unwrap();
    }
    telemetry.finished(&SpanKind::Server, 2_503).await;
    assert_eq!(telemetry.names(&SpanKind::Server), BTreeSet::from(["_OTHER".to_owned(), "test.Echo/Unary".to_owned()]));
    let series = telemetry.metrics.series("rpc.server.call.duration");
    let expected = [
        ("rpc.method=_OTHER rpc.status_code=UNAUTHENTICATED rpc.system.name=grpc".to_owned(), 2_500),
        ("rpc.method=test.Echo/Unary rpc.status_code=OK rpc.system.name=grpc".to_owned(), 3),
    ];
    assert_eq!(series, expected.into());
}

#[tokio::test]
async fn method_is_other_if_another_layer_responds() {
    type Answer = fn() -> Result<http::Response<Body>, Status>;
    let http = |status| http::Response::builder().status(status).body(Body::new("no".to_owned())).unwrap();
    let answers: [(&str, Answer); 7] = [
        ("interceptor", || Ok(Status::unauthenticated("").into_http())),
        ("rate limit", || Ok(Status::resource_exhausted("").into_http())),
        ("routing", || Ok(Status::unimplemented("").into_http())),
        ("error", || Err(Status::internal(""))),
        ("slow", || Ok(http::Response::new(Body::empty()))),
        ("HTTP 401", || Ok(http::Response::new(Body::empty()))),
        ("HTTP 200", || Ok(http::Response::new(Body::new("a page".to_owned())))),
    ];
    for (case, answer) in answers {
        let telemetry = Telemetry::new();
        let service = service_fn(move |_: http::Request<Body>| async move {
            if case == "slow" {
                std::future::pending::<()>().await;
            }
            if case == "HTTP 401" { Ok(http(401)) } else { answer() }
        });
        for layer in [
            ServerPropagationLayer::new(telemetry.propagator.clone()),
            ServerPropagationLayer::new(telemetry.propagator.clone()).with_methods(["shop.Orders/Place"]),
        ] {
            let service = layer.layer(service);
            let request = call("/evil.Svc/Call");
            if let Ok(Ok(response)) = tokio::time::timeout(Duration::from_millis(20), service.oneshot(request)).await {
                let mut body = std::pin::pin!(response.into_body());
                while std::future::poll_fn(|task| http_body::Body::poll_frame(body.as_mut(), task)).await.is_some() {}
            }
        }
        for span in telemetry.finished(&SpanKind::Server, 2).await {
            assert_eq!(span.name, "_OTHER", "{case}");
            assert_eq!(attribute(&span, "rpc.method").as_deref(), Some("_OTHER"), "{case}");
            assert_eq!(attribute(&span, "rpc.method_original").as_deref(), Some("evil.Svc/Call"), "{case}");
        }
        let series = telemetry.metrics.series("rpc.server.call.duration");
        assert!(series.len() == 1 && !series.keys().any(|name| name.contains("evil")), "{case}: {series:?}");
    }
}

#[tokio::test]
async fn method_is_learned_from_ok_or_from_a_message() {
    let telemetry = Telemetry::new();
    let channel = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(echo(&telemetry));
    channel.unary(UNARY, "broken").await.unwrap_err();
    channel.unary(UNARY, "hello").await.unwrap();
    channel.unary(UNARY, "broken").await.unwrap_err();
    // A stream that fails after a message.
    let mut answers = channel.stream(&["a", "broken"]).await.unwrap();
    while answers.next().await.is_some_and(|answer| answer.is_ok()) {}
    drop(channel.stream(&["broken"]).await.unwrap());
    let spans = telemetry.finished(&SpanKind::Server, 5).await;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["_OTHER", "test.Echo/Unary", "test.Echo/Unary", "test.Echo/Stream", "test.Echo/Stream"]);
    for span in &spans {
        assert_eq!(attribute(span, "rpc.method").as_deref(), Some(span.name.as_ref()));
    }
    let series = telemetry.metrics.series("rpc.server.call.duration");
    assert!(series.keys().any(|name| name.contains("rpc.method=test.Echo/Stream")), "the first one counts: {series:?}");
}

#[tokio::test]
async fn declared_method_has_its_name_though_it_only_fails() {
    let telemetry = Telemetry::new();
    let layer = || ServerPropagationLayer::new(telemetry.propagator.clone()).with_health_and_reflection(true);
    let refused = || service_fn(|_| async { Ok::<_, Infallible>(Status::unauthenticated("").into_http::<Body>()) });
    send(layer().with_methods(["shop.Orders/Place"]).layer(refused()), "/shop.Orders/Place").await;
    let described = layer().with_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET).unwrap();
    for path in ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/Evil"] {
        send(described.layer(refused()), path).await;
    }
    let spans = telemetry.finished(&SpanKind::Server, 4).await;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["shop.Orders/Place", "grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch", "_OTHER"]);
    assert_eq!(layer().with_descriptor_set(b"").unwrap_err(), DescriptorSetError::NoMethods);
    let error = layer().with_descriptor_set(b"syntax = \"proto3\"").unwrap_err();
    assert!(error.to_string().contains("FileDescriptorSet"), "{error}");
}

#[tokio::test]
async fn generated_client_names_its_methods_from_the_first_failure() {
    let telemetry = Telemetry::new();
    let refused = service_fn(|_: http::Request<Body>| async {
        Ok::<_, Infallible>(Status::unavailable("down").into_http::<Body>())
    });
    let channel = ClientPropagationLayer::new(telemetry.propagator.clone()).with_health_and_reflection(true);
    let mut client = HealthClient::new(channel.layer(refused));
    client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(telemetry.one(&SpanKind::Client).await.name, "grpc.health.v1.Health/Check");
}

#[tokio::test]
async fn client_without_generated_code_learns_its_methods() {
    let telemetry = Telemetry::new();
    let client = |methods: &[&str]| {
        ClientPropagationLayer::new(telemetry.propagator.clone()).with_methods(methods.iter().copied())
    };
    let other = client(&[]).layer(echo(&telemetry));
    other.unary("/test.Echo/Made", "hello").await.unwrap_err();
    other.unary(UNARY, "hello").await.unwrap();
    client(&["test.Echo/Unary"]).layer(echo(&telemetry)).unary(UNARY, "broken").await.unwrap_err();
    let spans = telemetry.finished(&SpanKind::Client, 3).await;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["_OTHER", "test.Echo/Unary", "test.Echo/Unary"]);
}
