use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use propagation_core::{
    Hop, HopSpan, InboundRule, OutboundRule, Policy, PropagationContext, Propagator, SpanKind as Kind, TraceContext,
    TraceTrust,
};
use propagation_grpc::{
    Admitted, ClientInterceptor, ClientPropagationLayer, ServerInterceptor, ServerPropagationLayer,
};
use propagation_testkit::telemetry::{PARENT, TestTelemetry};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code,
    service::Interceptor,
    transport::{self, server::TcpConnectInfo},
};
use tower::{Layer, ServiceExt};

use crate::echo::{Channel, Echo};

const UNARY: &str = "/test.Echo/Unary";
const METHODS: [&str; 2] = ["test.Echo/Unary", "test.Echo/Stream"];

struct Setup {
    propagator: Propagator,
    memory: TestTelemetry,
    echo: Echo,
    channel: transport::Channel,
}

impl Setup {
    async fn new() -> Self {
        let policy = Policy::builder()
            .inbound(InboundRule::peers(["grpc:*"]).allow("tenant.id"))
            .outbound(OutboundRule::peers(["grpc:test.Echo"]).allow("tenant.id"))
            .build()
            .unwrap();
        let memory = TestTelemetry::new(policy);
        let propagator = memory.propagator.clone();
        let echo = Echo { propagator: propagator.clone(), seen: Arc::default() };

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = transport::Server::builder()
            .layer(ServerPropagationLayer::new(propagator.clone()).with_methods(METHODS).with_network_peer(true))
            .add_service(echo.clone());
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let channel = transport::Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { propagator, memory, echo, channel }
    }

    fn channel(&self) -> impl Channel + use<> {
        ClientPropagationLayer::new(self.propagator.clone())
            .with_methods(METHODS)
            .peer("test.Echo")
            .server("echo:50051")
            .layer(self.channel.clone())
    }

    fn caller(&self) -> HopSpan {
        let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
        context.baggage.set("tenant.id", "blue").unwrap();
        self.propagator.start(Hop::remote(Kind::Server, context).named("caller"))
    }

    async fn span(&self, name: &str, kind: SpanKind) -> SpanData {
        for _ in 0..200 {
            let spans = self.memory.spans();
            if let Some(span) = spans.into_iter().find(|span| span.name == name && span.span_kind == kind) {
                return span;
            }
            // The server's span ends with its body, possibly after the client has received it.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no {kind:?} span {name}")
    }
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|attribute| attribute.value.to_string())
}

