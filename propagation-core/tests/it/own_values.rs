//! Baggage from the application's own headers and claims.

use propagation_core::{
    Admission, Direction, InboundRule, KeyRule, OutboundRule, Peer, Policy, Propagator, RejectReason, Transport,
    policy::PolicyBuilder,
};

fn gateway() -> InboundRule {
    InboundRule::peers(["address:10.0.0.0/8"])
        .baggage_from_header("X-Tenant-Id", KeyRule::new("tenant.id").max_length(8))
        .baggage_from_claim("plan", KeyRule::new("user.plan").values(["free", "pro"]))
}

fn propagator(policy: PolicyBuilder) -> Propagator {
    Propagator::builder().policy(policy.build().unwrap()).build()
}

fn headers(headers: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

fn caller(address: [u8; 4]) -> Peer<'static> {
    Peer::caller(Transport::HTTP).with_address(address.into())
}

fn extract(rule: InboundRule, sent: &[(&str, &str)], plan: Option<&str>) -> Admission {
    let claims = |name: &str| plan.filter(|_| name == "plan").map(str::to_owned);
    propagator(Policy::builder().inbound(rule)).extract_with_claims(&caller([10, 0, 0, 1]), &headers(sent), &claims)
}

fn baggage(admission: &Admission) -> String {
    String::from_utf8(admission.context.baggage.as_wire().into_owned()).unwrap()
}

#[test]
fn header_and_claim_become_baggage_by_the_rule() {
    let admission = extract(gateway(), &[("x-tenant-id", " blue & c ")], Some("pro"));
    assert_eq!(baggage(&admission), "tenant.id=blue%20&%20c,user.plan=pro");
    assert!(admission.rejections.is_empty());
    // No rule for the peer, or no value: no baggage.
    let elsewhere = propagator(Policy::builder().inbound(gateway()));
    let sent = headers(&[("x-tenant-id", "blue")]);
    assert!(elsewhere.extract(&caller([192, 0, 2, 1]), &sent).context.baggage.is_empty());
    assert_eq!(baggage(&extract(gateway(), &[("x-tenant-id", " ")], None)), "");
}

#[test]
fn value_that_breaks_a_rule_is_rejected_and_counted() {
    for (sent, plan, reason) in [
        (&[("x-tenant-id", "longer than eight")][..], None, RejectReason::ValueNotAllowed),
        (&[], Some("gold"), RejectReason::ValueNotAllowed),
        (&[("x-tenant-id", "blue"), ("x-tenant-id", "red")], None, RejectReason::Duplicate),
    ] {
        let propagator = propagator(Policy::builder().inbound(gateway()));
        let claims = |_: &str| plan.map(str::to_owned);
        let admission = propagator.extract_with_claims(&caller([10, 0, 0, 1]), &headers(sent), &claims);
        assert_eq!(baggage(&admission), "", "{sent:?}");
        let [rejection] = admission.rejections.as_slice() else { panic!("{:?}", admission.rejections) };
        assert_eq!((rejection.reason, rejection.rule()), (reason, Some("address:10.0.0.0/8")));
        assert_eq!(propagator.counters().get(Direction::Inbound, reason), 1);
        assert!(!format!("{rejection:?}").contains("longer"), "values are not reported");
    }
    let huge = "x".repeat(10_000);
    let rule = InboundRule::peers(["*"]).baggage_from_header("x", "x");
    for value in [huge.as_bytes().to_vec(), vec![0xff, 0xfe]] {
        let admission = propagator(Policy::builder().inbound(rule.clone()))
            .extract(&caller([10, 0, 0, 1]), &vec![("x".to_owned(), value)]);
        assert!(admission.context.baggage.is_empty());
        assert_eq!(admission.rejections.len(), 1);
    }
}

#[test]
fn identical_duplicates_count_as_one_value() {
    let admission = extract(gateway(), &[("x-tenant-id", "blue"), ("x-tenant-id", "blue")], None);
    assert_eq!((baggage(&admission).as_str(), admission.rejections.len()), ("tenant.id=blue", 0));
}

