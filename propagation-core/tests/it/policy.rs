use propagation_core::{
    InboundRule, KeyRule, OutboundRule, Peer, Policy, PropagationContext, Propagator, RejectReason, TraceTrust,
    Transport, policy::TraceStateRule,
};

use crate::wire::{PARENT, through};

const HEADERS: [(&str, &str); 3] =
    [("traceparent", PARENT), ("tracestate", "a=1,b=2"), ("baggage", "tenant.id=blue,user.email=x")];

fn names(sent: &[(String, String)]) -> Vec<&str> {
    sent.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn by_default_trace_context_passes_and_no_baggage_either_way() {
    assert_eq!(names(&through(&Propagator::default(), &HEADERS)), ["traceparent", "tracestate"]);
}

#[test]
fn a_key_crosses_only_where_both_directions_allow_it() {
    for (inbound, outbound, crosses) in [(true, true, true), (true, false, false), (false, true, false)] {
        let mut policy = Policy::builder();
        if inbound {
            policy = policy.inbound(InboundRule::peers(["http:*"]).allow("tenant.id"));
        }
        if outbound {
            policy = policy.outbound(OutboundRule::peers(["http:*.example.com"]).allow("tenant.*"));
        }
        let propagator = Propagator::builder().policy(policy.build().unwrap()).build();
        let baggage = through(&propagator, &HEADERS).into_iter().find(|(name, _)| name == "baggage");
        assert_eq!(baggage.map(|(_, value)| value), crosses.then(|| "tenant.id=blue".to_owned()));
    }
}

#[test]
fn outsider_at_the_edge_sets_no_trace_and_no_baggage() {
    let propagator = Propagator::builder().policy(Policy::edge()).build();
    assert_eq!(through(&propagator, &HEADERS), []);
    let received = vec![("traceparent".to_owned(), PARENT.as_bytes().to_vec())];
    let admission = propagator.extract(&Peer::caller(Transport::HTTP), &received);
    assert_eq!(admission.links[0].parent.unwrap().to_string(), PARENT);
    assert!(!admission.context.trace.has_ids());
}

#[test]
fn the_first_rule_that_matches_the_peer_decides() {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["address:10.0.0.0/8", "identity:billing"]).trust(TraceTrust::Full))
        .inbound(InboundRule::peers(["http:*"]).trust(TraceTrust::Ignore));
    let propagator = Propagator::builder().policy(policy.build().unwrap()).build();
    let received = vec![("traceparent".to_owned(), PARENT.as_bytes().to_vec())];
    for (peer, trusted) in [
        (Peer::caller(Transport::HTTP), false),
        (Peer::caller(Transport::HTTP).with_address([10, 1, 2, 3].into()), true),
        (Peer::caller(Transport::HTTP).with_address("::ffff:10.1.2.3".parse().unwrap()), true),
        (Peer::caller(Transport::HTTP).with_address([11, 1, 2, 3].into()), false),
        (Peer::caller(Transport::HTTP).with_identity("billing"), true),
    ] {
        assert_eq!(propagator.extract(&peer, &received).context.trace.has_ids(), trusted, "{peer:?}");
    }
}

#[test]
fn a_peer_may_be_denied_the_trace_or_parts_of_tracestate() {
    let sent = |rule: OutboundRule| {
        let policy = Policy::builder().outbound(rule).build().unwrap();
        through(&Propagator::builder().policy(policy).build(), &HEADERS)
    };
    let any = || OutboundRule::peers(["*"]);
    assert_eq!(names(&sent(any().trace_context(false))), [""; 0]);
    assert_eq!(names(&sent(any().tracestate(TraceStateRule::None))), ["traceparent"]);
    assert_eq!(sent(any().tracestate(TraceStateRule::Keys(vec!["b".into()])))[1].1, "b=2");
}

#[test]
fn personal_tracestate_is_dropped_both_ways() {
    let received = vec![
        ("traceparent".to_owned(), PARENT.as_bytes().to_vec()),
        ("tracestate".to_owned(), b"a=1,b=anna@example.com,password=Tr0ub4dor3,4111111111111111=2,ot=th:8".to_vec()),
    ];
    let state_under = |rule: InboundRule| {
        let policy = Policy::builder().inbound(rule).build().unwrap();
        let admission = Propagator::builder().policy(policy).build().extract(&Peer::caller(Transport::HTTP), &received);
        let reasons: Vec<RejectReason> = admission.rejections.iter().map(|rejection| rejection.reason).collect();
        for rejection in &admission.rejections {
            assert!(!rejection.to_string().contains("anna"), "{rejection}");
        }
        (String::from_utf8_lossy(admission.context.trace.state.as_bytes()).into_owned(), reasons)
    };
    let any = || InboundRule::peers(["*"]);
    let (state, reasons) = state_under(any());
    assert_eq!(state, "a=1,ot=th:8");
    assert_eq!(reasons, [RejectReason::PersonalData; 3]);
    let (state, reasons) = state_under(any().report_only());
    assert!(state.contains("anna@example.com"), "{state}");
    assert_eq!(reasons, [RejectReason::ReportOnly; 3]);
    let (state, reasons) = state_under(any().trust(TraceTrust::IdsOnly));
    assert_eq!((&*state, &*reasons), ("", &[RejectReason::Untrusted][..]));
    // A peer that no rule is for.
    let (state, _) = state_under(InboundRule::peers(["kafka:*"]));
    assert_eq!(state, "a=1,ot=th:8");
}

