//! The ends of requests: panics, disconnects, boxed errors.

use std::{convert::Infallible, panic::AssertUnwindSafe, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::BodyExt;
use opentelemetry::trace::Status;
use propagation_core::Exception;
use propagation_http::ServerPropagationLayer;
use tower::{Layer, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;

use super::request;
use crate::telemetry::{Telemetry, attribute};

/// Returns `error.type` of the only span, and whether its status is an error.
fn ending(telemetry: &Telemetry) -> (Option<String>, bool) {
    let spans = telemetry.spans();
    assert_eq!(spans.len(), 1);
    (attribute(&spans[0], "error.type"), matches!(spans[0].status, Status::Error { .. }))
}

fn panicked() -> (Option<String>, bool) {
    (Some("panic".to_owned()), true)
}

fn panicking_body() -> Body {
    let parts = stream::iter(0..2).map(|n| {
        assert!(n < 1, "on purpose");
        Ok::<_, Infallible>(Bytes::from_static(b"part"))
    });
    Body::from_stream(parts)
}

fn fail() -> &'static str {
    panic!("on purpose")
}

/// Handlers that panic at different times.
fn panicking() -> Router {
    Router::new()
        .route("/before", get(|| async { fail() }))
        .route(
            "/after",
            get(|| async {
                tokio::task::yield_now().await;
                fail()
            }),
        )
        .route("/body", get(|| async { panicking_body() }))
}

async fn read(response: Response) {
    drop(response.into_body().collect().await);
}

#[tokio::test]
async fn panic_before_or_after_an_await_or_in_a_body_is_an_error() {
    for path in ["/before", "/after", "/body"] {
        let telemetry = Telemetry::new();
        let app = panicking().layer(ServerPropagationLayer::new(telemetry.propagator.clone()));
        let asked = async { read(app.oneshot(request(path)).await.unwrap()).await };
        assert!(AssertUnwindSafe(asked).catch_unwind().await.is_err());
        assert_eq!(ending(&telemetry), panicked(), "{path}");
    }
}

#[tokio::test]
async fn panic_in_a_real_server_is_an_error() {
    for path in ["/before", "/after", "/body"] {
        let telemetry = Telemetry::new();
        let app = panicking().layer(ServerPropagationLayer::new(telemetry.propagator.clone()));
        let url = crate::tree::serve(app).await + path;
        if let Ok(response) = ::reqwest::get(&url).await {
            assert!(response.bytes().await.is_err());
        }
        assert_eq!(ending(&telemetry), panicked(), "{path}");
    }
}

#[tokio::test]
async fn panic_is_an_error_with_catch_panic_on_either_side() {
    for path in ["/before", "/after"] {
        let outside = Telemetry::new();
        let app = panicking().layer(ServerPropagationLayer::new(outside.propagator.clone()));
        let response = app.layer(CatchPanicLayer::new()).oneshot(request(path)).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(ending(&outside), panicked(), "{path}");

        // Inside the layer, the panic is seen by a second layer around the handlers.
        let inside = Telemetry::new();
        let layer = ServerPropagationLayer::new(inside.propagator.clone());
        let app = panicking().layer(layer.clone()).layer(CatchPanicLayer::new()).layer(layer);
        read(app.oneshot(request(path)).await.unwrap()).await;
        assert_eq!(ending(&inside), panicked(), "{path}");

        // Without it, the layer sees the response alone.
        let inside = Telemetry::new();
        let app = panicking().layer(CatchPanicLayer::new());
        let app = app.layer(ServerPropagationLayer::new(inside.propagator.clone()));
        read(app.oneshot(request(path)).await.unwrap()).await;
        assert_eq!(ending(&inside), (Some("500".to_owned()), true), "{path}");
    }
}

#[tokio::test]
async fn request_dropped_by_a_panic_elsewhere_is_cancelled() {
    let telemetry = Telemetry::new();
    let slow = tower::service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>());
    let service = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(slow);
    let task = async {
        let mut asked = Box::pin(service.oneshot(request("/slow")));
        assert!(futures_util::poll!(asked.as_mut()).is_pending());
        panic!("of something else in the same task");
    };
    assert!(AssertUnwindSafe(task).catch_unwind().await.is_err());
    assert_eq!(ending(&telemetry), (Some("cancelled".to_owned()), false));
}

#[tokio::test]
async fn event_stream_closed_by_the_client_is_no_error() {
    let forever = || {
        let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"data: 1\n\n")) });
        Body::from_stream(first.chain(stream::pending()))
    };
    for (strict, expected) in [(false, (None, false)), (true, (Some("cancelled".to_owned()), true))] {
        let telemetry = Telemetry::new();
        let layer = ServerPropagationLayer::new(telemetry.propagator.clone()).with_aborted_body_errors(strict);
        let app: Router = Router::new().route("/events", get(move || async move { forever() })).layer(layer);
        let url = crate::tree::serve(app).await + "/events";
        let mut response = ::reqwest::get(&url).await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "data: 1\n\n");
        drop(response);
        for _ in 0..400 {
            if !telemetry.spans().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(ending(&telemetry), expected, "strict: {strict}");
    }
}

#[tokio::test]
async fn boxed_error_has_the_type_of_its_content() {
    type Boxed = Box<dyn std::error::Error + Send + Sync>;
    let timed_out = || Boxed::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    for (error, recorded, expected) in [
        (timed_out as fn() -> Boxed, None, "std::io::ErrorKind::TimedOut"),
        (|| Boxed::from("a text"), Some("shop::OutOfStock"), "shop::OutOfStock"),
        (|| Boxed::from("a text"), None, "_OTHER"),
    ] {
        let telemetry = Telemetry::new();
        let broken = tower::service_fn(move |_: Request| async move {
            recorded.into_iter().for_each(|kind| Exception::new(kind).record_exception());
            Err::<Response, Boxed>(error())
        });
        let service = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(broken);
        assert!(service.oneshot(request("/")).await.is_err());
        assert_eq!(ending(&telemetry), (Some(expected.to_owned()), true));

        // axum's bodies fail with `axum::Error`, which wraps a boxed error.
        let telemetry = Telemetry::new();
        let broken = tower::service_fn(move |_: Request| async move {
            recorded.into_iter().for_each(|kind| Exception::new(kind).record_exception());
            Ok::<_, Infallible>(Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(error())]))))
        });
        let service = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(broken);
        assert!(service.oneshot(request("/")).await.unwrap().into_body().collect().await.is_err());
        assert_eq!(ending(&telemetry), (Some(expected.to_owned()), true));
    }
}
