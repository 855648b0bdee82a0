//! Upgrades and event streams: their tasks and streams have the context of the request.

use std::{convert::Infallible, future::IntoFuture, time::Duration};

use axum::{
    Router,
    extract::{State, WebSocketUpgrade, ws},
    response::{IntoResponse, Response, Sse, sse::Event},
    routing::get,
};
use futures_util::{StreamExt, stream};
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use opentelemetry::trace::Status;
use propagation_core::{
    PropagationContext, Propagator,
    task::{self, InContextExt},
};
use propagation_http::{ContextExecutor, ServerPropagationLayer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    telemetry::{PARENT, TRACE, Telemetry, attribute},
    tree::serve,
};

fn current_trace() -> String {
    PropagationContext::current().trace.trace_id().map(|id| id.to_string()).unwrap_or_default()
}

/// Opens a connection, sends an upgrade request by hyper, and returns the upgraded connection.
async fn upgrade(url: &str, path: &str, protocol: &str) -> impl AsyncRead + AsyncWrite + Unpin {
    let socket = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = Request::get(path)
        .header(header::HOST, "shop")
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, protocol)
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
        .header("traceparent", PARENT);
    let response = client.send_request(request.body(Empty::<&[u8]>::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    TokioIo::new(hyper::upgrade::on(response).await.unwrap())
}

/// Reads a text frame of less than 126 bytes.
async fn read_text(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = [0; 2];
    socket.read_exact(&mut head).await.unwrap();
    let mut text = vec![0; usize::from(head[1] & 0x7f)];
    socket.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

async fn websocket(State(propagator): State<Propagator>, upgrade: WebSocketUpgrade) -> Response {
    let current = task::Current::capture(&propagator);
    // axum runs the callback in a task of its own, which has no context.
    upgrade.on_upgrade(move |mut socket| {
        let bare = current_trace();
        current.scope(async move {
            let span = tracing::info_span!("message");
            let text = format!("{bare} {}", current_trace());
            drop(span);
            socket.send(ws::Message::Text(text.into())).await.unwrap();
        })
    })
}

#[tokio::test]
async fn websocket_task_has_the_context_of_its_request() {
    let telemetry = Telemetry::with(crate::telemetry::BridgeKind::Tracing);
    let app = Router::new().route("/socket", get(websocket)).with_state(telemetry.propagator.clone());
    let url = serve(app.layer(ServerPropagationLayer::new(telemetry.propagator.clone()))).await;
    let mut socket = upgrade(&url, "/socket", "websocket").await;
    assert_eq!(read_text(&mut socket).await, format!(" {TRACE}"));
    let request = telemetry.span("GET /socket");
    assert_eq!(attribute(&request, "http.response.status_code").as_deref(), Some("101"));
    assert_eq!((request.status, attribute(&telemetry.span("GET /socket"), "error.type")), (Status::Unset, None));
    let message = telemetry.span("message");
    assert_eq!(message.parent_span_id, request.span_context.span_id());
    assert_eq!(message.span_context.trace_id().to_string(), TRACE);
}

#[tokio::test]
async fn task_of_a_hyper_upgrade_has_the_context() {
    let telemetry = Telemetry::new();
    let propagator = telemetry.propagator.clone();
    let handler = move |request: axum::extract::Request| async move {
        let echo = async move {
            let mut socket = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            socket.write_all(current_trace().as_bytes()).await.unwrap();
        };
        tokio::spawn(echo.in_current_context(&propagator));
        (StatusCode::SWITCHING_PROTOCOLS, [(header::UPGRADE, "echo"), (header::CONNECTION, "upgrade")])
    };
    let app = Router::new().route("/echo", get(handler));
    let url = serve(app.layer(ServerPropagationLayer::new(telemetry.propagator.clone()))).await;
    let mut received = String::new();
    upgrade(&url, "/echo", "echo").await.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, TRACE);
    assert_eq!(telemetry.span("GET /echo").status, Status::Unset);
}

#[tokio::test]
async fn event_stream_runs_in_the_context_and_ends_the_span() {
    let telemetry = Telemetry::new();
    let handler = || async {
        let events = stream::iter(0..3).then(|n| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok::<_, Infallible>(Event::default().data(format!("{n} {}", current_trace())))
        });
        Sse::new(events)
    };
    let app = Router::new().route("/events", get(handler));
    let url = serve(app.layer(ServerPropagationLayer::new(telemetry.propagator.clone()))).await + "/events";
    let mut response = reqwest::Client::new().get(&url).header("traceparent", PARENT).send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(first, format!("data: 0 {TRACE}\n\n"));
    assert!(telemetry.spans().is_empty(), "the span lasts as long as the stream");
    let rest = response.text().await.unwrap();
    assert!(rest.contains(&format!("data: 2 {TRACE}")), "{rest}");
    let span = telemetry.span("GET /events");
    assert_eq!((&span.status, attribute(&span, "error.type")), (&Status::Unset, None));
}

