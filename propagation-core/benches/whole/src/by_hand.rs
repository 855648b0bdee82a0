//! A middleware that a service writes for itself around the SDK: extract or inject, a span with the same attributes as ours, which ends
//! with the body.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll, ready},
};

use axum::extract::MatchedPath;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use opentelemetry::{
    Context, KeyValue,
    propagation::{TextMapCompositePropagator, TextMapPropagator},
    trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::trace::SdkTracer;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

#[derive(Clone)]
pub struct Tracing {
    tracer: SdkTracer,
    propagator: Arc<TextMapCompositePropagator>,
    client: bool,
}

impl Tracing {
    pub fn new(tracer: SdkTracer, client: bool) -> Self {
        Self { tracer, propagator: Arc::new(crate::telemetry::propagator()), client }
    }

    fn server(&self, request: &Request<impl Sized>) -> Context {
        let headers = request.headers();
        let parent = self.propagator.extract(&HeaderExtractor(headers));
        let method = request.method().as_str().to_owned();
        let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let mut attributes = Vec::with_capacity(8);
        attributes.push(KeyValue::new("http.request.method", method.clone()));
        attributes.push(KeyValue::new("url.path", request.uri().path().to_owned()));
        attributes.push(KeyValue::new("url.scheme", "http"));
        attributes.extend(host(headers));
        attributes.push(KeyValue::new("http.route", route.to_owned()));
        attributes.push(KeyValue::new("network.protocol.version", "1.1"));
        let builder = SpanBuilder::from_name(format!("{method} {route}"))
            .with_kind(SpanKind::Server)
            .with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, &parent);
        parent.with_span(span)
    }

    fn client(&self, request: &mut Request<impl Sized>) -> Context {
        let method = request.method().as_str().to_owned();
        let uri = request.uri();
        let mut attributes = Vec::with_capacity(4);
        attributes.push(KeyValue::new("http.request.method", method.clone()));
        attributes.push(KeyValue::new("server.address", uri.host().unwrap_or_default().to_owned()));
        attributes.push(KeyValue::new("server.port", i64::from(uri.port_u16().unwrap_or(80))));
        attributes.push(KeyValue::new("url.full", uri.to_string()));
        let builder = SpanBuilder::from_name(method).with_kind(SpanKind::Client).with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, &Context::current());
        let context = Context::current_with_span(span);
        self.propagator.inject_context(&context, &mut HeaderInjector(request.headers_mut()));
        context
    }
}

fn host(headers: &HeaderMap) -> Vec<KeyValue> {
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (address, port) = host.split_once(':').unwrap_or((host, "80"));
    vec![
        KeyValue::new("server.address", address.to_owned()),
        KeyValue::new("server.port", port.parse::<i64>().unwrap_or(80)),
    ]
}

impl<S> Layer<S> for Tracing {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced { tracing: self.clone(), inner }
    }
}

#[derive(Clone)]
pub struct Traced<S> {
    tracing: Tracing,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Traced<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<TracedBody<R>>;
    type Error = S::Error;
    type Future = TracedFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let context =
            if self.tracing.client { self.tracing.client(&mut request) } else { self.tracing.server(&request) };
        let attached = context.clone().attach();
        let inner = self.inner.call(request);
        drop(attached);
        TracedFuture { inner, context, client: self.tracing.client }
    }
}

pin_project! {
    pub struct TracedFuture<F> {
        #[pin]
        inner: F,
        context: Context,
        client: bool,
    }
}

impl<F: Future<Output = Result<Response<B>, E>>, B, E> Future for TracedFuture<F> {
    type Output = Result<Response<TracedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let attached = this.context.clone().attach();
        let response = ready!(this.inner.poll(task));
        drop(attached);
        let context = this.context.clone();
        let span = context.span();
        Poll::Ready(match response {
            Ok(response) => {
                span.set_attribute(KeyValue::new("http.response.status_code", i64::from(response.status().as_u16())));
                if *this.client {
                    span.set_attribute(KeyValue::new("network.protocol.version", "1.1"));
                }
                if response.status().is_server_error() {
                    span.set_status(Status::error(""));
                }
                let (head, inner) = response.into_parts();
                Ok(Response::from_parts(head, TracedBody { inner, context }))
            }
            Err(error) => {
                span.end();
                Err(error)
            }
        })
    }
}

pin_project! {
    pub struct TracedBody<B> {
        #[pin]
        inner: B,
        context: Context,
    }

    impl<B> PinnedDrop for TracedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            this.context.span().end();
        }
    }
}

impl<B: Body> Body for TracedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let _attached = this.context.clone().attach();
        let frame = ready!(this.inner.poll_frame(task));
        if frame.is_none() {
            this.context.span().end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
