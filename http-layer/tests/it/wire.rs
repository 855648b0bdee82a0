//! Behaviour on real sockets: disconnects, garbage, reused connections, concurrent requests.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use opentelemetry_sdk::trace::SpanData;
use propagation_core::{Hop, InboundRule, Policy, PropagationContext, Propagator, SpanKind, TraceContext};
use propagation_http::{ClientPropagationLayer, CurrentContext, ServerPropagationLayer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};
use tower::{Layer, ServiceExt, retry::RetryLayer};

use crate::{
    telemetry::{PARENT, TRACE, Telemetry, attribute},
    tree::serve,
};

async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Waits for a span to end: over a socket, one side does not observe the progress of the other.
async fn ended(telemetry: &Telemetry, name: &str) -> SpanData {
    for _ in 0..2_000 {
        if let Some(span) = telemetry.spans().into_iter().find(|span| span.name == name) {
            return span;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the span {name} does not end")
}

#[tokio::test]
async fn client_disconnect_ends_the_span() {
    let telemetry = Telemetry::new();
    let entered = Arc::new(Notify::new());
    let handler = |State(entered): State<Arc<Notify>>| async move {
        entered.notify_one();
        std::future::pending::<()>().await;
    };
    let app = Router::new().route("/slow", get(handler)).with_state(Arc::clone(&entered));
    let url = serve(app.layer(ServerPropagationLayer::new(telemetry.propagator.clone()))).await;
    let mut socket = connect(&url).await;
    socket.write_all(b"GET /slow HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    entered.notified().await;
    drop(socket);
    let span = ended(&telemetry, "GET /slow").await;
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(attribute(&span, "http.response.status_code"), None, "none was sent");
}

#[tokio::test]
async fn garbage_headers_do_not_affect_the_next_request() {
    let telemetry = Telemetry::new();
    let handler = |CurrentContext(context): CurrentContext| async move {
        format!("[{}|{}]", context.trace.trace_id().unwrap(), context.baggage.get("tenant.id").unwrap_or_default())
    };
    let app = Router::new().route("/", get(handler));
    let url = serve(app.layer(ServerPropagationLayer::new(telemetry.propagator.clone()))).await;
    let mut socket = connect(&url).await;
    let commas = ",".repeat(50_000);
    let mut answers = Vec::new();
    for headers in [
        format!("traceparent: {PARENT}\r\nbaggage: tenant.id=blue\r\n").into_bytes(),
        b"traceparent: \xff\xfe\r\ntracestate: \xff=,,\r\nbaggage: =\xff;;=,%zz\r\n".to_vec(),
        format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}-01\r\nbaggage: {commas}\r\n").into_bytes(),
        format!("traceparent: \r\ntracestate: {commas}\r\nbaggage:\r\n").into_bytes(),
        b"".to_vec(),
    ] {
        socket.write_all(&[b"GET / HTTP/1.1\r\nhost: shop\r\n", &*headers, b"\r\n"].concat()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"]") {
            assert!(socket.read_buf(&mut answer).await.unwrap() > 0, "the connection stays");
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answers.push(answer.rsplit_once('[').unwrap().1.to_owned());
    }
    assert_eq!(answers.remove(0), format!("{TRACE}|blue]"));
    for answer in &answers {
        assert!(!answer.starts_with(TRACE) && answer.ends_with("|]"), "{answer}");
    }
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 4, "each has a trace of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_keep_their_own_contexts() {
    let policy = Policy::builder().inbound(InboundRule::peers(["*"]).allow("tenant.id")).build().unwrap();
    let propagator = Propagator::builder().policy(policy).build();
    let handler = |State(propagator): State<Propagator>, Path(id): Path<String>| async move {
        for _ in 0..50 {
            if propagator.current().baggage.get("tenant.id").as_deref() != Some(&*id) {
                return "mixed up";
            }
            tokio::task::yield_now().await;
        }
        "own"
    };
    let app = Router::new().route("/{id}", get(handler)).with_state(propagator.clone());
    let url = serve(app.layer(ServerPropagationLayer::new(propagator.clone()))).await;
    let client = reqwest::Client::new();
    let mut asked = tokio::task::JoinSet::new();
    for id in 0..100 {
        let request = client.get(format!("{url}/t{id}")).header("baggage", format!("tenant.id=t{id}"));
        asked.spawn(async move { request.send().await.unwrap().text().await.unwrap() });
    }
    let answers = asked.join_all().await;
    assert_eq!(answers.len(), 100);
    assert!(answers.iter().all(|answer| answer == "own"), "{answers:?}");
    assert!(propagator.current().is_empty());
}

/// Retries on server errors, a number of times.
#[derive(Clone)]
struct Again(u8);

impl<B: Clone, R, E> tower::retry::Policy<Request<B>, Response<R>, E> for Again {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Request<B>, answer: &mut Result<Response<R>, E>) -> Option<Self::Future> {
        let again = self.0 > 0 && answer.as_ref().is_ok_and(|answer| answer.status().is_server_error());
        again.then(|| {
            self.0 -= 1;
            std::future::ready(())
        })
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn each_retry_has_its_own_span_and_headers() {
    let telemetry = Telemetry::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = |State(seen): State<Arc<Mutex<Vec<String>>>>, headers: HeaderMap| async move {
        let mut seen = seen.lock().unwrap();
        assert_eq!(headers.get_all("traceparent").iter().count(), 1);
        seen.push(headers["traceparent"].to_str().unwrap().to_owned());
        if seen.len() < 3 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    };
    let url = serve(Router::new().route("/", get(handler)).with_state(Arc::clone(&seen))).await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let client = ClientPropagationLayer::new(telemetry.propagator.clone()).layer(client);
    let client = RetryLayer::new(Again(2)).layer(client);

    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    context.baggage.set("tenant.id", "blue").unwrap();
    let hop = telemetry.propagator.start(Hop::remote(SpanKind::Server, context).named("server"));
    let request = Request::get(&url).body(Empty::new()).unwrap();
    let response = hop.scope(client.oneshot(request)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());

    let attempts: Vec<SpanData> = telemetry.spans().into_iter().filter(|span| span.name == "GET").collect();
    let statuses: Vec<_> = attempts.iter().map(|span| attribute(span, "http.response.status_code").unwrap()).collect();
    assert_eq!(statuses, ["503", "503", "200"]);
    for (span, seen) in attempts.iter().zip(seen.lock().unwrap().iter()) {
        assert_eq!(*seen, format!("00-{TRACE}-{}-01", span.span_context.span_id()));
        assert_eq!(span.parent_span_id.to_string(), hop.context().trace.span_id().unwrap().to_string());
    }
}

#[tokio::test]
async fn body_read_halfway_over_the_wire_is_cancelled_by_the_client() {
    let telemetry = Telemetry::new();
    let endless = || async {
        let parts = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1024])));
        Body::from_stream(parts)
    };
    let app = Router::new().route("/endless", get(endless));
    let url = serve(app.layer(ServerPropagationLayer::new(telemetry.propagator.clone()))).await;
    let mut response = crate::tree::client(&telemetry).get(format!("{url}/endless")).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    assert!(telemetry.spans().is_empty(), "both last as long as the body");
    drop(response);
    for (name, expected) in [("GET", Some("cancelled")), ("GET /endless", None)] {
        assert_eq!(attribute(&ended(&telemetry, name).await, "error.type").as_deref(), expected, "{name}");
    }
}