#[test]
fn own_value_replaces_the_callers_member() {
    let rule = gateway().allow("tenant.id").allow("colour");
    let sent = [("baggage", "tenant.id=forged,colour=red,tenant.id=again"), ("x-tenant-id", "blue")];
    assert_eq!(baggage(&extract(rule.clone(), &sent, None)), "tenant.id=blue,colour=red");
    // Without the allow-list, the caller's baggage stays blocked, and the header alone counts.
    assert_eq!(baggage(&extract(gateway(), &sent, None)), "tenant.id=blue");
    assert_eq!(baggage(&extract(rule, &sent[..1], None)), "tenant.id=forged,colour=red,tenant.id=again");
}

#[test]
fn own_value_wins_where_the_caller_filled_the_list() {
    let members: Vec<String> = (0..64).map(|n| format!("k{n}=v")).collect();
    let admission = extract(gateway().allow("k*"), &[("baggage", &members.join(",")), ("x-tenant-id", "blue")], None);
    assert_eq!(admission.context.baggage.get("tenant.id").as_deref(), Some("blue"));
    assert_eq!(admission.context.baggage.len(), 64);
    assert_eq!(admission.rejections[0].reason, RejectReason::TooManyMembers);
    assert_eq!(admission.rejections[0].key(), Some("k63"));
}

#[test]
fn rule_of_the_allowed_key_holds_for_the_header_too() {
    let rule = InboundRule::peers(["*"])
        .allow(KeyRule::new("tenant.*").values(["blue"]).span_attribute("app.tenant"))
        .baggage_from_header("x-tenant-id", "tenant.id");
    let admission = extract(rule.clone(), &[("baggage", "tenant.id=blue"), ("x-tenant-id", "red")], None);
    assert_eq!(baggage(&admission), "tenant.id=blue", "the rejected header leaves the caller's allowed value");
    let admission = extract(rule.clone(), &[("x-tenant-id", "blue")], None);
    assert_eq!(admission.attributes.len(), 1);
    assert_eq!(admission.attributes[0].key, "app.tenant");
    let admission = extract(rule.report_only(), &[("x-tenant-id", "red")], None);
    assert_eq!(
        (baggage(&admission).as_str(), admission.rejections[0].reason),
        ("tenant.id=red", RejectReason::ReportOnly)
    );
}

#[test]
fn personal_header_value_is_scrubbed_before_the_wire() {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["*"]).baggage_from_header("x-contact", "contact"))
        .outbound(OutboundRule::peers(["*"]).allow("contact"));
    let propagator = propagator(policy);
    for (sent, crosses) in [("anna@example.com", false), ("blue", true)] {
        let admission = propagator.extract(&caller([10, 0, 0, 1]), &headers(&[("x-contact", sent)]));
        let mut carrier: Vec<(String, Vec<u8>)> = Vec::new();
        propagator.inject(&Peer::http("api"), &admission.context, &mut carrier);
        assert_eq!(carrier.iter().any(|(name, _)| name == "baggage"), crosses, "{sent}");
    }
}

