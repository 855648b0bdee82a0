//! Our side, through the public API.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use propagation_core::{InboundRule, OutboundRule, Peer, Policy, PropagationContext, Propagator, Scrub};
use propagation_http::{HeaderCarrier, HeaderCarrierMut, ServerPropagationLayer};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    cases::{Case, Operation},
    input,
};

/// Everything is admitted and released, nothing scrubbed.
fn open() -> Propagator {
    let policy = Policy::builder()
        .scrub(Scrub::off())
        .inbound(InboundRule::peers(["*"]).allow("*"))
        .outbound(OutboundRule::peers(["*"]).allow("*"))
        .build();
    Propagator::builder().policy(policy.expect("a legal policy")).build()
}

fn extract(propagator: &Propagator, headers: &HeaderMap) -> PropagationContext {
    propagator.extract(&Peer::http(""), &HeaderCarrier(headers)).context
}

pub fn operation(case: Case) -> Option<Operation> {
    Some(match case {
        Case::InjectA | Case::InjectC => inject(case),
        Case::GuardC => guard(),
        Case::LayerC => layer(),
        Case::ExtractCRead => {
            let (propagator, headers) = (open(), input::headers(case));
            Box::new(move || {
                let context = extract(&propagator, &headers);
                context.baggage.iter().map(|member| member.value().len()).sum()
            })
        }
        _ => {
            let (propagator, headers) = (open(), input::headers(case));
            Box::new(move || {
                let context = extract(&propagator, &headers);
                context.baggage.len() + context.trace.state.len()
            })
        }
    })
}

fn inject(case: Case) -> Operation {
    let propagator = open();
    let context = extract(&propagator, &input::headers(case));
    let replaces = case == Case::InjectC;
    let mut headers = input::outgoing(replaces);
    Box::new(move || {
        if !replaces {
            headers.remove("traceparent");
        }
        let mut carrier = HeaderCarrierMut(&mut headers);
        propagator.inject(&Peer::http("api.internal"), &context, &mut carrier).written.len()
    })
}

/// Extract and inject with the profile for one's own services, five keys, all detectors.
fn guard() -> Operation {
    let propagator = Propagator::builder().policy(Policy::internal(input::KEYS_5)).build();
    let headers = input::headers(Case::GuardC);
    let mut outgoing = input::outgoing(true);
    Box::new(move || {
        let context = extract(&propagator, &headers);
        let mut carrier = HeaderCarrierMut(&mut outgoing);
        propagator.inject(&Peer::http("api.internal"), &context, &mut carrier).written.len()
    })
}

/// Our server layer without spans around a service that answers at once with one frame. What the service itself costs is
/// not subtracted.
fn layer() -> Operation {
    let mut service = ServerPropagationLayer::new(open()).layer(Answer);
    let headers = input::headers(Case::LayerC);
    Box::new(move || {
        let mut request = Request::new(());
        *request.headers_mut() = headers.clone();
        let mut task = Context::from_waker(Waker::noop());
        let answer = pin!(service.call(request));
        let Poll::Ready(Ok(response)) = Future::poll(answer, &mut task) else { panic!("the service answers at once") };
        let mut body = pin!(response.into_body());
        let mut frames = 0;
        while let Poll::Ready(Some(Ok(_))) = body.as_mut().poll_frame(&mut task) {
            frames += 1;
        }
        frames
    })
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
