//! A server layer around a service that answers at once with one frame, and an identity layer around the same one, whose
//! cost is subtracted.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_http::HeaderExtractor;
use propagation_http::ServerPropagationLayer;
use tower_layer::{Identity, Layer};
use tower_service::Service;

use crate::{
    measure::{Operation, Prepared},
    ours,
};

/// Our layer, without spans.
pub fn ours(headers: HeaderMap) -> Box<dyn Operation> {
    handled(ServerPropagationLayer::new(ours::open()).layer(Answer), headers)
}

/// No layer at all.
pub fn identity(headers: HeaderMap) -> Box<dyn Operation> {
    handled(Identity::new().layer(Answer), headers)
}

/// A layer as services write it by hand around a propagator of OpenTelemetry's: extract, and attach on every poll. No spans either.
pub fn attached(propagator: Rc<dyn TextMapPropagator>, headers: HeaderMap) -> Box<dyn Operation> {
    handled(Attached { propagator, inner: Answer }, headers)
}

fn handled<S, B>(service: S, headers: HeaderMap) -> Box<dyn Operation>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + 'static,
    B: Body + 'static,
{
    let prepare = move |(_, next): &mut (S, Option<Request<()>>)| {
        let mut request = Request::new(());
        *request.headers_mut() = headers.clone();
        *next = Some(request);
    };
    Box::new(Prepared { state: (service, None), prepare, run })
}

fn run<S, B>((service, next): &mut (S, Option<Request<()>>)) -> usize
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let Some(request) = next.take() else { return 0 };
    let mut task = Context::from_waker(Waker::noop());
    let answer = pin!(service.call(request));
    let Poll::Ready(Ok(response)) = Future::poll(answer, &mut task) else { panic!("the service answers at once") };
    let mut body = pin!(response.into_body());
    let mut frames = 0;
    while let Poll::Ready(Some(Ok(_))) = body.as_mut().poll_frame(&mut task) {
        frames += 1;
    }
    frames
}

struct Answer;

impl Service<Request<()>> for Answer {
    type Response = Response<OneFrame>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(OneFrame(Some(Bytes::from_static(b"{}"))))))
    }
}

struct OneFrame(Option<Bytes>);

impl Body for OneFrame {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

struct Attached<S> {
    propagator: Rc<dyn TextMapPropagator>,
    inner: S,
}

impl<S> Service<Request<()>> for Attached<S>
where
    S: Service<Request<()>>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = WithContext<S::Future>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let context = self.propagator.extract(&HeaderExtractor(request.headers()));
        WithContext { inner: self.inner.call(request), context }
    }
}

struct WithContext<F> {
    inner: F,
    context: opentelemetry::Context,
}

impl<F: Future + Unpin> Future for WithContext<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        let _attached = self.context.clone().attach();
        Pin::new(&mut self.inner).poll(task)
    }
}