#[tokio::test]
async fn call_joins_client_and_server_and_carries_baggage() {
    let setup = Setup::new().await;
    let answer = setup.caller().scope(setup.channel().unary(UNARY, "hello")).await.unwrap();
    assert_eq!(answer, "blue");
    let client = setup.span("test.Echo/Unary", SpanKind::Client).await;
    let server = setup.span("test.Echo/Unary", SpanKind::Server).await;
    assert_eq!(server.parent_span_id, client.span_context.span_id());
    assert_eq!(client.span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    for span in [&client, &server] {
        assert_eq!(attribute(span, "rpc.system.name").as_deref(), Some("grpc"));
        assert_eq!(attribute(span, "rpc.method").as_deref(), Some("test.Echo/Unary"));
        assert_eq!(attribute(span, "rpc.status_code").as_deref(), Some("OK"));
        assert!(attribute(span, "server.address").is_some());
        assert_eq!(span.status, Status::Unset);
    }
}

#[tokio::test]
async fn unknown_peer_receives_no_baggage() {
    let setup = Setup::new().await;
    let channel =
        ClientPropagationLayer::new(setup.propagator.clone()).with_methods(METHODS).layer(setup.channel.clone());
    assert_eq!(setup.caller().scope(channel.unary(UNARY, "hello")).await.unwrap(), "");
    assert!(setup.echo.seen.lock().unwrap()[0].trace.has_ids());
}

#[tokio::test]
async fn server_span_has_the_address_of_the_connection() {
    let setup = Setup::new().await;
    setup.caller().scope(setup.channel().unary(UNARY, "hello")).await.unwrap();
    let server = setup.span("test.Echo/Unary", SpanKind::Server).await;
    assert_eq!(attribute(&server, "network.peer.address").as_deref(), Some("127.0.0.1"));
    assert!(attribute(&server, "network.peer.port").is_some_and(|port| port.parse::<u16>().is_ok()));
}

#[tokio::test]
async fn caller_faults_are_no_server_errors() {
    for (asked, path, code, server_error) in [
        ("missing", UNARY, Code::NotFound, false),
        ("broken", UNARY, Code::Internal, true),
        ("", "/test.Echo/Nothing", Code::Unimplemented, true),
    ] {
        let setup = Setup::new().await;
        let answer = setup.caller().scope(setup.channel().unary(path, asked)).await;
        assert_eq!(answer.unwrap_err().code(), code);
        let name = if path == UNARY { "test.Echo/Unary" } else { "_OTHER" };
        let (client, server) = (setup.span(name, SpanKind::Client).await, setup.span(name, SpanKind::Server).await);
        assert!(matches!(client.status, Status::Error { .. }), "{asked}");
        assert_eq!(matches!(server.status, Status::Error { .. }), server_error, "{asked}");
        assert_eq!(attribute(&client, "error.type"), attribute(&client, "rpc.status_code"));
    }
}

#[tokio::test]
async fn span_covers_the_stream_and_its_messages() {
    let setup = Setup::new().await;
    let mut answers = setup.caller().scope(setup.channel().stream(&["a", "b", "c"])).await.unwrap();
    let ended = setup.memory.named("test.Echo/Stream");
    assert!(!ended.iter().any(|span| span.span_kind == SpanKind::Client), "the span lasts as long as the stream");
    let mut count = 0;
    while let Some(answer) = answers.next().await {
        assert_eq!(answer.unwrap().text, "blue");
        count += 1;
    }
    assert_eq!(count, 3);
    let server = setup.span("test.Echo/Stream", SpanKind::Server).await;
    let client = setup.span("test.Echo/Stream", SpanKind::Client).await;
    assert_eq!(attribute(&client, "rpc.status_code").as_deref(), Some("OK"));
    for context in setup.echo.seen.lock().unwrap().iter() {
        assert_eq!(context.trace.span_id().unwrap().to_string(), server.span_context.span_id().to_string());
    }
}

#[tokio::test]
async fn stream_that_fails_midway_ends_with_its_status() {
    let setup = Setup::new().await;
    let mut answers = setup.caller().scope(setup.channel().stream(&["a", "broken"])).await.unwrap();
    while answers.next().await.is_some_and(|answer| answer.is_ok()) {}
    let client = setup.span("test.Echo/Stream", SpanKind::Client).await;
    assert_eq!(attribute(&client, "error.type").as_deref(), Some("INTERNAL"));
}

#[tokio::test]
async fn dropped_stream_is_cancelled() {
    let setup = Setup::new().await;
    drop(setup.caller().scope(setup.channel().stream(&["a", "b"])).await.unwrap());
    let client = setup.span("test.Echo/Stream", SpanKind::Client).await;
    assert_eq!(attribute(&client, "rpc.status_code").as_deref(), Some("CANCELLED"));
}

#[tokio::test]
async fn interceptors_carry_the_context_without_spans() {
    let setup = Setup::new().await;
    let mut client = ClientInterceptor::new(setup.propagator.clone()).peer("test.Echo");
    let caller = setup.caller();
    let mut request = tonic::Request::new(());
    request.metadata_mut().insert("own", "stays".parse().unwrap());
    request.metadata_mut().insert_bin("own-bin", tonic::metadata::MetadataValue::from_bytes(b"\x00\xff"));
    let request = caller.in_scope(|| client.call(request)).unwrap();
    assert_eq!(request.metadata().get("own").unwrap(), "stays");
    assert_eq!(request.metadata().get_bin("own-bin").unwrap().to_bytes().unwrap().as_ref(), b"\x00\xff");
    assert_eq!(request.metadata().get("baggage").unwrap(), "tenant.id=blue");

    let received = ServerInterceptor::new(setup.propagator.clone()).call(request).unwrap();
    let Admitted(admission) = received.extensions().get().unwrap();
    assert_eq!(admission.context.trace.span_id(), caller.context().trace.span_id());
}

#[tokio::test]
async fn garbage_metadata_fails_no_call() {
    let setup = Setup::new().await;
    let garbage = |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("traceparent", "00-nonsense".parse().unwrap());
        request.metadata_mut().append("traceparent", ",,,".parse().unwrap());
        request.metadata_mut().insert("baggage", ",".repeat(4_000).parse().unwrap());
        Ok(request)
    };
    let channel = tonic::service::interceptor::InterceptedService::new(setup.channel.clone(), garbage);
    assert_eq!(channel.unary(UNARY, "hello").await.unwrap(), "");
    let server = setup.span("test.Echo/Unary", SpanKind::Server).await;
    assert_eq!(server.parent_span_id, opentelemetry::SpanId::INVALID);
}