#[test]
fn sources_that_cannot_become_baggage_are_errors() {
    let rule = || InboundRule::peers(["*"]);
    for (rule, words) in [
        (rule().baggage_from_header("x tenant", "tenant.id"), "not the name of a header"),
        (rule().baggage_from_header("", "tenant.id"), "not the name of a header"),
        (rule().baggage_from_header("x-tenant", "tenant.*"), "without `*`"),
        (rule().baggage_from_claim("tenant", "tenant id"), "cannot become"),
        (rule().baggage_from_claim("", "tenant.id"), "claim without a name"),
        (rule().baggage_from_header("x-a", "a").baggage_from_claim("a", "a"), "two sources, header x-a and claim a"),
    ] {
        let error = Policy::builder().inbound(rule).build().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[cfg(feature = "policy-file")]
mod file {
    use propagation_core::{
        PropagationContext,
        policy::{BaggageSource, Decision},
    };

    use super::*;

    const TEXT: &str = r#"
[[inbound]]
name = "gateway"
peers = ["address:10.0.0.0/8"]
baggage_from_headers = { "X-Tenant-Id" = "tenant.id", "x-cell" = { key = "cell", pattern = "[a-z]+" } }
baggage_from_claims = { plan = { key = "user.plan", values = ["free", "pro"] } }
"#;

    #[test]
    fn policy_file_lists_headers_and_claims() {
        let propagator = Propagator::builder().policy(Policy::from_toml(TEXT).unwrap()).build();
        let sent = headers(&[("x-tenant-id", "blue"), ("x-cell", "7"), ("x-other", "z")]);
        let claims = |name: &str| (name == "plan").then(|| "pro".to_owned());
        let admission = propagator.extract_with_claims(&caller([10, 0, 0, 1]), &sent, &claims);
        assert_eq!(baggage(&admission), "tenant.id=blue,user.plan=pro");
        assert_eq!(admission.rejections[0].key(), Some("cell"));
    }

    #[test]
    fn bad_source_in_a_file_is_an_error_with_its_place() {
        for (line, place, words) in [
            (r#"baggage_from_headers = { "x y" = "a" }"#, "4:", "not the name of a header"),
            (r#"baggage_from_headers = { "x" = "a*" }"#, "4:", "without `*`"),
            (r#"baggage_from_headers = { "x" = "" }"#, "4:", "empty key"),
            (r#"baggage_from_claims = { "x" = { kee = "a" } }"#, "4:", "unknown field"),
            (r#"baggage_from_headers = ["x"]"#, "4:", "expected a map"),
        ] {
            let text = format!("[[inbound]]\nname = \"a\"\npeers = [\"*\"]\n{line}\n");
            let error = Policy::from_toml(&text).unwrap_err().to_string();
            assert!(error.contains(place) && error.contains(words), "{error}");
        }
    }

    #[test]
    fn lint_warns_about_headers_that_every_caller_chooses() {
        let text = "[[inbound]]\npeers = [\"http:*\"]\nbaggage_from_headers = { \"x-tenant\" = \"tenant\" }\n\
                    [[inbound]]\npeers = [\"address:10.0.0.0/8\"]\n\
                    baggage_from_headers = { cookie = \"c\", x-user = \"user.email\" }\n";
        let warnings: Vec<String> = Policy::lint_toml(text).unwrap().iter().map(ToString::to_string).collect();
        let expected =
            ["3:", "every caller can choose header x-tenant", "6:", "header cookie looks personal", "user.email"];
        let joined = warnings.join("\n");
        assert!(expected.iter().all(|words| joined.contains(words)), "{joined}");
        assert_eq!(Policy::lint_toml(TEXT).unwrap(), []);
    }

    #[test]
    fn explanation_names_the_source_of_a_member() {
        let policy = Policy::from_toml(TEXT).unwrap();
        let own = |source: BaggageSource<'_>| match source {
            BaggageSource::Header("x-tenant-id") => Some("blue".to_owned()),
            BaggageSource::Claim("plan") => Some("gold".to_owned()),
            _ => None,
        };
        let explained = policy.explain_received(&caller([10, 0, 0, 1]), &PropagationContext::EMPTY, &own);
        let found: Vec<_> = explained
            .baggage()
            .map(|field| (field.key.as_deref().unwrap(), field.decision, field.source.as_deref().unwrap()))
            .collect();
        let expected =
            [("tenant.id", Decision::Allowed, "header x-tenant-id"), ("user.plan", Decision::Blocked, "claim plan")];
        assert_eq!(found, expected);
        assert!(policy.explain_received(&caller([192, 0, 2, 1]), &PropagationContext::EMPTY, &own).fields.is_empty());
    }

    #[test]
    fn new_source_is_reported_as_a_loosening() {
        let before = Policy::from_toml(&TEXT.replace("\"X-Tenant-Id\" = \"tenant.id\", ", "")).unwrap();
        let after = Policy::from_toml(TEXT).unwrap();
        let loosened: Vec<String> = before.loosened_by(&after).iter().map(ToString::to_string).collect();
        assert_eq!(loosened, ["inbound address:10.0.0.0/8: key \"tenant.id\" is taken from the header x-tenant-id"]);
        assert_eq!(after.loosened_by(&before), []);
        let wider = Policy::from_toml(&TEXT.replace(", pattern = \"[a-z]+\"", "")).unwrap();
        assert_eq!(after.loosened_by(&wider).len(), 1);
    }
}
