//! Other layers and services: grpc-web, plain HTTP, health, reflection, the HTTP layer, `Buffer`.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use opentelemetry::trace::SpanKind;
use propagation_core::{InboundRule, Policy, Propagator, TraceTrust};
use propagation_grpc::{Admitted, ClientPropagationLayer, ServerInterceptor, ServerPropagationLayer};
use propagation_http::CallerContextLayer;
use tonic::{
    body::Body,
    service::{Interceptor, Routes},
    transport::Server,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_web::{GrpcWebCall, GrpcWebClientLayer, GrpcWebLayer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::{
    echo::{Channel, Echo},
    telemetry::{Telemetry, attribute, code, connect, ending, listen},
};

fn echo(telemetry: &Telemetry) -> Echo {
    Echo { propagator: telemetry.propagator.clone(), seen: Arc::default() }
}

fn layer(telemetry: &Telemetry) -> ServerPropagationLayer {
    ServerPropagationLayer::new(telemetry.propagator.clone())
}

/// Sends a request, and returns the bytes of its response.
async fn send<S, B>(service: S, request: Request<Body>) -> (http::StatusCode, Vec<u8>)
where
    S: Service<Request<Body>, Response = Response<B>, Error: std::fmt::Debug>,
    B: http_body::Body<Data = bytes::Bytes, Error: std::fmt::Debug>,
{
    let response = service.oneshot(request).await.unwrap();
    let status = response.status();
    let mut body = std::pin::pin!(response.into_body());
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|task| body.as_mut().poll_frame(task)).await {
        bytes.extend(frame.unwrap().into_data().unwrap_or_default());
    }
    (status, bytes)
}

/// A call with one message, `text`, in a grpc-web frame.
fn web(path: &str, text: &str, encoding: &str) -> Request<Body> {
    let message = [&[10, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let frame = [&[0, 0, 0, 0, u8::try_from(message.len()).unwrap()], message.as_slice()].concat();
    let body = if encoding.contains("text") { base64(&frame).into_bytes() } else { frame };
    let request = Request::post(path).header("content-type", encoding).header("accept", encoding);
    request.body(Body::new(http_body_util::Full::new(bytes::Bytes::from(body)))).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for part in bytes.chunks(3) {
        let bits = part.iter().enumerate().fold(0_u32, |bits, (n, byte)| bits | u32::from(*byte) << (16 - 8 * n));
        for n in 0..4 {
            let sextet = usize::try_from(bits >> (18 - 6 * n) & 63).unwrap();
            encoded.push(if n <= part.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    encoded
}

#[tokio::test]
async fn grpc_web_status_is_read_in_either_layer_order() {
    for encoding in ["application/grpc-web+proto", "application/grpc-web-text+proto", "application/grpc-web-text"] {
        for (path, asked, expected) in [
            ("/test.Echo/Unary", "hello", code("OK", false)),
            ("/test.Echo/Unary", "missing", code("NOT_FOUND", false)),
            ("/test.Echo/Unary", "broken", code("INTERNAL", true)),
            ("/test.Echo/Repeat", "hello", code("OK", false)),
            ("/test.Echo/Repeat", "broken", code("INTERNAL", true)),
            ("/test.Echo/Nothing", "hello", code("UNIMPLEMENTED", true)),
        ] {
            for ours_outside in [true, false] {
                let telemetry = Telemetry::new();
                let routes = Routes::new(echo(&telemetry));
                let request = web(path, asked, encoding);
                let (status, bytes) = if ours_outside {
                    send(layer(&telemetry).layer(GrpcWebLayer::new().layer(routes)), request).await
                } else {
                    send(GrpcWebLayer::new().layer(layer(&telemetry).layer(routes)), request).await
                };
                assert_eq!(status, 200);
                let case = format!("{encoding} {path} {asked} outside: {ours_outside}, {} bytes", bytes.len());
                let span = telemetry.one(&SpanKind::Server).await;
                assert_eq!(ending(&span), expected, "{case}");
                let name = if asked == "hello" && !path.ends_with("Nothing") { &path[1..] } else { "_OTHER" };
                assert_eq!(span.name, name, "{case}");
            }
        }
    }
}

/// tonic-web's body calls itself ended after the message, while it holds the trailers.
#[tokio::test]
async fn grpc_web_client_gets_its_trailers() {
    use http_body_util::BodyExt;
    for (asked, status) in [("hello", "0"), ("missing", "5")] {
        let telemetry = Telemetry::new();
        let server = GrpcWebLayer::new().layer(Routes::new(echo(&telemetry)));
        let server = tower::service_fn(move |request: Request<GrpcWebCall<Body>>| {
            let server = server.clone();
            async move {
                let (head, body) = server.oneshot(request).await.unwrap().into_parts();
                // All in one piece, as a small response arrives.
                let bytes = body.collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(Response::from_parts(head, http_body_util::Full::new(bytes)))
            }
        });
        let client = ClientPropagationLayer::new(telemetry.propagator.clone());
        let client = client.layer(GrpcWebClientLayer::new().layer(server));
        let mut request = web("/test.Echo/Unary", asked, "application/grpc");
        *request.uri_mut() = "http://echo.internal/test.Echo/Unary".parse().unwrap();
        let (head, body) = client.oneshot(request).await.unwrap().into_parts();
        let trailers = body.collect().await.unwrap().trailers().cloned().unwrap_or(head.headers);
        assert_eq!(trailers.get("grpc-status").unwrap(), status, "{asked}");
        assert_eq!(
            ending(&telemetry.one(&SpanKind::Client).await),
            code(if status == "0" { "OK" } else { "NOT_FOUND" }, status != "0")
        );
    }
}

#[tokio::test]
async fn plain_http_beside_grpc_is_http() {
    use axum::{Router, http::StatusCode, routing::get};
    let telemetry = Telemetry::new();
    let http = Router::new()
        .route("/metrics", get(|| async { "up 1" }))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }));
    let routes = Routes::from(http).add_service(echo(&telemetry));
    let (socket, url) = listen().await;
    let server = Server::builder().accept_http1(true).layer(layer(&telemetry)).add_routes(routes);
    tokio::spawn(server.serve_with_incoming(socket));
    let channel = connect(&url).await;
    for (path, status) in [("/metrics", 200), ("/broken", 500), ("/nowhere/at/all", 404)] {
        let (answered, _) = send(channel.clone(), Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answered, status, "{path}");
    }
    channel.unary("/test.Echo/Unary", "hello").await.unwrap();
    let spans = telemetry.finished(&SpanKind::Server, 4).await;
    for (span, status) in spans.iter().zip(["200", "500", "404"]) {
        assert_eq!(span.name, "GET");
        assert_eq!(attribute(span, "http.response.status_code").as_deref(), Some(status));
        assert_eq!((attribute(span, "rpc.system.name"), attribute(span, "rpc.method")), (None, None));
        assert_eq!(attribute(span, "error.type").as_deref(), Some("500").filter(|_| status == "500"));
    }
    assert_eq!(spans[3].name, "test.Echo/Unary");
    assert!(telemetry.metrics.series("http.server.request.duration").len() == 3);
}

#[tokio::test]
async fn layers_of_http_and_grpc_make_one_server_span() {
    for (asked, expected) in
        [("hello", code("OK", false)), ("missing", code("NOT_FOUND", false)), ("broken", code("INTERNAL", true))]
    {
        for order in ["http, grpc", "grpc, http", "grpc, grpc", "http, grpc, grpc", "grpc, http, grpc"] {
            let telemetry = Telemetry::new();
            let http = propagation_http::ServerPropagationLayer::new(telemetry.propagator.clone());
            let grpc = layer(&telemetry).with_methods(["test.Echo/Unary"]);
            let mut service: tower::util::BoxCloneService<Request<Body>, Response<Body>, Infallible> =
                echo(&telemetry).boxed_clone();
            for each in order.split(", ").collect::<Vec<_>>().into_iter().rev() {
                service = if each == "http" {
                    http.layer(service).map_response(|response: Response<_>| response.map(Body::new)).boxed_clone()
                } else {
                    grpc.layer(service).map_response(|response: Response<_>| response.map(Body::new)).boxed_clone()
                };
            }
            let _ = service.unary("/test.Echo/Unary", asked).await;
            let span = telemetry.one(&SpanKind::Server).await;
            assert_eq!(span.name, "test.Echo/Unary", "{order}");
            assert_eq!(attribute(&span, "rpc.method").as_deref(), Some("test.Echo/Unary"), "{order}");
            assert_eq!(ending(&span), expected, "{order} {asked}");
            assert_eq!(telemetry.metrics.series("rpc.server.call.duration").values().sum::<u64>(), 1, "{order}");
            assert!(telemetry.metrics.series("http.server.request.duration").is_empty(), "{order}");
        }
    }
}

#[tokio::test]
async fn health_and_reflection_make_no_spans_unless_asked() {
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_client::ServerReflectionClient};
    for spans in [false, true] {
        let telemetry = Telemetry::new();
        let (_reporter, health) = tonic_health::server::health_reporter();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .unwrap();
        let (socket, url) = listen().await;
        let mut server = Server::builder().layer(layer(&telemetry).with_health_and_reflection(spans));
        tokio::spawn(server.add_service(health).add_service(reflection).serve_with_incoming(socket));
        let client = ClientPropagationLayer::new(telemetry.propagator.clone()).with_health_and_reflection(spans);
        let channel = client.layer(connect(&url).await);
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
        let asked = tokio_stream::once(ServerReflectionRequest::default());
        let mut answers =
            ServerReflectionClient::new(channel).server_reflection_info(asked).await.unwrap().into_inner();
        while let Ok(Some(_)) = answers.message().await {}
        for kind in [SpanKind::Server, SpanKind::Client] {
            telemetry.finished(&kind, if spans { 2 } else { 0 }).await;
        }
    }
}

#[tokio::test]
async fn server_address_of_a_client_is_never_the_peer() {
    let telemetry = Telemetry::new();
    let peer = || ClientPropagationLayer::new(telemetry.propagator.clone()).peer("shop.Orders");
    let uri = "http://orders.internal:50051".parse().unwrap();
    for (client, address) in [(peer(), None), (peer().endpoint(&uri), Some("orders.internal"))] {
        client.layer(echo(&telemetry)).unary("/test.Echo/Unary", "hello").await.unwrap();
        let span = telemetry.spans(&SpanKind::Client).pop().unwrap();
        assert_eq!(attribute(&span, "server.address").as_deref(), address);
        assert_eq!(attribute(&span, "server.port").as_deref(), address.map(|_| "50051"));
    }
    // A request whose URI has an authority.
    let service = peer().layer(echo(&telemetry));
    send(service, Request::post("http://billing:81/test.Echo/Unary").body(Body::empty()).unwrap()).await;
    let span = telemetry.spans(&SpanKind::Client).pop().unwrap();
    assert_eq!(attribute(&span, "server.address").as_deref(), Some("billing"));
}

#[tokio::test]
async fn caller_context_crosses_a_buffer_to_a_channel() {
    let telemetry = Telemetry::new();
    let channel = ServiceBuilder::new()
        .layer(CallerContextLayer::new(telemetry.propagator.clone()))
        .buffer(4)
        .layer(ClientPropagationLayer::new(telemetry.propagator.clone()))
        .service(echo(&telemetry));
    let caller = telemetry.caller();
    caller.scope(channel.unary("/test.Echo/Unary", "hello")).await.unwrap();
    let span = telemetry.one(&SpanKind::Client).await;
    assert_eq!(span.parent_span_id.to_string(), caller.context().trace.span_id().unwrap().to_string());
}

#[tokio::test]
async fn interceptor_knows_identity_and_proxies() {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["address:192.168.0.0/16", "identity:partner"]))
        .inbound(InboundRule::peers(["*"]).trust(TraceTrust::Restart))
        .build()
        .unwrap();
    for (connection, forwarded, identity, admitted) in [
        ("192.168.7.7", "", "", true),
        ("203.0.113.7", "192.168.7.7", "", false),
        ("10.0.0.1", "192.168.7.7", "", true),
        ("203.0.113.7", "", "partner", true),
        ("203.0.113.7", "", "stranger", false),
    ] {
        let propagator = Propagator::builder().policy(policy.clone()).build();
        let mut interceptor = ServerInterceptor::new(propagator)
            .trusted_proxies(|proxy| proxy.to_string() == "10.0.0.1")
            .identity(|request| Some(request.metadata().get("identity")?.to_str().ok()?.to_owned()));
        let mut request = tonic::Request::new(());
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (name, value) in [("traceparent", parent), ("x-forwarded-for", forwarded), ("identity", identity)] {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        request
            .extensions_mut()
            .insert(propagation_http::PeerAddress::from(connection.parse::<std::net::IpAddr>().unwrap()));
        let received = interceptor.call(request).unwrap();
        let Admitted(admission) = received.extensions().get().unwrap();
        assert_eq!(admission.context.trace.has_ids(), admitted, "{connection} {forwarded} {identity}");
    }
}
