//! Responses that stream: the bytes that are held for each of them once its first frame was read.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use tower_service::Service;

use crate::{
    count,
    measure::{Operation, Prepared},
};

/// Returns an operation that calls a service and returns the bytes that its response holds.
///
/// Counts from before the request was made: a response that keeps the read buffer of its request holds all of it. The body itself is not on
/// the heap.
pub fn held<S, B>(service: S, headers: impl Fn() -> HeaderMap + 'static) -> Box<dyn Operation>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + 'static,
    B: Body + 'static,
{
    let prepare = move |(_, before, next): &mut (S, i64, Option<Request<()>>)| {
        *before = count::begin_peak();
        let mut request = Request::new(());
        *request.headers_mut() = headers();
        *next = Some(request);
    };
    Box::new(Prepared { state: (service, 0, None), prepare, run })
}

fn run<S, B>((service, before, next): &mut (S, i64, Option<Request<()>>)) -> usize
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let Some(request) = next.take() else { return 0 };
    let mut task = Context::from_waker(Waker::noop());
    // A server drops the future once it has the response.
    let response = {
        let future = pin!(service.call(request));
        let Poll::Ready(Ok(response)) = Future::poll(future, &mut task) else { panic!("the service answers at once") };
        response
    };
    let mut body = pin!(response.into_body());
    let frame = body.as_mut().poll_frame(&mut task);
    assert!(matches!(frame, Poll::Ready(Some(Ok(_)))), "a frame");
    drop(frame);
    usize::try_from(count::begin_peak() - *before).unwrap_or_default()
}

/// Answers with a response that never ends.
#[derive(Clone, Copy, Debug)]
pub struct Streams;

impl Service<Request<()>> for Streams {
    type Response = Response<Endless>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Endless { first: true })))
    }
}

/// One frame, and then none for a long time.
#[derive(Debug)]
pub struct Endless {
    first: bool,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.first) {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data: {}\n\n")))))
        } else {
            Poll::Pending
        }
    }
}