#[tokio::test]
async fn one_sided_streams_run_in_one_span_per_side() {
    let setup = Setup::new().await;
    assert_eq!(setup.caller().scope(setup.channel().collect(&["a", "b", "c"])).await.unwrap(), "blue");
    let answers = setup.caller().scope(setup.channel().repeat("a")).await.unwrap();
    assert_eq!(answers.map(|answer| answer.unwrap().text).collect::<Vec<_>>().await, ["blue"; 3]);
    let mut seen = setup.echo.seen.lock().unwrap().clone().into_iter();
    for name in ["test.Echo/Collect", "test.Echo/Repeat"] {
        let (client, server) = (setup.span(name, SpanKind::Client).await, setup.span(name, SpanKind::Server).await);
        assert_eq!(server.parent_span_id, client.span_context.span_id(), "{name}");
        for span in [&client, &server] {
            assert_eq!(attribute(span, "rpc.status_code").as_deref(), Some("OK"), "{name}");
        }
        for context in seen.by_ref().take(3) {
            assert_eq!(context.trace.span_id().unwrap().to_string(), server.span_context.span_id().to_string());
        }
    }
}

#[tokio::test]
async fn dropped_handler_is_late_or_cancelled() {
    for (timeout, code) in [("1m", "DEADLINE_EXCEEDED"), ("1H", "CANCELLED"), ("soon", "CANCELLED")] {
        let setup = Setup::new().await;
        let slow = tower::service_fn(|_: http::Request<()>| {
            std::future::pending::<Result<http::Response<tonic::body::Body>, std::convert::Infallible>>()
        });
        let service = ServerPropagationLayer::new(setup.propagator.clone()).with_methods(METHODS).layer(slow);
        let request = call().header("grpc-timeout", timeout).body(()).unwrap();
        let answer = tokio::time::timeout(Duration::from_millis(10), service.oneshot(request)).await;
        assert!(answer.is_err());
        let server = setup.span("test.Echo/Unary", SpanKind::Server).await;
        assert_eq!(attribute(&server, "rpc.status_code").as_deref(), Some(code), "{timeout}");
        let late = code == "DEADLINE_EXCEEDED";
        assert_eq!(matches!(server.status, Status::Error { .. }), late, "{timeout}: a caller that leaves is no error");
    }
}

