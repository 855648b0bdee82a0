//! Our side, through the public API.

use http::HeaderMap;
use propagation_core::{
    Admission, InboundRule, OutboundRule, Peer, Policy, Propagator, Scrub, Transport,
    scrub::{Detectors, scan},
};
use propagation_http::{HeaderCarrier, HeaderCarrierMut};

use crate::{
    cases::{Case, What},
    input, layer,
    measure::{Operation, Prepared},
};

/// Everything is admitted and released, nothing scrubbed.
pub fn open() -> Propagator {
    let policy = Policy::builder()
        .scrub(Scrub::off())
        .inbound(InboundRule::peers(["*"]).allow("*"))
        .outbound(OutboundRule::peers(["*"]).allow("*"))
        .build();
    Propagator::builder().policy(policy.expect("a legal policy")).build()
}

fn extract(propagator: &Propagator, headers: &HeaderMap) -> Admission {
    propagator.extract(&Peer::caller(Transport::HTTP), &HeaderCarrier::new(headers))
}

pub fn operation(case: &Case) -> Box<dyn Operation> {
    if case.what == What::Scan {
        let fields = case.fields.clone();
        return Box::new(move || {
            let found =
                fields.iter().filter_map(|(key, value)| scan(Detectors::all(), key.as_bytes(), value.as_bytes()));
            assert_eq!(found.count(), 0, "something is found");
            0
        });
    }
    if case.what == What::Grows {
        return crate::grows::operation(&case.name);
    }
    let headers = input::headers(case);
    match case.what {
        What::Extract => {
            let propagator = open();
            Box::new(move || {
                let admission = extract(&propagator, &headers);
                admission.context.trace.state.len() + admission.rejections.len()
            })
        }
        What::Read => {
            let propagator = open();
            Box::new(move || {
                let context = extract(&propagator, &headers).context;
                context.baggage.iter().map(|member| member.value().len()).sum()
            })
        }
        What::InjectInto | What::InjectReplacing => inject(&headers, case.what == What::InjectReplacing),
        What::Guard => {
            let propagator = Propagator::builder().policy(Policy::internal(input::KEYS_5)).build();
            let mut outgoing = input::live(true);
            Box::new(move || {
                let context = extract(&propagator, &headers).context;
                let mut carrier = HeaderCarrierMut::new(&mut outgoing);
                propagator.inject(&Peer::http("api.internal"), &context, &mut carrier).written().len()
            })
        }
        What::Layer => layer::ours(headers),
        What::Scan | What::Grows => unreachable!("built above"),
    }
}

fn inject(headers: &HeaderMap, replaces: bool) -> Box<dyn Operation> {
    let propagator = open();
    let context = extract(&propagator, headers).context;
    let state = input::live(replaces);
    let prepare = move |headers: &mut HeaderMap| {
        if !replaces {
            input::outgoing(headers);
        }
    };
    let run = move |headers: &mut HeaderMap| {
        propagator.inject(&Peer::http("api.internal"), &context, &mut HeaderCarrierMut::new(headers)).written().len()
    };
    Box::new(Prepared { state, prepare, run })
}
