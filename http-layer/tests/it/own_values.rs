//! Baggage from the application's own headers and claims, over a socket.

use axum::{Router, extract::Request, middleware, routing::get};
use propagation_core::{Direction, InboundRule, KeyRule, Policy, Propagator, RejectReason};
use propagation_http::{CurrentContext, ServerPropagationLayer};

use crate::tree::serve;

/// Inserted by the authentication.
#[derive(Clone)]
struct Token {
    plan: &'static str,
}

async fn authenticate(mut request: Request, next: middleware::Next) -> axum::response::Response {
    if request.headers().get("authorization").is_some_and(|value| value == "Bearer good") {
        request.extensions_mut().insert(Token { plan: "pro" });
    }
    next.run(request).await
}

async fn baggage(CurrentContext(context): CurrentContext) -> String {
    String::from_utf8(context.baggage.as_wire().into_owned()).unwrap()
}

#[tokio::test]
async fn header_and_claim_are_baggage_of_the_handler() {
    let rule = InboundRule::peers(["http:*"])
        .baggage_from_header("x-tenant-id", KeyRule::new("tenant.id").max_length(8))
        .baggage_from_claim("plan", "user.plan");
    let propagator = Propagator::builder().policy(Policy::builder().inbound(rule).build().unwrap()).build();
    let layer = ServerPropagationLayer::new(propagator.clone()).claims(|request, name| match name {
        "plan" => request.extensions.get::<Token>().map(|token| token.plan.to_owned()),
        _ => None,
    });
    // Authentication is added last, so that it runs first.
    let app = Router::new().route("/", get(baggage)).layer(layer).layer(middleware::from_fn(authenticate));
    let url = serve(app).await;
    for (headers, expected) in [
        (&[("x-tenant-id", "blue"), ("authorization", "Bearer good")][..], "tenant.id=blue,user.plan=pro"),
        (&[("x-tenant-id", "blue"), ("authorization", "Bearer bad"), ("plan", "gold")], "tenant.id=blue"),
        (&[("baggage", "tenant.id=forged,user.plan=gold")], ""),
        (&[("x-tenant-id", "much too long")], ""),
    ] {
        let request = headers.iter().fold(reqwest::Client::new().get(&url), |request, (k, v)| request.header(*k, *v));
        assert_eq!(request.send().await.unwrap().text().await.unwrap(), expected, "{headers:?}");
    }
    assert_eq!(propagator.counters().get(Direction::Inbound, RejectReason::ValueNotAllowed), 1);
}
