//! Requests: an axum router, tower clients, gRPC in process, reqwest.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Ready, ready},
    pin::{Pin, pin},
    task::{Context as Task, Poll, Waker},
};

use axum::{Router, body::Body as AxumBody, response::IntoResponse, routing::{Route, get}};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame};
use opentelemetry_http::HeaderExtractor;
use propagation_core::Propagator;
use tower_layer::{Identity, Layer};
use tower_service::Service;
use tracing::Level;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    by_hand,
    cases::{Case, Input, Operation},
    input,
    measure::{Operation as Measured, Prepared},
    streams::{self, Streams},
    telemetry,
};

/// A peer's layer, or ours, or no layer around the service of a case.
pub fn operation(case: &Case, side: &str, propagator: &Propagator) -> Box<dyn Measured> {
    match case.operation {
        Operation::Server => server(case, side, propagator),
        Operation::Stream => stream(case, propagator),
        Operation::Client => client(case, side, propagator),
        Operation::GrpcServer => grpc_server(case, side, propagator),
        Operation::GrpcClient => grpc_client(case, side, propagator),
        Operation::Reqwest => crate::reqwest_case::operation(case, side, propagator),
        _ => unreachable!("a case of messages"),
    }
}

fn server(case: &Case, side: &str, propagator: &Propagator) -> Box<dyn Measured> {
    match side {
        "ours" => routed(case, propagation_http::ServerPropagationLayer::new(propagator.clone())),
        "none" => routed(case, Identity::new()),
        "by-hand" => routed(case, by_hand::Tracing::new(telemetry::tracer(), false)),
        "opentelemetry-instrumentation-tower" => {
            routed(case, opentelemetry_instrumentation_tower::http::server::Layer::new())
        }
        "axum-tracing-opentelemetry" => {
            routed(case, axum_tracing_opentelemetry::middleware::OtelAxumLayer::default())
        }
        "tower-otel" => routed(case, tower_otel::trace::http::HttpLayer::server(Level::INFO).trace_body()),
        "tracelayer" => {
            let propagator = std::sync::Arc::new(telemetry::propagator());
            let layer = tower_http::trace::TraceLayer::new_for_http()
                .make_span_with(move |request: &Request<AxumBody>| trace_layer_span(request, &propagator))
                .on_request(())
                .on_response(|response: &Response<_>, _, span: &tracing::Span| {
                    span.record("http.response.status_code", response.status().as_u16());
                })
                .on_body_chunk(())
                .on_eos(())
                .on_failure(());
            routed(case, layer)
        }
        _ => panic!("no such side: {side}"),
    }
}

/// The span that a service writes for tower-http's `TraceLayer`.
fn trace_layer_span(
    request: &Request<AxumBody>,
    propagator: &opentelemetry::propagation::TextMapCompositePropagator,
) -> tracing::Span {
    use opentelemetry::propagation::TextMapPropagator;

    let method = request.method().as_str();
    let route = request.extensions().get::<axum::extract::MatchedPath>().map_or("", |path| path.as_str());
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (address, port) = host.split_once(':').unwrap_or((host, "80"));
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        url.path = request.uri().path(),
        url.scheme = "http",
        server.address = address,
        server.port = port.parse::<i64>().unwrap_or(80),
        http.route = route,
        network.protocol.version = "1.1",
        http.response.status_code = tracing::field::Empty,
    );
    let _ = span.set_parent(propagator.extract(&HeaderExtractor(request.headers())));
    span
}

const ORDINARY: [(&str, &str); 5] = [
    ("host", "shop.example:8080"),
    ("user-agent", "curl/8.5.0"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, br"),
    ("x-request-id", "0f8fad5b-d9cb-469f-a165-70867728950e"),
];

/// One route with a parameter, its handler answers with two bytes; the body is read to its end.
fn routed<L>(case: &Case, layer: L) -> Box<dyn Measured>
where
    L: Layer<Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request<AxumBody>> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request<AxumBody>>>::Response: IntoResponse + 'static,
    <L::Service as Service<Request<AxumBody>>>::Error: Into<Infallible> + 'static,
    <L::Service as Service<Request<AxumBody>>>::Future: Send + 'static,
{
    let router: Router = Router::new().route("/orders/{id}", get(|| async { "{}" })).layer(layer).with_state(());
    let headers = input::headers(case.input, &ORDINARY);
    let prepare = move |(_, next): &mut (Router, Option<Request<AxumBody>>)| {
        let mut request = Request::new(AxumBody::empty());
        *request.uri_mut() = Uri::from_static("/orders/4711");
        *request.headers_mut() = headers.clone();
        *next = Some(request);
    };
    Box::new(Prepared { state: (router, None), prepare, run })
}

/// A response that streams. Its request's headers are slices of a buffer as large as hyper's read buffer.
fn stream(case: &Case, propagator: &Propagator) -> Box<dyn Measured> {
    let service = propagation_http::ServerPropagationLayer::new(propagator.clone()).layer(Streams);
    let input = case.input;
    streams::held(service, move || input::headers_of_buffer(input, &ORDINARY, 8_192))
}

/// Calls a service and reads the body of its response; returns the number of frames.
fn run<S, B, R>((service, next): &mut (S, Option<Request<B>>)) -> usize
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    let Some(request) = next.take() else { return 0 };
    let mut task = Task::from_waker(Waker::noop());
    let future = pin!(service.call(request));
    let Poll::Ready(Ok(response)) = Future::poll(future, &mut task) else { panic!("the service answers at once") };
    let mut body = pin!(response.into_body());
    let mut frames = 0;
    while let Poll::Ready(Some(Ok(_))) = body.as_mut().poll_frame(&mut task) {
        frames += 1;
    }
    frames
}