#[tokio::test]
async fn dropped_call_is_cancelled_for_the_client() {
    let setup = Setup::new().await;
    let channel = setup.channel();
    let call = setup.caller().scope(channel.unary(UNARY, "slow"));
    let given_up = tokio::time::timeout(Duration::from_millis(30), call).await;
    assert!(given_up.is_err());
    let client = setup.span("test.Echo/Unary", SpanKind::Client).await;
    assert_eq!(attribute(&client, "rpc.status_code").as_deref(), Some("CANCELLED"));
    assert_eq!(attribute(&client, "error.type").as_deref(), Some("CANCELLED"));
}

#[tokio::test]
async fn address_rule_matches_connections_and_trusted_proxies() {
    for (connection, forwarded, believed) in [
        ("192.168.7.7", "", true),
        ("203.0.113.7", "192.168.7.7", false),
        ("10.0.0.1", "192.168.7.7", true),
        ("10.0.0.1", "203.0.113.7", false),
    ] {
        let policy = Policy::builder()
            .inbound(InboundRule::peers(["address:192.168.0.0/16"]))
            .inbound(InboundRule::peers(["*"]).trust(TraceTrust::Restart))
            .build()
            .unwrap();
        let propagator = Propagator::builder().policy(policy).build();
        let asked = propagator.clone();
        let service = tower::service_fn(move |request: http::Request<()>| {
            assert!(request.extensions().get::<TcpConnectInfo>().is_some(), "tonic's extensions are preserved");
            assert!(asked.current().trace.has_ids() == believed, "{connection} {forwarded}");
            std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(tonic::body::Body::empty())))
        });
        let layer = ServerPropagationLayer::new(propagator).trusted_proxies(|proxy| proxy.to_string() == "10.0.0.1");
        let request = call().header("traceparent", PARENT).header("x-forwarded-for", forwarded);
        let connection = std::net::SocketAddr::new(connection.parse().unwrap(), 4711);
        let connection = TcpConnectInfo { local_addr: None, remote_addr: Some(connection) };
        layer.layer(service).oneshot(request.extension(connection).body(()).unwrap()).await.unwrap();
    }
}

fn call() -> http::request::Builder {
    http::Request::post(UNARY).header("content-type", "application/grpc")
}

/// A service that fails, or responds with plain HTTP.
fn answering(
    answer: Result<u16, std::io::ErrorKind>,
) -> impl tower::Service<
    http::Request<()>,
    Response = http::Response<tonic::body::Body>,
    Error = std::io::Error,
    Future = std::future::Ready<Result<http::Response<tonic::body::Body>, std::io::Error>>,
> {
    tower::service_fn(move |_: http::Request<()>| {
        let status = |status| http::Response::builder().status(status).body(tonic::body::Body::empty()).unwrap();
        std::future::ready(answer.map(status).map_err(std::io::Error::from))
    })
}

#[tokio::test]
async fn http_response_has_the_mapped_status() {
    for (status, code) in [
        (400, "INTERNAL"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "UNIMPLEMENTED"),
        (429, "UNAVAILABLE"),
        (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"),
        (504, "UNAVAILABLE"),
        (500, "UNKNOWN"),
        (302, "UNKNOWN"),
    ] {
        let setup = Setup::new().await;
        let client =
            ClientPropagationLayer::new(setup.propagator.clone()).with_methods(METHODS).layer(answering(Ok(status)));
        drop(client.oneshot(call().body(()).unwrap()).await.unwrap());
        let span = setup.span("test.Echo/Unary", SpanKind::Client).await;
        assert_eq!(attribute(&span, "rpc.status_code").as_deref(), Some(code), "{status}");
    }
}

#[tokio::test]
async fn call_without_a_response_keeps_its_error() {
    let setup = Setup::new().await;
    let request = || call().body(()).unwrap();
    let broken = || answering(Err(std::io::ErrorKind::BrokenPipe));
    let error = ClientPropagationLayer::new(setup.propagator.clone())
        .with_methods(METHODS)
        .layer(broken())
        .oneshot(request())
        .await
        .err();
    assert_eq!(error.unwrap().kind(), std::io::ErrorKind::BrokenPipe, "it fails as it would without us");
    let server = ServerPropagationLayer::new(setup.propagator.clone()).with_methods(METHODS).layer(broken());
    assert!(server.oneshot(request()).await.is_err());
    for (kind, code) in [(SpanKind::Client, "UNKNOWN"), (SpanKind::Server, "UNKNOWN")] {
        let span = setup.span("test.Echo/Unary", kind).await;
        assert_eq!(attribute(&span, "rpc.status_code").as_deref(), Some(code));
        assert_eq!(attribute(&span, "error.type").as_deref(), Some(code));
    }
}

/// A service that is never ready.
#[derive(Clone, Debug)]
struct Busy;

impl tower::Service<http::Request<()>> for Busy {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Pending
    }

    fn call(&mut self, _: http::Request<()>) -> Self::Future {
        unreachable!("never ready")
    }
}

