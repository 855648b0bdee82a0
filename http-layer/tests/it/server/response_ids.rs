//! Response headers with the ids of the server's span.

use axum::{Router, body::Body, response::Response, routing::get};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{InboundRule, OutboundRule, Policy, Propagator, TraceTrust, policy::PolicyBuilder};
use propagation_http::ServerPropagationLayer;
use propagation_opentelemetry::OpenTelemetryBridge;
use tower::ServiceExt;

use super::request;
use crate::telemetry::{TRACE, Telemetry};

fn app(propagator: Propagator) -> Router {
    let layer = ServerPropagationLayer::new(propagator).with_traceresponse(true).with_server_timing(true);
    let layer = layer.filter(|request| request.uri.path() != "/silent");
    let timed = || async { ([("server-timing", "db;dur=53")], "") };
    Router::new().route("/", get(timed)).route("/silent", get(timed)).layer(layer.clone()).layer(layer)
}

fn propagator(policy: PolicyBuilder) -> Propagator {
    let bridge = OpenTelemetryBridge::new(SdkTracerProvider::builder().build().tracer("app"));
    Propagator::builder().policy(policy.build().unwrap()).bridge(bridge).build()
}

fn ids(response: &Response) -> (Option<String>, Vec<String>) {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let timings = response.headers().get_all("server-timing").iter().map(text).collect();
    (response.headers().get("traceresponse").map(text), timings)
}

#[tokio::test]
async fn response_has_the_ids_of_the_servers_span() {
    let telemetry = Telemetry::new();
    let response = app(telemetry.propagator.clone()).oneshot(request("/")).await.unwrap();
    let (traceresponse, timings) = ids(&response);
    drop(response);
    let span = telemetry.spans()[0].span_context.span_id();
    let expected = format!("00-{TRACE}-{span}-01");
    assert_eq!(traceresponse.as_deref(), Some(&*expected));
    // One entry, although there are two layers; the application's entry stays.
    assert_eq!(timings, ["db;dur=53".to_owned(), format!("traceparent;desc=\"{expected}\"")]);
}

#[tokio::test]
async fn untrusted_caller_gets_no_ids() {
    let inbound = |trust| Policy::builder().inbound(InboundRule::peers(["*"]).trust(trust));
    let outbound = |peer| Policy::builder().outbound(OutboundRule::peers([peer]).trace_context(false));
    let edge = Policy::builder().profile("edge").unwrap();
    for (case, propagator, sent) in [
        ("full", propagator(inbound(TraceTrust::Full)), true),
        ("ids only", propagator(inbound(TraceTrust::IdsOnly)), true),
        ("restart", propagator(inbound(TraceTrust::Restart)), false),
        ("link", propagator(inbound(TraceTrust::RestartWithLink)), false),
        ("ignore", propagator(inbound(TraceTrust::Ignore)), false),
        ("edge", propagator(edge), false),
        ("not released", propagator(outbound("http:*")), false),
        ("not released to all", propagator(outbound("*")), false),
        ("not released elsewhere", propagator(outbound("http:api.example.com")), true),
        ("no bridge", Propagator::default(), false),
    ] {
        let (traceresponse, timings) = ids(&app(propagator).oneshot(request("/")).await.unwrap());
        assert_eq!((traceresponse.is_some(), timings.len()), (sent, 1 + usize::from(sent)), "{case}");
    }
    let filtered = app(propagator(Policy::builder())).oneshot(request("/silent")).await.unwrap();
    assert_eq!(ids(&filtered), (None, vec!["db;dur=53".to_owned()]));
}

#[tokio::test]
async fn response_has_no_ids_by_default() {
    let app: Router = Router::new()
        .route("/", get(|| async { "" }))
        .layer(ServerPropagationLayer::new(propagator(Policy::builder())));
    let response: Response<Body> = app.oneshot(request("/")).await.unwrap();
    assert_eq!(ids(&response), (None, vec![]));
}
