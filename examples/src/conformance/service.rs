//! The HTTP side.

use std::time::Duration;

use axum::{Router, body::Bytes, extract::DefaultBodyLimit, http::StatusCode, routing::post};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use propagation_http::{ReqwestPropagation, ServerPropagationLayer};
use propagation_opentelemetry::{OpenTelemetryBridge, ReceivedIdGenerator};
use reqwest_middleware::ClientWithMiddleware;
use serde::Deserialize;
use tokio::net::TcpListener;
use tower::Service;

use super::Profile;

/// One call to make.
#[derive(Debug, Deserialize)]
struct Call {
    url: String,
    #[serde(default = "no_arguments")]
    arguments: serde_json::Value,
}

fn no_arguments() -> serde_json::Value {
    serde_json::Value::Array(Vec::new())
}

/// Limits above those of the crates, so that suites reach the crates: the maximum number of header lines,
const MAX_HEADERS: usize = 4096;
/// of their bytes,
const MAX_HEAD: usize = 2 << 20;
/// and of bytes of the body.
const MAX_BODY: usize = 64 << 20;

/// How long a host may take to be there.
const CONNECT: Duration = Duration::from_secs(5);

/// Serves every connection.
///
/// # Errors
///
/// As [`router`]; once it runs, it goes on.
pub async fn serve(listener: TcpListener) -> Result<(), Box<dyn std::error::Error>> {
    let router = router()?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files: some will be closed.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        tokio::spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            // A line that is no header of HTTP's, such as one with a control byte, counts for nothing; the request goes on.
            server.http1().max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD).ignore_invalid_headers(true);
            server.http2().max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
            let answer = service_fn(move |request| router.clone().call(request));
            // A broken connection does not affect others.
            let _ = server.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// The service: a route for every profile, 501 for any other path.
///
/// Sampling is the parent's, and always for a new trace. Spans are made and not exported.
///
/// # Errors
///
/// Only if the HTTP client can't be built.
pub fn router() -> Result<Router, Box<dyn std::error::Error>> {
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let provider =
        SdkTracerProvider::builder().with_sampler(sampler).with_id_generator(ReceivedIdGenerator::default()).build();
    // Ignores the environment's proxies. Each call opens a connection: small servers of suites close theirs after a response without
    // `connection: close`.
    let client = || reqwest::Client::builder().no_proxy().connect_timeout(CONNECT).pool_max_idle_per_host(0);

    let mut router = Router::new();
    for (name, profile) in Profile::all() {
        let bridge = OpenTelemetryBridge::new(provider.tracer("conformance"));
        let propagator = profile.builder()?.bridge(bridge).build();
        let redirects = reqwest::redirect::Policy::default();
        let (client, propagation) = ReqwestPropagation::with_client(propagator.clone(), client(), redirects)?;
        let client = reqwest_middleware::ClientBuilder::new(client).with(propagation).build();
        let handler = move |body: Bytes| forward(client.clone(), body);
        router = router.route(&format!("/{name}"), post(handler).layer(ServerPropagationLayer::new(propagator)));
    }
    let router = router.fallback(|| async { (StatusCode::NOT_IMPLEMENTED, "no such profile\n") });
    Ok(router.layer(DefaultBodyLimit::max(MAX_BODY)))
}

/// Makes the calls that a request asks for, in order.
async fn forward(client: ClientWithMiddleware, body: Bytes) -> (StatusCode, String) {
    let calls: Vec<Call> = match serde_json::from_slice(&body) {
        Ok(calls) => calls,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("not a list of calls: {error}\n")),
    };
    for (at, call) in calls.iter().enumerate() {
        if let Err(error) = client.post(&call.url).json(&call.arguments).send().await {
            return (StatusCode::BAD_GATEWAY, format!("call {at} failed: {error}\n"));
        }
    }
    (StatusCode::OK, format!("{} calls made\n", calls.len()))
}