#[tokio::test]
async fn readiness_is_that_of_the_inner_service() {
    fn is_ready(mut service: impl tower::Service<http::Request<()>>) -> bool {
        service.poll_ready(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
    }
    let setup = Setup::new().await;
    let client = ClientPropagationLayer::new(setup.propagator.clone()).with_methods(METHODS).peer("test.Echo");
    let server = ServerPropagationLayer::new(setup.propagator.clone()).with_methods(METHODS);
    assert!(!is_ready(client.layer(Busy)) && !is_ready(server.layer(Busy)));
    assert!(is_ready(client.layer(answering(Ok(200)))) && is_ready(server.layer(answering(Ok(200)))));
    assert!(format!("{server:?}").starts_with("ServerPropagationLayer {"));
    assert!(format!("{:?}", server.layer(Busy)).contains("inner: Busy"), "the inner service is printed");
}

#[tokio::test]
async fn baggage_of_other_code_on_metadata_is_merged() {
    let setup = Setup::new().await;
    let (propagator, mut context) = (setup.propagator.clone(), PropagationContext::EMPTY);
    let rule = OutboundRule::peers(["grpc:test.Echo"]).allow("tenant.id").allow("sentry-*");
    propagator.set_policy(Policy::builder().outbound(rule).build().unwrap());
    context.baggage.set("tenant.id", "blue").unwrap();
    let theirs = "sentry-release=1,tenant.id=red,secret=x";
    let hop = propagator.continue_from(context);

    let mut request = tonic::Request::new(());
    request.metadata_mut().insert("baggage", theirs.parse().unwrap());
    let mut interceptor = ClientInterceptor::new(propagator.clone()).peer("test.Echo");
    let sent = hop.in_scope(|| interceptor.call(request)).unwrap();
    assert_eq!(sent.metadata().get("baggage").unwrap(), "tenant.id=blue,sentry-release=1");

    let seen = Arc::<std::sync::Mutex<Option<String>>>::default();
    let wire = Arc::clone(&seen);
    let inner = tower::service_fn(move |request: http::Request<tonic::body::Body>| {
        *wire.lock().unwrap() = Some(format!("{:?}", request.headers()["baggage"]));
        std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(tonic::body::Body::empty())))
    });
    let client = ClientPropagationLayer::new(propagator.clone()).with_methods(METHODS).peer("test.Echo").layer(inner);
    let request = http::Request::post(UNARY).header("baggage", theirs).body(tonic::body::Body::empty()).unwrap();
    hop.scope(client.oneshot(request)).await.unwrap();
    assert_eq!(seen.lock().unwrap().as_deref(), Some("\"tenant.id=blue,sentry-release=1\""));
    let counted = |reason| propagator.counters().get(propagation_core::Direction::Outbound, reason);
    assert_eq!(counted(propagation_core::RejectReason::NotAllowed), 2, "the secret");
    assert_eq!(counted(propagation_core::RejectReason::DuplicateKey), 2, "the other tenant");
}
