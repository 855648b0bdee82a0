use propagation_core::{
    Direction, Extract, FieldName, InboundRule, OutboundRule, Peer, Policy, Propagator, RejectReason, Scrub, Transport,
    Value, carrier::DuplicateParent,
};

pub(crate) const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const OTHER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const JOINED: &str =
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) fn open() -> Propagator {
    Propagator::builder().policy(open_policy()).build()
}

/// Returns a policy that admits and releases everything, unscrubbed.
pub(crate) fn open_policy() -> Policy {
    let policy =
        Policy::builder().inbound(InboundRule::peers(["*"]).allow("*")).outbound(OutboundRule::peers(["*"]).allow("*"));
    policy.scrub(Scrub::off()).build().unwrap()
}

/// Extracts headers, and returns those that are injected for their context.
pub(crate) fn through(propagator: &Propagator, headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let received: Vec<(String, Vec<u8>)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let admission = propagator.extract(&Peer::caller(Transport::HTTP), &received);
    let mut sent = Vec::new();
    propagator.inject(&Peer::http("api.example.com"), &admission.context, &mut sent);
    sent.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
}

fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn w3c_fields_round_trip() {
    let headers = [("traceparent", PARENT), ("tracestate", "a=1,b=2"), ("baggage", "k=v;p=1,l=%20w")];
    assert_eq!(through(&open(), &headers), pairs(&headers));
}

#[test]
fn lists_over_several_fields_are_joined_in_order() {
    let headers = [
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("baggage", "k=v"),
        ("tracestate", " b=2 "),
        ("baggage", "l=w"),
    ];
    assert_eq!(
        through(&open(), &headers),
        pairs(&[("traceparent", PARENT), ("tracestate", "a=1,b=2"), ("baggage", "k=v,l=w")])
    );
}

#[test]
fn identical_traceparents_count_as_one() {
    for parent in [PARENT, &PARENT.replace("-01", "-03"), OTHER] {
        for count in 2..4 {
            let mut headers = vec![("traceparent", parent); count];
            headers.push(("tracestate", "a=1"));
            assert_eq!(through(&open(), &headers), pairs(&[("traceparent", parent), ("tracestate", "a=1")]));
        }
    }
}

/// Headers of a transport where repeated fields come from retries.
struct Retried(Vec<(String, Vec<u8>)>);

impl Extract for Retried {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        self.0.visit(name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        self.0.visit_all(each);
    }

    fn duplicate_parent(&self) -> DuplicateParent {
        DuplicateParent::UseLast
    }
}

#[test]
fn carrier_states_whether_the_last_duplicate_is_used() {
    let second = PARENT.replace("00f067aa0ba902b7", "1111111111111111");
    for (formats, name, values) in [
        ("tracecontext", "traceparent", [PARENT, &second]),
        ("b3", "b3", [&format!("{}-1", &PARENT[3..52]), &format!("{}-1", &second[3..52])]),
    ] {
        let propagator = Propagator::builder().formats(formats.parse().unwrap()).build();
        let headers = values.map(|value| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
        for peer in [Peer::kafka("orders"), Peer::caller(Transport::HTTP)] {
            let rejected = propagator.extract(&peer, &headers);
            assert!(!rejected.context.trace.has_ids(), "{name} {peer}");
            let used = propagator.extract(&peer, &Retried(headers.clone()));
            let parent = used.context.trace.parent.map(|parent| parent.span_id.to_string());
            assert_eq!(parent.as_deref(), Some("1111111111111111"), "{name} {peer}");
            for admission in [rejected, used] {
                let reasons: Vec<_> = admission.rejections.iter().map(|rejection| rejection.reason).collect();
                assert_eq!(reasons, [RejectReason::Duplicate], "{name} {peer}");
            }
        }
    }
}

#[test]
fn identical_traceparents_of_retries_are_not_duplicates() {
    let retried = Retried(vec![("traceparent".to_owned(), PARENT.as_bytes().to_vec()); 2]);
    assert_eq!(open().extract(&Peer::kafka("orders"), &retried).rejections, []);
}

#[test]
fn rejected_traceparent_drops_tracestate_and_keeps_baggage() {
    for headers in [
        vec![("traceparent", "00-bad"), ("tracestate", "a=1"), ("baggage", "k=v")],
        vec![("traceparent", PARENT), ("traceparent", OTHER), ("tracestate", "a=1"), ("baggage", "k=v")],
        vec![
            ("traceparent", PARENT),
            ("traceparent", PARENT),
            ("traceparent", OTHER),
            ("tracestate", "a=1"),
            ("baggage", "k=v"),
        ],
        vec![("traceparent", JOINED), ("tracestate", "a=1"), ("baggage", "k=v")],
        vec![("tracestate", "a=1"), ("baggage", "k=v")],
    ] {
        assert_eq!(through(&open(), &headers), pairs(&[("baggage", "k=v")]), "{headers:?}");
    }
}

#[test]
fn invalid_tracestate_is_dropped_alone() {
    assert_eq!(
        through(&open(), &[("traceparent", PARENT), ("tracestate", "a=1,B=2")]),
        pairs(&[("traceparent", PARENT)])
    );
}

#[test]
fn rejections_are_counted_by_reason() {
    let propagator = open();
    through(&propagator, &[("traceparent", "00-bad"), ("tracestate", "a=1"), ("baggage", "k=v,bad")]);
    let counters = propagator.counters();
    assert_eq!(counters.get(Direction::Inbound, RejectReason::Malformed), 2);
    assert_eq!(counters.get(Direction::Inbound, RejectReason::MissingTraceParent), 1);
    assert_eq!(counters.iter().count(), 2);
}

#[test]
fn disabled_propagator_extracts_and_injects_nothing() {
    let propagator = open();
    propagator.clone().set_enabled(false);
    let mut message = vec![("traceparent".to_owned(), b"the user's own".to_vec())];
    let untouched = message.clone();
    let context = propagator.extract(&Peer::caller(Transport::HTTP), &message).context;
    assert!(context.is_empty());
    propagator.inject(&Peer::http("api"), &context, &mut message);
    assert_eq!(message, untouched);
}
