//! Our side, through the public API.

use http::HeaderMap;
use propagation_core::{InboundRule, OutboundRule, Peer, Policy, PropagationContext, Propagator, Scrub};
use propagation_http::{HeaderCarrier, HeaderCarrierMut};

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
        Case::LayerC => return None,
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
