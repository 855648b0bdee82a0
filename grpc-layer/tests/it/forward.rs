//! A handler that copies received metadata onto its own call: the rule that admitted the call decides.

use std::convert::Infallible;

use http::{HeaderMap, Request, Response};
use propagation_core::{Direction, InboundRule, OutboundRule, Policy, Propagator, RejectReason, TraceTrust};
use propagation_grpc::{ClientPropagationLayer, ServerPropagationLayer};
use tonic::body::Body;
use tower::{Layer, ServiceExt, service_fn};

const OUTSIDER: &str = "0af7651916cd43dd8448eb211c80319c";

/// The metadata that the handler's own call carries, for a call from an outsider.
async fn copied(propagator: &Propagator) -> HeaderMap {
    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let next = service_fn(move |request: Request<Body>| {
        sent.send(request.headers().clone()).unwrap();
        async { Ok::<_, Infallible>(Response::new(Body::empty())) }
    });
    let next = ClientPropagationLayer::new(propagator.clone()).peer("shop.Stock").layer(next);
    let handler = service_fn(move |request: Request<Body>| {
        let next = next.clone();
        async move {
            let mut own = Request::post("http://stock/shop.Stock/Take").body(Body::empty()).unwrap();
            *own.headers_mut() = request.headers().clone();
            next.oneshot(own).await
        }
    });
    let call = Request::post("/shop.Orders/Place")
        .header("content-type", "application/grpc")
        .header("traceparent", format!("00-{OUTSIDER}-b7ad6b7169203331-01"))
        .header("baggage", "tenant.id=evil,sentry-release=1")
        .body(Body::empty())
        .unwrap();
    ServerPropagationLayer::new(propagator.clone()).layer(handler).oneshot(call).await.unwrap();
    received.recv().await.unwrap()
}

#[tokio::test]
async fn copied_metadata_are_judged_by_the_rule_of_the_call() {
    for (trust, keys, continued, baggage) in [
        (TraceTrust::RestartWithLink, &[][..], false, None),
        (TraceTrust::Ignore, &[], false, None),
        (TraceTrust::Restart, &["sentry-*"], false, Some("sentry-release=1")),
        (TraceTrust::IdsOnly, &["sentry-*"], true, Some("sentry-release=1")),
        (TraceTrust::Full, &[], true, None),
    ] {
        let inbound = keys.iter().fold(InboundRule::peers(["grpc:*"]).trust(trust), |rule, key| rule.allow(*key));
        let outbound = OutboundRule::peers(["grpc:shop.Stock"]).allow("tenant.id").allow("sentry-*");
        let policy = Policy::builder().inbound(inbound).outbound(outbound).build().unwrap();
        let propagator = Propagator::builder().policy(policy).build();
        let sent = copied(&propagator).await;
        let value = |name| sent.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(
            value("traceparent").is_some_and(|value| value.contains(OUTSIDER)),
            continued,
            "{trust:?}: {sent:?}"
        );
        assert_eq!(value("baggage"), baggage, "{trust:?}");
        assert!(propagator.counters().get(Direction::Outbound, RejectReason::NotAllowed) > 0, "{trust:?}");
    }
}