/// Streams an event at once, and the last one when the server stops.
async fn first_and_last(State(mut stopped): State<watch::Receiver<bool>>) -> Response {
    let last = stream::once(async move {
        stopped.wait_for(|stopped| *stopped).await.unwrap();
        Ok(Event::default().data(format!("last {}", current_trace())))
    });
    let first = stream::iter([Ok::<_, Infallible>(Event::default().data("first"))]);
    Sse::new(first.chain(last)).into_response()
}

#[tokio::test]
async fn open_stream_outlives_a_graceful_shutdown() {
    let telemetry = Telemetry::new();
    let (stop, mut stopped) = watch::channel(false);
    let app = Router::new().route("/events", get(first_and_last)).with_state(stopped.clone());
    let app = app.layer(ServerPropagationLayer::new(telemetry.propagator.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let stopping = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
    let server = axum::serve(listener, app).with_graceful_shutdown(stopping);
    let server = tokio::spawn(server.into_future());
    let mut response = reqwest::Client::new().get(&url).header("traceparent", PARENT).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: first\n\n");
    assert!(telemetry.spans().is_empty(), "the stream is open");
    stop.send(true).unwrap();
    assert_eq!(response.text().await.unwrap(), format!("data: last {TRACE}\n\n"));
    server.await.unwrap().unwrap();
    let span = telemetry.span("GET /events");
    assert_eq!((&span.status, attribute(&span, "error.type")), (&Status::Unset, None));
}

/// Serves one HTTP/2 connection in the context of a hop, and returns the trace of the task that handles its stream.
async fn trace_of_stream(executor: impl FnOnce(&Propagator) -> Spawn) -> String {
    let propagator = Propagator::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let executor = executor(&propagator);
    let hop =
        propagator.continue_from(PropagationContext::new(propagation_core::TraceContext::new(PARENT.parse().unwrap())));
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(|_| async {
            // Handlers run in the task that hyper spawned for the stream.
            Ok::<_, Infallible>(http::Response::new(current_trace()))
        });
        let socket = TokioIo::new(socket);
        match executor {
            Spawn::Bare(executor) => {
                hop.scope(hyper::server::conn::http2::Builder::new(executor).serve_connection(socket, service)).await
            }
            Spawn::InContext(executor) => {
                hop.scope(hyper::server::conn::http2::Builder::new(executor).serve_connection(socket, service)).await
            }
        }
    });
    let socket = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, socket).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://shop/").body(Empty::<&[u8]>::new()).unwrap();
    let response = client.send_request(request).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

enum Spawn {
    Bare(hyper_util::rt::TokioExecutor),
    InContext(ContextExecutor<hyper_util::rt::TokioExecutor>),
}

#[tokio::test]
async fn executor_carries_the_context_into_tasks_of_hyper() {
    let tokio = hyper_util::rt::TokioExecutor::new;
    assert_eq!(trace_of_stream(|_| Spawn::Bare(tokio())).await, "");
    let carried = trace_of_stream(|propagator| Spawn::InContext(ContextExecutor::new(propagator.clone(), tokio())));
    assert_eq!(carried.await, TRACE);
}
