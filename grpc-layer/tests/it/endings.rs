//! The ends of calls: panics, disconnects, timeouts, lost connections.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use opentelemetry::trace::SpanKind;
use propagation_grpc::{ClientPropagationLayer, ServerPropagationLayer};
use tonic::{
    Code, Status,
    transport::{Endpoint, Server},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};
use tower::Layer;

use crate::{
    echo::{Channel, Echo},
    telemetry::{Telemetry, code, connect, ending, listen},
};

const UNARY: &str = "/test.Echo/Unary";

/// Serves the echo service, and returns its URL.
async fn serve(telemetry: &Telemetry) -> String {
    let echo = Echo { propagator: telemetry.propagator.clone(), seen: Arc::default() };
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone()).with_methods(["test.Echo/Unary"]);
    let (socket, url) = listen().await;
    tokio::spawn(Server::builder().layer(layer).add_service(echo).serve_with_incoming(socket));
    url
}

#[tokio::test]
async fn panic_in_a_handler_or_a_stream_is_an_error() {
    for stream in [false, true] {
        let telemetry = Telemetry::new();
        let channel = connect(&serve(&telemetry).await).await;
        if stream {
            let mut answers = channel.stream(&["a", "panic"]).await.unwrap();
            while answers.next().await.is_some_and(|answer| answer.is_ok()) {}
        } else {
            channel.unary(UNARY, "panic").await.unwrap_err();
        }
        let span = telemetry.one(&SpanKind::Server).await;
        assert_eq!(ending(&span), (None, Some("panic".to_owned()), true), "stream: {stream}");
    }
}

#[tokio::test]
async fn watch_closed_by_the_client_is_no_server_error() {
    let telemetry = Telemetry::new();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone()).with_health_and_reflection(true);
    let (socket, url) = listen().await;
    tokio::spawn(Server::builder().layer(layer).add_service(health).serve_with_incoming(socket));
    let layer = ClientPropagationLayer::new(telemetry.propagator.clone()).with_health_and_reflection(true);
    let mut client = HealthClient::new(layer.layer(connect(&url).await));
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().is_some());
    drop(watch);
    assert_eq!(ending(&telemetry.one(&SpanKind::Server).await), code("CANCELLED", false));
    assert_eq!(ending(&telemetry.one(&SpanKind::Client).await), code("CANCELLED", true));
    let series = telemetry.metrics.series("rpc.server.call.duration");
    assert!(series.keys().all(|series| !series.contains("error.type")), "{series:?}");
}

#[tokio::test]
async fn open_watch_outlives_a_graceful_shutdown() {
    let telemetry = Telemetry::new();
    let (reporter, health) = tonic_health::server::health_reporter();
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone()).with_health_and_reflection(true);
    let (socket, url) = listen().await;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let server = Server::builder().layer(layer).add_service(health);
    let server = tokio::spawn(server.serve_with_incoming_shutdown(socket, async { drop(stopped.await) }));
    let mut client = HealthClient::new(connect(&url).await);
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().is_some());
    stop.send(()).unwrap();
    reporter.set_service_status("", ServingStatus::NotServing).await;
    assert!(watch.message().await.unwrap().is_some(), "the stream goes on");
    assert!(telemetry.spans(&SpanKind::Server).is_empty());
    // A server that shuts down gracefully waits for this.
    drop((watch, client));
    server.await.unwrap().unwrap();
    assert_eq!(ending(&telemetry.one(&SpanKind::Server).await), code("CANCELLED", false));
}

/// Returns the name of a code on spans.
fn name(code: Code) -> String {
    let upper = |c: char| if c.is_uppercase() { format!("_{c}") } else { c.to_uppercase().to_string() };
    format!("{code:?}").chars().map(upper).collect::<String>().trim_start_matches('_').to_owned()
}

#[tokio::test]
async fn client_status_is_the_one_the_caller_receives() {
    for case in
        ["endpoint timeout", "call timeout", "no server", "server goes away", "load shed", "not found", "internal"]
    {
        let telemetry = Telemetry::new();
        let layer = ClientPropagationLayer::new(telemetry.propagator.clone());
        let (socket, url) = listen().await;
        let echo = Echo { propagator: telemetry.propagator.clone(), seen: Arc::default() };
        let server = tokio::spawn(Server::builder().add_service(echo).serve_with_incoming(socket));
        let endpoint = Endpoint::from_shared(url).unwrap();
        let lazy = endpoint.connect_lazy();
        let seen: Status = match case {
            "endpoint timeout" => {
                let channel = endpoint.timeout(Duration::from_millis(30)).connect().await.unwrap();
                layer.layer(channel).unary(UNARY, "slow").await.unwrap_err()
            }
            "call timeout" => layer.layer(lazy).unary_within("slow", Duration::from_millis(30)).await.unwrap_err(),
            "no server" => {
                let nowhere = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
                layer.layer(nowhere).unary(UNARY, "hello").await.unwrap_err()
            }
            "server goes away" => {
                // A server that accepts a connection and closes it.
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let url = format!("http://{}", listener.local_addr().unwrap());
                tokio::spawn(async move {
                    loop {
                        drop(listener.accept().await);
                    }
                });
                let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
                layer.layer(channel).unary(UNARY, "hello").await.unwrap_err()
            }
            "load shed" => {
                let full = tower::service_fn(|_: http::Request<tonic::body::Body>| async {
                    let shed: tower::BoxError = Box::new(tower::load_shed::error::Overloaded::new());
                    Err::<http::Response<tonic::body::Body>, _>(shed)
                });
                layer.layer(full).unary(UNARY, "hello").await.unwrap_err()
            }
            "not found" => layer.layer(lazy).unary(UNARY, "missing").await.unwrap_err(),
            _ => layer.layer(lazy).unary(UNARY, "broken").await.unwrap_err(),
        };
        server.abort();
        let span = telemetry.one(&SpanKind::Client).await;
        assert_eq!(ending(&span), code(&name(seen.code()), true), "{case}: {seen:?}");
        if case.ends_with("timeout") {
            assert_eq!(seen.code(), Code::Cancelled, "as tonic has it");
        }
    }
}

#[tokio::test]
async fn server_status_is_the_one_tonic_sends() {
    type Fails = fn() -> tower::BoxError;
    let cases: [(Fails, &str, bool); 4] = [
        (|| Box::new(Status::permission_denied("no")), "PERMISSION_DENIED", false),
        (|| Box::new(tower::load_shed::error::Overloaded::new()), "RESOURCE_EXHAUSTED", false),
        (|| Box::new(Status::data_loss("gone")), "DATA_LOSS", true),
        (|| "of no known type".into(), "UNKNOWN", true),
    ];
    for (fails, expected, failed) in cases {
        let telemetry = Telemetry::new();
        let service = tower::service_fn(move |_: http::Request<tonic::body::Body>| async move {
            Err::<http::Response<tonic::body::Body>, _>(fails())
        });
        let service = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(service);
        service.unary(UNARY, "hello").await.unwrap_err();
        assert_eq!(ending(&telemetry.one(&SpanKind::Server).await), code(expected, failed), "{expected}");
    }
}
