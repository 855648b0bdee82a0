//! reqwest with a middleware, ended by another one that answers without a network.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use http::Extensions;
use propagation_core::Propagator;
use propagation_http::{ReqwestPropagation, Redirects};
use reqwest::{Client, Request, Response, ResponseBuilderExt};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};

use crate::{
    cases::Case,
    http_cases,
    measure::{Operation, Prepared},
};

pub fn operation(_: &Case, side: &str, propagator: &Propagator) -> Box<dyn Operation> {
    let builder = ClientBuilder::new(Client::new());
    let builder = match side {
        "ours" => builder.with(ReqwestPropagation::new(propagator.clone()).with_redirects(Redirects::Guarded)),
        "none" => builder,
        "reqwest-tracing" => builder.with(reqwest_tracing::TracingMiddleware::<reqwest_tracing::SpanBackendWithUrl>::new()),
        _ => panic!("no such side: {side}"),
    };
    let client = builder.with(Answers).build();
    let prepare = |(_, next): &mut (ClientWithMiddleware, Option<Request>)| {
        let url = "http://api.internal:8080/orders/4711".parse().expect("a URL");
        *next = Some(Request::new(http::Method::GET, url));
    };
    let run = |(client, next): &mut (ClientWithMiddleware, Option<Request>)| {
        let Some(request) = next.take() else { return 0 };
        let call = pin!(async {
            let response = client.execute(request).await.expect("a response");
            response.bytes().await.expect("a body").len()
        });
        match call.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(length) => length,
            Poll::Pending => panic!("the middleware answers at once"),
        }
    };
    Box::new(Prepared { state: (client, None), prepare, run })
}

struct Answers;

#[async_trait]
impl Middleware for Answers {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        http_cases::note_sent(request.headers());
        let url = request.url().clone();
        Ok(Response::from(http::Response::builder().url(url).body("{}").expect("a response")))
    }
}
