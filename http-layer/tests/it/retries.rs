//! `http.request.resend_count` with tower's `Retry`.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{Router, body::Body, http::StatusCode, routing::any};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use opentelemetry::trace::SpanKind;
use propagation_http::{ClientPropagationLayer, ResendCount, ResendCountLayer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, retry::RetryLayer};

use crate::{
    telemetry::{Telemetry, attribute},
    tree::serve,
};

/// Retries server errors up to twice.
#[derive(Clone)]
struct Twice {
    attempts: u32,
    keeps_extensions: bool,
}

impl<B> tower::retry::Policy<Request<Body>, Response<B>, hyper_util::client::legacy::Error> for Twice {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        result: &mut Result<Response<B>, hyper_util::client::legacy::Error>,
    ) -> Option<Ready<()>> {
        let failed = result.as_ref().is_ok_and(|response| response.status().is_server_error());
        self.attempts += 1;
        if !self.keeps_extensions {
            request.extensions_mut().insert(ResendCount::after(self.attempts));
        }
        (failed && self.attempts <= 2).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let mut clone = Request::new(Body::empty());
        *clone.method_mut() = request.method().clone();
        *clone.uri_mut() = request.uri().clone();
        if self.keeps_extensions {
            *clone.extensions_mut() = request.extensions().clone();
        }
        Some(clone)
    }
}

/// Fails twice, then succeeds.
async fn flaky() -> String {
    let calls = Arc::new(AtomicU32::new(0));
    let handler = move || async move {
        if calls.fetch_add(1, Ordering::Relaxed) < 2 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    };
    serve(Router::new().route("/", any(handler))).await
}

#[tokio::test]
async fn attempt_of_a_retry_has_its_own_span_and_count() {
    for keeps_extensions in [true, false] {
        let telemetry = Telemetry::new();
        let client = ServiceBuilder::new()
            .layer(ResendCountLayer::new())
            .layer(RetryLayer::new(Twice { attempts: 0, keeps_extensions }))
            .layer(ClientPropagationLayer::new(telemetry.propagator.clone()))
            .service(Client::builder(TokioExecutor::new()).build_http::<Body>());
        for _ in 0..2 {
            let request = Request::get(flaky().await).body(Body::empty()).unwrap();
            let response = client.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
            response.into_body().collect().await.unwrap();
        }
        let spans: Vec<_> = telemetry.spans().into_iter().filter(|span| span.span_kind == SpanKind::Client).collect();
        let counts: Vec<_> = spans.iter().map(|span| attribute(span, "http.request.resend_count")).collect();
        let counts: Vec<_> = counts.iter().map(Option::as_deref).collect();
        assert_eq!(counts, [None, Some("1"), Some("2"), None, Some("1"), Some("2")], "{keeps_extensions}");
        let errors: Vec<_> = spans.iter().map(|span| attribute(span, "error.type")).collect();
        assert_eq!(errors[..3], [Some("503".to_owned()), Some("503".to_owned()), None]);
    }
}

#[tokio::test]
async fn request_without_a_retry_layer_has_no_count() {
    let telemetry = Telemetry::new();
    let echo = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let layers = (ResendCountLayer::new(), ClientPropagationLayer::new(telemetry.propagator.clone()));
    let mut client = layers.0.layer(layers.1.layer(echo));
    for _ in 0..2 {
        let request = Request::get("http://orders/").body(Body::empty()).unwrap();
        client.ready().await.unwrap().call(request).await.unwrap().into_body().collect().await.unwrap();
    }
    assert!(telemetry.spans().iter().all(|span| attribute(span, "http.request.resend_count").is_none()));
}
