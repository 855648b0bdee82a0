//! Response bodies: polled in the context, otherwise unchanged.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use opentelemetry::trace::Status;
use propagation_core::{PropagationContext, Propagator};
use propagation_http::ServerPropagationLayer;
use tower::{Layer, ServiceExt};

use super::{answering, request};
use crate::telemetry::{Telemetry, attribute};

/// A body that records the context of each poll and of its drop.
fn watching_body(propagator: &Propagator) -> (Body, Arc<std::sync::Mutex<Vec<PropagationContext>>>) {
    struct Watch(Propagator, Arc<std::sync::Mutex<Vec<PropagationContext>>>);
    impl Watch {
        fn note(&self) {
            self.1.lock().unwrap().push(self.0.current());
        }
    }
    impl Drop for Watch {
        fn drop(&mut self) {
            self.note();
        }
    }
    let seen = Arc::default();
    let watch = Watch(propagator.clone(), Arc::clone(&seen));
    let stream = stream::unfold((watch, 0), |(watch, n)| async move {
        watch.note();
        tokio::task::yield_now().await;
        (n < 3).then_some((Ok::<_, Infallible>(Bytes::from_static(b"part")), (watch, n + 1)))
    });
    (Body::from_stream(stream), seen)
}

#[tokio::test]
async fn body_is_polled_and_dropped_in_context_and_ends_the_span() {
    for read in [true, false] {
        let telemetry = Telemetry::new();
        let (body, seen) = watching_body(&telemetry.propagator);
        let body = Arc::new(std::sync::Mutex::new(Some(body)));
        let service = tower::service_fn(move |_: Request| {
            let body = body.lock().unwrap().take().unwrap();
            async move { Ok::<_, Infallible>(Response::new(body)) }
        });
        let service = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(service);
        let response = service.oneshot(request("/stream")).await.unwrap();
        assert!(telemetry.spans().is_empty(), "the span lasts as long as the body");
        if read {
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 12);
        } else {
            drop(response);
        }
        let span = telemetry.span("GET");
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), if read { 5 } else { 1 });
        for context in seen.iter() {
            assert_eq!(context.trace.span_id().unwrap().to_string(), span.span_context.span_id().to_string());
        }
        assert_eq!((attribute(&span, "error.type"), span.status), (None, Status::Unset));
        assert!(telemetry.propagator.current().is_empty());
    }
}

/// A body with at most one frame that records the context of its drop.
struct Leaving(Propagator, Arc<std::sync::Mutex<Option<PropagationContext>>>, Option<Bytes>);

impl http_body::Body for Leaving {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.2.take().map(|data| Ok(http_body::Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.2.is_none()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.2.as_ref().map_or(0, Bytes::len) as u64)
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        *self.1.lock().unwrap() = Some(self.0.current());
    }
}

#[tokio::test]
async fn ended_body_is_dropped_in_the_context() {
    for (data, read) in [(None, true), (Some("data"), true), (Some("data"), false)] {
        let telemetry = Telemetry::new();
        let left = Arc::default();
        let body = Leaving(telemetry.propagator.clone(), Arc::clone(&left), data.map(Bytes::from));
        let body = std::sync::Mutex::new(Some(body));
        let service = tower::service_fn(move |_: Request| {
            let body = body.lock().unwrap().take().unwrap();
            std::future::ready(Ok::<_, Infallible>(Response::new(body)))
        });
        let service = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(service);
        let mut body = service.oneshot(request("/")).await.unwrap().into_body();
        // A reader that knows the end of the stream does not poll again.
        let found = body.frame().await.map(|frame| frame.unwrap().into_data().unwrap());
        assert_eq!(found.as_deref(), data.map(str::as_bytes));
        assert!(http_body::Body::is_end_stream(&body) && left.lock().unwrap().is_some(), "dropped with its last frame");
        if read {
            assert!(body.frame().await.is_none());
        }
        drop(body);
        let left = left.lock().unwrap().take().unwrap();
        let span = telemetry.span("GET");
        assert_eq!(left.trace.span_id().unwrap().to_string(), span.span_context.span_id().to_string());
        assert_eq!((attribute(&span, "error.type"), span.status), (None, Status::Unset));
    }
}

