//! The HTTP side.

use axum::{Router, body::Bytes, http::StatusCode, routing::post};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use propagation_core::bridge::opentelemetry_0_33::OpenTelemetryBridge;
use propagation_http::{ReqwestPropagation, ServerPropagationLayer};
use reqwest_middleware::ClientWithMiddleware;
use serde::Deserialize;

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

/// The service: a route for every profile, 501 for any other path.
///
/// Sampling is the parent's, and always for a new trace. Spans are made and not exported.
///
/// # Errors
///
/// Only if the HTTP client can't be built.
pub fn router() -> Result<Router, Box<dyn std::error::Error>> {
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
    // A proxy of the environment is none of a suite's business.
    let client = ReqwestPropagation::client_builder().no_proxy().build()?;

    let mut router = Router::new();
    for (name, profile) in Profile::all() {
        let bridge = OpenTelemetryBridge::new(provider.tracer("conformance"));
        let propagator = profile.builder()?.bridge(bridge).build();
        let client = reqwest_middleware::ClientBuilder::new(client.clone())
            .with(ReqwestPropagation::new(propagator.clone()))
            .build();
        let handler = move |body: Bytes| forward(client.clone(), body);
        router = router.route(&format!("/{name}"), post(handler).layer(ServerPropagationLayer::new(propagator)));
    }
    Ok(router.fallback(|| async { (StatusCode::NOT_IMPLEMENTED, "no such profile\n") }))
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
