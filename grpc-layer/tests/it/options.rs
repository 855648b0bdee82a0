//! Recorded metadata, excluded calls, retries, baggage from headers and claims, and gRPC in an axum router.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use axum::{Router, routing::get};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, Request, Response};
use http_body_util::{BodyExt, Full};
use opentelemetry::trace::SpanKind;
use propagation_core::{InboundRule, KeyRule, Policy, Propagator};
use propagation_grpc::{ClientPropagationLayer, ServerInterceptor, ServerPropagationLayer};
use propagation_http::{Exclusions, ResendCountLayer};
use tonic::{
    Status,
    body::Body,
    service::{Interceptor, Routes, interceptor::InterceptedService},
    transport::Server,
};
use tower::{Layer, ServiceBuilder, ServiceExt};

use crate::{
    echo::{Channel, Echo},
    telemetry::{Telemetry, attribute, connect, listen},
};

fn echo(propagator: &Propagator) -> Echo {
    Echo { propagator: propagator.clone(), seen: Arc::default() }
}

fn names<const N: usize>(names: [&'static str; N]) -> [HeaderName; N] {
    names.map(HeaderName::from_static)
}

/// Starts a server with a layer, which adds response metadata.
async fn serve(propagator: &Propagator, layer: ServerPropagationLayer) -> tonic::transport::Channel {
    let (socket, url) = listen().await;
    let with_metadata = tower::util::MapResponseLayer::new(|mut response: Response<Body>| {
        response.headers_mut().insert("x-served-by", "node-7".parse().unwrap());
        response.headers_mut().insert("set-cookie", "secret".parse().unwrap());
        response
    });
    let server = Server::builder().layer(layer).layer(with_metadata).add_service(echo(propagator));
    tokio::spawn(server.serve_with_incoming(socket));
    connect(&url).await
}

#[tokio::test]
async fn listed_metadata_is_recorded_except_credentials() {
    let telemetry = Telemetry::new();
    let (asked, returned) = (names(["x-tenant", "authorization"]), names(["x-served-by", "set-cookie", "grpc-status"]));
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone())
        .record_request_metadata(asked.clone())
        .record_response_metadata(returned.clone());
    let client = ClientPropagationLayer::new(telemetry.propagator.clone())
        .record_request_metadata(asked)
        .record_response_metadata(returned);
    let channel = client.layer(serve(&telemetry.propagator, layer).await);
    let with_metadata = |mut request: tonic::Request<()>| {
        for (name, value) in [("x-tenant", "blue"), ("authorization", "Bearer secret"), ("x-other", "no")] {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        Ok(request)
    };
    InterceptedService::new(channel, with_metadata).unary("/test.Echo/Unary", "hello").await.unwrap();
    for kind in [SpanKind::Server, SpanKind::Client] {
        let span = telemetry.one(&kind).await;
        let found = |key: &str| attribute(&span, key);
        assert_eq!(found("rpc.request.metadata.x-tenant").as_deref(), Some("[\"blue\"]"), "{kind:?}");
        assert_eq!(found("rpc.response.metadata.x-served-by").as_deref(), Some("[\"node-7\"]"), "{kind:?}");
        assert_eq!(found("rpc.response.metadata.grpc-status").as_deref(), Some("[\"0\"]"), "trailers, {kind:?}");
        let all = format!("{:?}", span.attributes);
        assert!(!all.contains("secret") && !all.contains("x-other"), "{all}");
    }
}

#[tokio::test]
async fn excluded_call_propagates_without_a_span() {
    let telemetry = Telemetry::new();
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone())
        .exclude(Exclusions::new().path("/test.Echo/Unary"))
        .filter(|head| head.uri.path() != "/test.Echo/Repeat");
    let client = ClientPropagationLayer::new(telemetry.propagator.clone())
        .exclude(Exclusions::new().path_prefix("/test.Echo/Unary"))
        .filter(|head| head.uri.path() != "/test.Echo/Repeat");
    let server = echo(&telemetry.propagator);
    let channel = client.layer(layer.layer(server.clone()));
    let caller = telemetry.caller();
    caller.scope(channel.unary("/test.Echo/Unary", "hello")).await.unwrap();
    let mut stream = caller.scope(channel.repeat("hello")).await.unwrap();
    while stream.message().await.unwrap().is_some() {}
    assert!(telemetry.spans(&SpanKind::Server).is_empty() && telemetry.spans(&SpanKind::Client).is_empty());
    let seen = std::mem::take(&mut *server.seen.lock().unwrap());
    assert!(seen.len() > 1 && seen.iter().all(|context| context.trace.trace_id() == caller.context().trace.trace_id()));
    caller.scope(channel.collect(&["hello"])).await.unwrap();
    assert_eq!((telemetry.spans(&SpanKind::Server).len(), telemetry.spans(&SpanKind::Client).len()), (1, 1));
}

/// Retries UNAVAILABLE.
#[derive(Clone)]
struct Retries;