fn client(case: &Case, side: &str, propagator: &Propagator) -> Box<dyn Measured> {
    let answer = Answer { content_type: "application/json", trailers: false };
    match side {
        "ours" => called(case, propagation_http::ClientPropagationLayer::new(propagator.clone()).layer(answer), ()),
        "none" => called(case, answer, ()),
        "by-hand" => called(case, by_hand::Tracing::new(telemetry::tracer(), true).layer(answer), ()),
        "tower-otel" => {
            called(case, tower_otel::trace::http::HttpLayer::client(Level::INFO).trace_body().layer(answer), ())
        }
        _ => panic!("no such side: {side}"),
    }
}

fn grpc_server(case: &Case, side: &str, propagator: &Propagator) -> Box<dyn Measured> {
    let answer = Answer { content_type: "application/grpc", trailers: true };
    match side {
        "ours" => {
            let layer = propagation_grpc::ServerPropagationLayer::new(propagator.clone());
            called(case, layer.with_methods(["shop.Orders/Place"]).layer(answer), ())
        }
        "none" => called(case, answer, ()),
        "tonic-tracing-opentelemetry" => {
            called(case, tonic_tracing_opentelemetry::middleware::server::OtelGrpcLayer::default().layer(answer), ())
        }
        _ => panic!("no such side: {side}"),
    }
}

fn grpc_client(case: &Case, side: &str, propagator: &Propagator) -> Box<dyn Measured> {
    let answer = Answer { content_type: "application/grpc", trailers: true };
    match side {
        "ours" => {
            let layer = propagation_grpc::ClientPropagationLayer::new(propagator.clone()).peer("orders");
            called(case, layer.server("orders.internal:50051").layer(answer), ())
        }
        "none" => called(case, answer, ()),
        "tonic-tracing-opentelemetry" => {
            called(case, tonic_tracing_opentelemetry::middleware::client::OtelGrpcLayer.layer(answer), ())
        }
        _ => panic!("no such side: {side}"),
    }
}

fn called<S, B, R>(case: &Case, service: S, body: B) -> Box<dyn Measured>
where
    S: Service<Request<B>, Response = Response<R>> + 'static,
    B: Clone + 'static,
    R: Body + 'static,
{
    let operation = case.operation;
    let headers = match operation {
        Operation::GrpcServer => {
            input::headers(case.input, &[("content-type", "application/grpc"), ("te", "trailers")])
        }
        Operation::GrpcClient => {
            input::headers(Input::Nothing, &[("content-type", "application/grpc"), ("te", "trailers")])
        }
        _ => input::headers(Input::Nothing, &[("accept", "application/json"), ("user-agent", "shop/1.0")]),
    };
    let prepare = move |(_, next): &mut (S, Option<Request<B>>)| {
        let mut request = Request::new(body.clone());
        if operation == Operation::Client {
            *request.uri_mut() = Uri::from_static("http://api.internal:8080/orders/4711");
        } else {
            *request.uri_mut() = Uri::from_static("http://orders.internal:50051/shop.Orders/Place");
            *request.method_mut() = http::Method::POST;
            request.extensions_mut().insert(tonic::GrpcMethod::new("shop.Orders", "Place"));
        }
        *request.headers_mut() = headers.clone();
        *next = Some(request);
    };
    Box::new(Prepared { state: (service, None), prepare, run })
}

thread_local! {
    /// The context's fields on the last request that reached [`Answer`] or reqwest's end.
    static SENT: Cell<usize> = const { Cell::new(0) };
}

/// The number of fields of the context that the last request carried.
pub fn sent() -> usize {
    SENT.get()
}

pub fn note_sent(headers: &HeaderMap) {
    let fields = ["traceparent", "tracestate", "baggage"];
    SENT.set(fields.iter().filter(|name| headers.contains_key(**name)).count());
}

/// Answers at once with one frame of data.
#[derive(Clone, Copy, Debug)]
struct Answer {
    content_type: &'static str,
    trailers: bool,
}

impl<B> Service<Request<B>> for Answer {
    type Response = Response<Frames>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        note_sent(request.headers());
        let mut response = Response::new(Frames { data: Some(Bytes::from_static(b"{}")), trailers: self.trailers });
        response.headers_mut().insert("content-type", HeaderValue::from_static(self.content_type));
        ready(Ok(response))
    }
}

struct Frames {
    data: Option<Bytes>,
    trailers: bool,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(std::mem::take(&mut self.trailers).then(|| {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            Ok(Frame::trailers(trailers))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && !self.trailers
    }
}