fn in_two_parts() -> Body {
    Body::from_stream(stream::iter([b"part", b"ende"].map(|part| Ok::<_, Infallible>(Bytes::from_static(part)))))
}

#[tokio::test]
async fn body_read_to_its_length_is_complete() {
    for (case, length, body, frames, complete) in [
        ("empty and not polled", None, Body::empty as fn() -> Body, 0, true),
        ("read to its length", Some("8"), in_two_parts, 2, true),
        ("read halfway", Some("8"), in_two_parts, 1, false),
        ("read, with unknown length", None, in_two_parts, 2, false),
        ("not polled", Some("8"), in_two_parts, 0, false),
    ] {
        let telemetry = Telemetry::new();
        let layer = ServerPropagationLayer::new(telemetry.propagator.clone()).with_aborted_body_errors(true);
        let service = layer.layer(answering(length, body));
        let mut body = service.oneshot(request("/")).await.unwrap().into_body();
        for _ in 0..frames {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        let expected = if complete { None } else { Some("cancelled") };
        assert_eq!(attribute(&telemetry.span("GET"), "error.type").as_deref(), expected, "{case}");
    }
}

#[tokio::test]
async fn body_keeps_its_end_and_size_hint() {
    use http_body::Body as _;
    let telemetry = Telemetry::new();
    let layer = ServerPropagationLayer::new(telemetry.propagator.clone());
    let empty = layer.layer(answering(None, Body::empty)).oneshot(request("/")).await.unwrap().into_body();
    assert!(empty.is_end_stream() && empty.size_hint().exact() == Some(0));
    let full = layer.layer(answering(None, || Body::from("four"))).oneshot(request("/")).await.unwrap();
    let mut full = full.into_body();
    assert!(!full.is_end_stream() && full.size_hint().exact() == Some(4));
    full.frame().await.unwrap().unwrap();
    assert!(full.is_end_stream());
}

#[tokio::test]
async fn dropped_future_drops_its_values_in_the_context() {
    let telemetry = Telemetry::new();
    let left: Arc<std::sync::Mutex<Option<PropagationContext>>> = Arc::default();
    let held = Leaving(telemetry.propagator.clone(), Arc::clone(&left), None);
    let held = std::sync::Mutex::new(Some(held));
    let slow = tower::service_fn(move |_: Request| {
        let held = held.lock().unwrap().take().unwrap();
        async move {
            let _held = held;
            std::future::pending::<Result<Response, Infallible>>().await
        }
    });
    let service = ServerPropagationLayer::new(telemetry.propagator.clone()).layer(slow);
    assert!(tokio::time::timeout(Duration::from_millis(5), service.oneshot(request("/"))).await.is_err());
    let span = telemetry.span("GET");
    let left = left.lock().unwrap().take().unwrap();
    assert_eq!(left.trace.span_id().unwrap().to_string(), span.span_context.span_id().to_string());
}

#[tokio::test]
async fn streamed_body_releases_the_request_buffer() {
    let telemetry = Telemetry::new();
    for propagator in [Propagator::default(), telemetry.propagator.clone()] {
        let service = tower::service_fn(async |_: Request| {
            let parts = stream::unfold(0, async |n| Some((Ok::<_, Infallible>(Bytes::from_static(b"part")), n + 1)));
            Ok::<_, Infallible>(Response::new(Body::from_stream(parts)))
        });
        let received = Bytes::from(b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7".to_vec());
        let mut request = request("/");
        let state = http::HeaderValue::from_maybe_shared(received.clone()).unwrap();
        request.headers_mut().insert("tracestate", state);
        let response = ServerPropagationLayer::new(propagator).layer(service).oneshot(request).await.unwrap();
        let mut body = response.into_body();
        body.frame().await.unwrap().unwrap();
        assert!(received.is_unique(), "the body holds the header");
        drop(body);
    }
}