#[test]
fn a_personal_key_is_not_named_whatever_its_value_breaks() {
    let rule = OutboundRule::peers(["*"]).allow(KeyRule::new("*").max_length(2));
    let policy = Policy::builder().outbound(rule).build().unwrap();
    let mut context = PropagationContext::EMPTY;
    context.baggage.set("4111111111111111", "blue").unwrap();
    context.baggage.set("tenant.id", "blue").unwrap();
    let release = policy.release(&Peer::kafka("orders"), &context);
    let keys: Vec<Option<&str>> = release.rejections.iter().map(|rejection| rejection.key()).collect();
    assert_eq!(keys, [None, Some("tenant.id")]);
}

#[test]
fn values_that_break_their_rule_are_stopped_or_reported() {
    let allow = |rule: KeyRule| {
        let policy = Policy::builder().inbound(InboundRule::peers(["*"]).allow(rule)).build().unwrap();
        let received = vec![("baggage".to_owned(), b"plan=%66ree-forever".to_vec())];
        let admission = Propagator::builder().policy(policy).build().extract(&Peer::caller(Transport::HTTP), &received);
        (admission.context.baggage.len(), admission.rejections.first().map(|rejection| rejection.reason))
    };
    assert_eq!(allow(KeyRule::new("plan")), (1, None));
    assert_eq!(allow(KeyRule::new("plan").max_length(12)), (1, None));
    assert_eq!(allow(KeyRule::new("plan").max_length(11)), (0, Some(RejectReason::ValueNotAllowed)));
    assert_eq!(allow(KeyRule::new("plan").values(["free"])), (0, Some(RejectReason::ValueNotAllowed)));
    assert_eq!(allow(KeyRule::new("plan").values(["free"]).report_only()), (1, Some(RejectReason::ReportOnly)));
}

#[test]
fn a_policy_that_makes_no_sense_is_an_error() {
    for rule in [
        OutboundRule::peers([""; 0]),
        OutboundRule::peers(["kafk:orders"]),
        OutboundRule::peers(["address:10.0.0.0/33"]),
        OutboundRule::peers(["*"]).allow(""),
    ] {
        assert!(Policy::builder().outbound(rule).build().is_err());
    }
}

#[test]
fn a_member_that_cannot_be_read_is_not_named_by_a_personal_key() {
    let fields = vec![("baggage".to_owned(), b"anna@example.com=1,not a token=2,tenant id=3".to_vec())];
    let admission = Propagator::default().extract(&Peer::caller(Transport::HTTP), &fields);
    assert!(!admission.rejections.is_empty());
    for rejection in &admission.rejections {
        assert!(!rejection.to_string().contains("anna"), "{rejection}");
    }
    // A malformed key without personal data is reported by name, so that its sender can be found.
    let fields = vec![("baggage".to_owned(), b"ten@nt=1".to_vec())];
    let admission = Propagator::default().extract(&Peer::caller(Transport::HTTP), &fields);
    assert_eq!(admission.rejections[0].key(), Some("ten@nt"));
}

#[test]
fn address_ranges_are_compared_in_canonical_form() {
    for (range, address, inside) in [
        ("10.0.0.0/8", "10.1.2.3", true),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("::ffff:10.0.0.0/104", "10.1.2.3", true),
        ("::ffff:10.0.0.0/104", "11.1.2.3", false),
        ("::ffff:10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("0.0.0.0/0", "192.0.2.1", true),
        ("2001:db8::/32", "2001:db8::1", true),
        ("::/0", "192.0.2.1", false),
    ] {
        let rule = InboundRule::peers([format!("address:{range}")]).trust(TraceTrust::Restart);
        let policy = Policy::builder().inbound(rule).build().unwrap();
        let mut peer = Peer::caller(Transport::HTTP);
        peer.address = Some(address.parse().unwrap());
        let trust = policy.admit(&peer, PropagationContext::EMPTY).trust;
        assert_eq!(trust == TraceTrust::Restart, inside, "{range} {address}");
    }
    for range in
        ["10.0.0.0/255", "10.0.0.0/+8", "10.0.0.0/", "10.0.0.0/33", "::ffff:10.0.0.0/90", "2001:db8::/129", "10.0/8"]
    {
        assert!(
            Policy::builder().inbound(InboundRule::peers([format!("address:{range}")])).build().is_err(),
            "{range}"
        );
    }
}