impl<B, E> tower::retry::Policy<Request<Full<Bytes>>, Response<B>, E> for Retries {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Full<Bytes>>,
        result: &mut Result<Response<B>, E>,
    ) -> Option<std::future::Ready<()>> {
        let status = result.as_ref().ok()?.headers().get("grpc-status")?;
        (status == "14").then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn retries_around_a_channel_have_spans_and_counts() {
    let telemetry = Telemetry::new();
    let calls = Arc::new(AtomicU32::new(0));
    let flaky = move || async move {
        match calls.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Status::unavailable("busy").into_http::<axum::body::Body>(),
            _ => Status::not_found("gone").into_http(),
        }
    };
    let (socket, url) = listen().await;
    let routes = Routes::from(Router::new().fallback(flaky));
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(socket));
    let client = ServiceBuilder::new()
        .layer(ResendCountLayer::new())
        .retry(Retries)
        .map_request(|request: Request<Full<Bytes>>| request.map(Body::new))
        .layer(ClientPropagationLayer::new(telemetry.propagator.clone()).with_methods(["test.Echo/Unary"]))
        .service(connect(&url).await);
    let request = Request::post("/test.Echo/Unary").header("content-type", "application/grpc").header("te", "trailers");
    let request = request.body(Full::new(Bytes::from_static(&[0, 0, 0, 0, 0]))).unwrap();
    client.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    let spans = telemetry.finished(&SpanKind::Client, 3).await;
    let counts: Vec<_> = spans.iter().map(|span| attribute(span, "http.request.resend_count")).collect();
    assert_eq!(counts, [None, Some("1".to_owned()), Some("2".to_owned())]);
    let errors: Vec<_> = spans.iter().map(|span| attribute(span, "error.type").unwrap()).collect();
    assert_eq!(errors, ["UNAVAILABLE", "UNAVAILABLE", "NOT_FOUND"]);
}

#[tokio::test]
async fn metadata_and_claims_become_baggage_by_the_policy() {
    let rule = InboundRule::peers(["grpc:*"])
        .baggage_from_header("x-tenant", KeyRule::new("tenant.id").values(["blue"]))
        .baggage_from_claim("plan", "user.plan");
    let propagator = Propagator::builder().policy(Policy::builder().inbound(rule).build().unwrap()).build();
    let layer = ServerPropagationLayer::new(propagator.clone());
    let layer = layer.claims(|_, name| (name == "plan").then(|| "pro".to_owned()));
    let server = echo(&propagator);
    let (socket, url) = listen().await;
    tokio::spawn(Server::builder().layer(layer).add_service(server.clone()).serve_with_incoming(socket));
    let channel = connect(&url).await;
    for (tenant, expected) in [("blue", "blue"), ("red", "")] {
        let with_metadata = |mut request: tonic::Request<()>| {
            request.metadata_mut().insert("x-tenant", tenant.parse().unwrap());
            request.metadata_mut().insert("baggage", "tenant.id=forged".parse().unwrap());
            Ok(request)
        };
        let client = InterceptedService::new(channel.clone(), with_metadata);
        assert_eq!(client.unary("/test.Echo/Unary", "hello").await.unwrap(), expected, "{tenant}");
    }
    assert!(
        server.seen.lock().unwrap().iter().all(|context| context.baggage.get("user.plan").as_deref() == Some("pro"))
    );

    let mut interceptor = ServerInterceptor::new(propagator).claims(|_, _| Some("free".to_owned()));
    let received = interceptor.call(tonic::Request::new(())).unwrap();
    let propagation_grpc::Admitted(admission) = received.extensions().get().unwrap();
    assert_eq!(admission.context.baggage.get("user.plan").as_deref(), Some("free"));
}

#[tokio::test]
async fn grpc_in_an_axum_router_is_distinguished_from_http() {
    let telemetry = Telemetry::new();
    let routes = Routes::new(echo(&telemetry.propagator));
    let router: Router = routes.into_axum_router().route("/orders/{id}", get(|| async { "an order" }));
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router.layer(layer)).await.unwrap() });
    let channel = connect(&url).await;
    channel.unary("/test.Echo/Unary", "hello").await.unwrap();
    assert!(channel.unary("/test.Echo/Unary", "missing").await.is_err());
    let plain = Request::get("/orders/7").body(Body::empty()).unwrap();
    assert_eq!(channel.oneshot(plain).await.unwrap().status(), 200);
    let spans = telemetry.finished(&SpanKind::Server, 3).await;
    let shown: Vec<_> = spans
        .iter()
        .map(|span| {
            (span.name.to_string(), attribute(span, "rpc.method"), attribute(span, "http.response.status_code"))
        })
        .collect();
    let call = || ("test.Echo/Unary".to_owned(), Some("test.Echo/Unary".to_owned()), None);
    assert_eq!(shown, [call(), call(), ("GET /orders/{id}".to_owned(), None, Some("200".to_owned()))]);
}

#[tokio::test]
async fn caught_panic_is_seen_by_a_second_layer() {
    let telemetry = Telemetry::new();
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone());
    let inner = layer.layer(echo(&telemetry.propagator));
    let catching = tower::service_fn(move |request: Request<Body>| {
        let inner = inner.clone();
        async move {
            let call = std::panic::AssertUnwindSafe(inner.oneshot(request)).catch_unwind().await;
            Ok::<_, std::convert::Infallible>(match call {
                Ok(Ok(response)) => response.map(Body::new),
                _ => Status::internal("caught").into_http(),
            })
        }
    });
    let failed = layer.layer(catching).unary("/test.Echo/Unary", "panic").await.unwrap_err();
    assert_eq!(failed.code(), tonic::Code::Internal);
    assert_eq!(attribute(&telemetry.one(&SpanKind::Server).await, "error.type").as_deref(), Some("panic"));
}
