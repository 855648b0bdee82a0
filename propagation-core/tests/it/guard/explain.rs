//! Explanations agree with the results of an extract and an inject.

use propagation_core::{
    Direction, InboundRule, OutboundRule, Peer, Policy, PropagationContext, RejectReason, SamplingDecision,
    TraceContext, TraceState, TraceTrust, Transport,
    policy::{Decision, ExplainedField, TraceStateRule},
};

use crate::wire::PARENT;

fn context() -> PropagationContext {
    let state = TraceState::parse(b"dd=s:1,other=anna@example.com,ot=th:8").unwrap();
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()).with_state(state));
    context.baggage.set("tenant.id", "blue").unwrap();
    context.baggage.set("other", "1").unwrap();
    context
}

fn of<'e>(fields: &'e [ExplainedField], field: &str, key: Option<&str>) -> &'e ExplainedField {
    fields.iter().find(|it| it.field == field && it.key.as_deref() == key).unwrap_or_else(|| panic!("{field} {key:?}"))
}

#[test]
fn explain_inbound_covers_trust_trace_and_tracestate() {
    for (trust, parent, reason, state, linked) in [
        (TraceTrust::Full, Decision::Allowed, None, Decision::Allowed, false),
        (TraceTrust::IdsOnly, Decision::Modified, Some(RejectReason::Untrusted), Decision::Blocked, false),
        (TraceTrust::RestartWithLink, Decision::Blocked, Some(RejectReason::Restarted), Decision::Blocked, true),
        (TraceTrust::Restart, Decision::Blocked, Some(RejectReason::Restarted), Decision::Blocked, false),
        (TraceTrust::Ignore, Decision::Blocked, Some(RejectReason::Untrusted), Decision::Blocked, false),
    ] {
        let rule = InboundRule::peers(["http:*"]).named("callers").trust(trust).allow("tenant.id");
        let policy = Policy::builder().inbound(rule).build().unwrap();
        let explained = policy.explain(Direction::Inbound, &Peer::caller(Transport::HTTP), &context());
        assert_eq!((&*explained.rule, explained.trust, explained.linked), ("callers", Some(trust), linked));
        let found = of(&explained.fields, "traceparent", None);
        assert_eq!((found.decision, found.reason), (parent, reason), "{trust:?}");
        assert_eq!(of(&explained.fields, "tracestate", Some("dd")).decision, state, "{trust:?}");
        assert_eq!(of(&explained.fields, "baggage", Some("tenant.id")).decision, Decision::Allowed);
        assert_eq!(of(&explained.fields, "baggage", Some("other")).reason, Some(RejectReason::NotAllowed));
    }
    let explained = Policy::default().explain(Direction::Inbound, &Peer::caller(Transport::HTTP), &context());
    assert_eq!((&*explained.rule, explained.trust), ("default", Some(TraceTrust::Full)));
    let personal = of(&explained.fields, "tracestate", Some("other"));
    assert_eq!((personal.decision, personal.detector.as_deref()), (Decision::Blocked, Some("email")));
}

#[test]
fn explain_outbound_covers_trace_and_tracestate() {
    let explain = |rule: OutboundRule| {
        let policy = Policy::builder().outbound(rule.named("api")).build().unwrap();
        let explained = policy.explain(Direction::Outbound, &Peer::http("api"), &context());
        assert_eq!((&*explained.rule, explained.trust, explained.linked), ("api", None, false));
        explained.fields
    };
    let rule = || OutboundRule::peers(["*"]);
    let fields = explain(rule().trace_context(false));
    assert_eq!(of(&fields, "traceparent", None).decision, Decision::Blocked);
    assert_eq!(of(&fields, "tracestate", Some("dd")).decision, Decision::Blocked);
    let fields = explain(rule().tracestate(TraceStateRule::Keys(vec!["ot".to_owned()])));
    let found = of(&fields, "traceparent", None);
    assert_eq!((found.decision, found.output.as_deref()), (Decision::Allowed, Some(PARENT)));
    assert_eq!(of(&fields, "tracestate", Some("dd")).reason, Some(RejectReason::Untrusted));
    assert_eq!(of(&fields, "tracestate", Some("ot")).decision, Decision::Allowed);
    let fields = explain(rule().report_only());
    let personal = of(&fields, "tracestate", Some("other"));
    assert_eq!((personal.decision, personal.reason), (Decision::Allowed, Some(RejectReason::PersonalData)));
}

#[test]
fn explain_agrees_with_admit_and_release() {
    let mut checked = 0;
    for trust in
        [TraceTrust::Full, TraceTrust::IdsOnly, TraceTrust::RestartWithLink, TraceTrust::Restart, TraceTrust::Ignore]
    {
        for state in
            [TraceStateRule::All, TraceStateRule::None, TraceStateRule::Keys(vec!["dd".to_owned(), "other".to_owned()])]
        {
            for (trace, report) in [(true, false), (false, false), (true, true)] {
                let inbound = InboundRule::peers(["*"]).trust(trust).allow("tenant.*");
                let outbound = OutboundRule::peers(["*"]).trace_context(trace).tracestate(state.clone()).allow("*");
                let (inbound, outbound) =
                    if report { (inbound.report_only(), outbound.report_only()) } else { (inbound, outbound) };
                let policy = Policy::builder().inbound(inbound).outbound(outbound).build().unwrap();
                let peer = Peer::kafka("orders");
                let admitted = policy.admit(&peer, context()).context;
                let released = policy.release(&peer, &context()).context.into_owned();
                for (direction, crossed) in [(Direction::Inbound, admitted), (Direction::Outbound, released)] {
                    for field in policy.explain(direction, &peer, &context()).fields {
                        let key = field.key.as_deref().unwrap_or_default();
                        let output = match field.field {
                            "traceparent" => crossed.trace.parent.map(|parent| parent.to_string()),
                            "tracestate" => crossed.trace.state.get(key).map(str::to_owned),
                            _ => crossed.baggage.get(key).map(std::borrow::Cow::into_owned),
                        };
                        assert_eq!(field.output, output, "{direction:?} {trust:?} {state:?} {field:?}");
                        assert_eq!(field.decision == Decision::Blocked, output.is_none(), "{field:?}");
                        assert!(field.decision == Decision::Allowed || field.reason.is_some(), "{field:?}");
                        checked += 1;
                    }
                }
            }
        }
    }
    assert!(checked > 300, "{checked}");
}

#[test]
fn explain_without_a_trace_has_only_trust_and_baggage() {
    let mut context = PropagationContext::EMPTY;
    context.baggage.set("a", "1").unwrap();
    let explained = Policy::edge().explain(Direction::Inbound, &Peer::caller(Transport::HTTP), &context);
    assert_eq!(
        (explained.trust, explained.linked, explained.fields.len()),
        (Some(TraceTrust::RestartWithLink), false, 1)
    );
    // A decision about sampling without ids is a trace context, too.
    let context = PropagationContext::new(TraceContext::EMPTY.with_sampling(SamplingDecision::from_sampled(false)));
    let explained = Policy::edge().explain(Direction::Inbound, &Peer::caller(Transport::HTTP), &context);
    assert_eq!(of(&explained.fields, "traceparent", None).decision, Decision::Blocked);
}
