//! The guard: scrubbing, report mode, explanations, policy files.

mod callback;
mod explain;
mod linear;
mod loosening;
#[cfg(feature = "reload")]
mod reload;
mod reports;

use propagation_core::{
    Direction, InboundRule, KeyRule, OutboundRule, Peer, Policy, PropagationContext, Propagator, RejectReason, Scrub,
    Transport,
    policy::{Decision, Pseudonymizer, ScrubAction},
};

fn context(baggage: &str) -> PropagationContext {
    let carrier = vec![("baggage".to_owned(), baggage.as_bytes().to_vec())];
    let policy = Policy::builder().inbound(InboundRule::peers(["*"]).allow("*")).build().unwrap();
    Propagator::builder().policy(policy).build().extract(&Peer::caller(Transport::HTTP), &carrier).context
}

fn open(scrub: Scrub) -> Policy {
    Policy::builder().scrub(scrub).outbound(OutboundRule::peers(["*"]).allow("*")).build().unwrap()
}

fn released(policy: &Policy, baggage: &str) -> String {
    let context = context(baggage);
    let release = policy.release(&Peer::kafka("orders"), &context);
    String::from_utf8(release.context.baggage.as_wire().into_owned()).unwrap()
}

fn keys() -> Pseudonymizer {
    Pseudonymizer::new("k1", b"a key that is long enough").unwrap()
}

#[test]
fn personal_values_keys_and_properties_do_not_cross() {
    let policy = open(Scrub::default());
    for baggage in [
        "who=anna@example.com",
        "who=anna%40example.com",
        "who=anna%2540example.com",
        "card=4111%201111%201111%201111",
        "anna.smith=1;note=anna@example.com",
        "session.token=Zx81kQp0vLr7TnWc93MbYd52HsGa64Fe",
    ] {
        assert_eq!(released(&policy, &format!("{baggage},tenant.id=blue")), "tenant.id=blue", "{baggage}");
    }
}

#[test]
fn a_personal_key_is_not_even_named() {
    let context = context("4111111111111111=1");
    let release = open(Scrub::default()).release(&Peer::kafka("orders"), &context);
    assert!(release.context.baggage.is_empty());
    assert_eq!(
        release.rejections.iter().map(|rejection| (rejection.key(), rejection.reason)).collect::<Vec<_>>(),
        [(None, RejectReason::PersonalData)]
    );
}

#[test]
fn a_personal_key_is_not_named_on_the_way_in_either() {
    for policy in [Policy::default(), Policy::edge()] {
        let admission = policy.admit(&Peer::caller(Transport::HTTP), context("4111111111111111=x,plan=pro"));
        let keys: Vec<_> = admission.rejections.iter().map(|rejection| rejection.key()).collect();
        assert_eq!(keys, [None, Some("plan")]);
    }
}

#[test]
fn each_action_has_its_effect() {
    let change = |action| {
        released(&open(Scrub::default().action(action).pseudonyms(keys())), "note=to%20anna@example.com%20now,x=1")
    };
    assert_eq!(change(ScrubAction::Drop), "x=1");
    assert_eq!(change(ScrubAction::Redact), "note=to%20[email]%20now,x=1");
    assert!(!change(ScrubAction::Mask).contains("anna"));
    let pseudonym = change(ScrubAction::Pseudonymize);
    assert_eq!(pseudonym, format!("note={},x=1", keys().pseudonym("to anna@example.com now")));
    assert_eq!(released(&open(Scrub::default().pseudonyms(keys())), &pseudonym), pseudonym, "a pseudonym crosses");
}

#[test]
fn no_action_lets_personal_data_cross() {
    let values = ["blue", "anna@example.com", "4111111111111111", "anna%40example.com"];
    let properties =
        ["", ";p=1", ";p=anna@example.com", ";p=4111111111111111", ";p=anna%40example.com", ";a;b;anna@example.com"];
    let mut crossed = 0;
    for action in ScrubAction::ALL {
        let policy = open(Scrub::default().action(*action).pseudonyms(keys()));
        for value in values {
            for properties in properties {
                let out = released(&policy, &format!("k={value}{properties}"));
                crossed += usize::from(!out.is_empty());
                let personal = ["anna", "411111111111"].iter().any(|canary| out.contains(canary));
                assert!(!personal, "{action:?}: k={value}{properties} crosses as {out}");
                let properties_are_clean = matches!(properties, "" | ";p=1");
                assert!(out.is_empty() || out.contains(";p=1") == (properties == ";p=1"), "{action:?}: {out}");
                assert!(
                    *action != ScrubAction::Drop || out.is_empty() || (value == "blue" && properties_are_clean),
                    "{out}"
                );
            }
        }
    }
    assert!(crossed > 60, "{crossed}");
}

#[test]
fn pseudonyms_pass_only_under_pseudonymize() {
    let like = keys().pseudonym("anna@example.com");
    for (action, baggage, crosses) in [
        (ScrubAction::Pseudonymize, format!("user.token={like}"), true),
        (ScrubAction::Pseudonymize, format!("user.token=none;{like}"), false),
        (ScrubAction::Drop, format!("user.token={like}"), false),
        (ScrubAction::Redact, format!("user.token={like}"), false),
    ] {
        let out = released(&open(Scrub::default().action(action).pseudonyms(keys())), &baggage);
        assert_eq!(out == baggage, crosses, "{action:?} {baggage}: {out}");
    }
}

#[test]
fn a_key_may_have_an_action_of_its_own_or_none() {
    let rule = OutboundRule::peers(["*"])
        .allow(KeyRule::new("contact").action(ScrubAction::Redact))
        .allow(KeyRule::new("build").without_scrubbing())
        .allow("other");
    let policy = Policy::builder().outbound(rule).build().unwrap();
    let baggage = "contact=a@example.com,build=b@example.com,other=c@example.com";
    assert_eq!(released(&policy, baggage), "contact=[email],build=b@example.com");
}

#[test]
fn the_users_own_patterns_are_detectors_too() {
    let scrub = Scrub::default().pattern("employee", r"\bE\d{6}\b").unwrap().action(ScrubAction::Redact);
    assert_eq!(released(&open(scrub), "by=E123456,x=E12"), "by=[employee],x=E12");
    assert!(Scrub::default().pattern("broken", "(").is_err());
    assert!(KeyRule::new("k").pattern("[").is_err());
}

#[test]
fn tracestate_is_scrubbed_too() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let carrier = vec![
        ("traceparent".to_owned(), parent.as_bytes().to_vec()),
        ("tracestate".to_owned(), b"a=1,b=anna@example.com,c=3".to_vec()),
    ];
    let propagator = Propagator::default();
    let received = propagator.extract(&Peer::caller(Transport::HTTP), &carrier).context;
    let mut sent = Vec::new();
    propagator.inject(&Peer::http("api"), &received, &mut sent);
    assert_eq!(sent[1].1, b"a=1,c=3");
}

#[test]
fn sampling_numbers_are_not_mistaken_for_cards() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let sent = |state: &str| {
        let carrier = vec![
            ("traceparent".to_owned(), parent.as_bytes().to_vec()),
            ("tracestate".to_owned(), state.as_bytes().to_vec()),
        ];
        let received = Propagator::default().extract(&Peer::caller(Transport::HTTP), &carrier).context;
        let mut sent = Vec::new();
        Propagator::default().inject(&Peer::http("api"), &received, &mut sent);
        sent.get(1).map(|(_, value)| String::from_utf8(value.clone()).unwrap()).unwrap_or_default()
    };
    // A Diners Club number by prefix, length and check digit.
    for state in ["ot=rv:30569309025904", "ot=th:8;rv:30569309025904", "ot=rv:30569309025904;th:c"] {
        assert_eq!(sent(state), state);
    }
    for state in ["other=rv:30569309025904", "ot=note:30569309025904", "ot=th:8;mail:anna@example.com"] {
        assert_eq!(sent(state), "", "{state}");
    }
}

/// Returns the tracestate that is sent on after it was received.
fn forwarded(state: &str) -> String {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let carrier = vec![
        ("traceparent".to_owned(), parent.as_bytes().to_vec()),
        ("tracestate".to_owned(), state.as_bytes().to_vec()),
    ];
    let received = Propagator::default().extract(&Peer::caller(Transport::HTTP), &carrier).context;
    let mut sent = Vec::new();
    Propagator::default().inject(&Peer::http("api"), &received, &mut sent);
    sent.get(1).map(|(_, value)| String::from_utf8(value.clone()).unwrap()).unwrap_or_default()
}

#[test]
fn vendor_ids_in_tracestate_are_forwarded() {
    // Span ids of decimal digits alone that pass the check digit of a card, and the place of a Belgian account number.
    for state in [
        "dd=s:2;o:rum;t.dm:-4;t.tid:6553590500000000;p:4862916106750538",
        "33@nr=0-0-33-2827902-4862916106750538-e8b91a159289ff74-1-0.654321-1518469636035",
        "f8a3c1d2-9be4f6a7@dt=fw4;2;3a;4862916106750538;0;0;0;1a2;9f3c;2h01;7h5358903834835672",
        "xray=5358903834835672,es=s:0.25",
        "sw=4862916106750538-01",
        "ls=5613313021203356:7233b947a846a0ec",
        "dd=p:be68539007547034",
    ] {
        assert_eq!(forwarded(state), state);
    }
}

#[test]
fn personal_value_beside_vendor_id_is_removed() {
    for state in [
        "dd=s:2;p:4862916106750538;t.usr:anna@example.com",
        "dd=p:4862916106750538;t.k:ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "33@nr=4862916106750538-anna@example.com",
        "api_key=4bf92f3577b34da6a3ce929d0e0e4736a1",
        "api_key=9bf92f3577b34da6a3ce929d0e0e4736",
    ] {
        assert_eq!(forwarded(&format!("a=1,{state},c=3")), "a=1,c=3", "{state}");
    }
}

#[test]
fn report_mode_passes_everything_and_reports_it() {
    let rule = OutboundRule::peers(["*"]).allow(KeyRule::new("plan").values(["free"])).allow("who").report_only();
    let policy = Policy::builder().outbound(rule).build().unwrap();
    let baggage = "plan=gold,who=anna@example.com,other=1";
    assert_eq!(released(&policy, baggage), baggage);
    let stopped = policy.release(&Peer::kafka("orders"), &context(baggage)).rejections;
    let reasons: Vec<_> = stopped.iter().map(|stopped| (stopped.reason, stopped.underlying.unwrap())).collect();
    let underlying = [RejectReason::ValueNotAllowed, RejectReason::PersonalData, RejectReason::NotAllowed];
    assert_eq!(reasons, underlying.map(|underlying| (RejectReason::ReportOnly, underlying)));
    assert_eq!(
        stopped[0].to_string(),
        "baggage plan: allowed by report mode, would be blocked: value_not_allowed (rule *)",
    );
    let explained = policy.explain(Direction::Outbound, &Peer::kafka("orders"), &context(baggage));
    let reasons: Vec<_> = explained.baggage().map(|key| (key.decision, key.reason.unwrap())).collect();
    assert_eq!(
        reasons,
        [
            (Decision::Allowed, RejectReason::ValueNotAllowed),
            (Decision::Allowed, RejectReason::PersonalData),
            (Decision::Allowed, RejectReason::NotAllowed)
        ]
    );
}

#[test]
fn allowed_baggage_becomes_external_span_attributes() {
    let rule = InboundRule::peers(["*"]).allow(KeyRule::new("tenant.id").span_attribute("tenant.id"));
    let policy = Policy::builder().inbound(rule).build().unwrap();
    let attributes = |baggage| policy.admit(&Peer::caller(Transport::HTTP), context(baggage)).attributes;
    assert_eq!(attributes("tenant.id=blue").len(), 1);
    // The guard drops it once a bridge records: see `gate::copied_baggage_with_personal_data_is_dropped`.
    assert!(!format!("{:?}", attributes("tenant.id=anna@example.com")).contains("anna"));
    assert_eq!(attributes("other=blue").len(), 0);
    let last = attributes("tenant.id=red,plan=pro,tenant.id=blue,other=1");
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].value, "blue".to_owned().into(), "what `Baggage::get` answers");

    let family = InboundRule::peers(["*"]).allow(KeyRule::new("*").span_attribute("first"));
    let policy = Policy::builder().inbound(family).build().unwrap();
    let first = policy.admit(&Peer::caller(Transport::HTTP), context("a=1,b=2,a=3")).attributes;
    assert_eq!(first[0].value, "3".to_owned().into(), "the last value of the first key");
}

const FILE: &str = r#"
profile = "edge"

[scrub]
except = ["phone"]
action = "redact"

[scrub.patterns]
employee = 'E\d{6}'

[[inbound]]
name = "partners"
peers = ["address:10.0.0.0/8", "identity:partner-*"]
trust = "ids-only"
baggage = ["tenant.id"]

[[outbound]]
peers = ["http:*.internal", "kafka:orders"]
tracestate = ["ot"]
baggage = ["tenant.id", { key = "plan", values = ["free", "pro"], mode = "report" }, { key = "by", scrub = "mask" }]
"#;

#[test]
fn policy_file_equals_the_builder() {
    let policy = Policy::from_toml(FILE).unwrap();
    assert_eq!(
        released(&policy, "tenant.id=blue,plan=gold,by=E123456,secret=1"),
        "tenant.id=blue,plan=gold,by=*******"
    );
    assert!(Policy::from_toml("open = true").unwrap().lint().is_empty());
}

#[test]
fn a_policy_file_that_makes_no_sense_is_an_error_with_its_place() {
    for (text, place, cause) in [
        ("[[outbound]]\npeers = [\"kafka:orders\"\n", None, ""),
        ("profile = \"internet\"", Some((1, 11)), "unknown profile"),
        ("[scrub]\naction = \"shred\"", Some((2, 10)), "not an action"),
        ("[scrub]\ndetectors = [\"email\", \"emial\"]", Some((2, 23)), "not a detector"),
        ("[[outbound]]\npeers = [\"*\", \"kafk:x\"]", Some((2, 15)), "not a peer"),
        ("[[outbound]]\npeers = [\"nats:x\"]", Some((2, 10)), "unknown transport \"nats\""),
        ("transports = [\"nats\"]\n[[inbound]]\npeers = [\"kafak:x\"]", Some((3, 10)), "process, nats; declare"),
        ("transports = [\"nats\", \"N A\"]", Some((1, 23)), "not a transport"),
        ("transports = [\"identity\"]", Some((1, 15)), "not a transport"),
        ("[[outbound]]\npeers = [\"kafka:\"]", Some((2, 10)), "not a peer"),
        ("[[outbound]]\npeers = [\"*\"]\nbagage = []", Some((3, 1)), "bagage"),
        ("[[outbound]]\npeers = [\"*\"]\nbaggage = [\"\"]", Some((3, 12)), "empty key"),
        ("[[outbound]]\npeers = [\"*\"]\nbaggage = [{ key = \"k\", pattern = \"(\" }]", Some((3, 12)), "pattern"),
        ("[[outbound]]\npeers = []", Some((1, 1)), "no peers"),
        ("[[inbound]]\npeers = [\"*\"]\ntrust = \"blindly\"", Some((3, 9)), "unknown trust"),
        ("[[inbound]]\npeers = [\"*\"]\ntrust = \"trust\"", Some((3, 9)), "was renamed to \"full\""),
        ("[[inbound]]\npeers = [\"*\"]\ntrust = \"accept-ids\"", Some((3, 9)), "was renamed to \"ids-only\""),
        ("[[inbound]]\npeers = [\"*\"]\ntrust = \"restart-and-link\"", Some((3, 9)), "\"restart-with-link\""),
        ("[scrub]\naction = \"pseudonymize\"", Some((2, 10)), "needs a key"),
        (
            "[[outbound]]\npeers = [\"*\"]\nbaggage = [\"k\", { key = \"l\", max = 1 }]",
            Some((3, 30)),
            "unknown field `max`",
        ),
        ("[[outbound]]\npeers = [\"*\"]\nbaggage = [{ key = \"k\", scrub = 1 }]", Some((3, 33)), "false or an action"),
        ("[[outbound]]\npeers = [\"*\"]\nbaggage = [{ max_length = 1 }]", Some((3, 12)), "missing field `key`"),
        ("[[outbound]]\npeers = [\"*\"]\nbaggage = [\"k\", 1]", Some((3, 17)), "expected a key"),
        ("[[outbound]]\npeers = [\"*\"]\ntracestate = \"no\"", Some((3, 14)), "false or a list of keys"),
        ("[[outbound]]\npeers = [\"*\"]\ntracestate = [\"ot\", 1]", Some((3, 21)), "expected a string"),
        ("[[inbound]]\npeers = [\"address:10.0.0.0/33\"]", Some((2, 10)), "range such as"),
        ("[scrub.patterns]\nall = \"\"", Some((2, 7)), "an empty pattern"),
        ("[scrub.patterns]\nall = \"x*\"", Some((2, 7)), "every value"),
        ("[pseudonyms]\ncurrent = { id = \"k\", env = \"NO_SUCH_VARIABLE\" }", Some((2, 11)), "is not set"),
    ] {
        let error = Policy::from_toml(text).unwrap_err();
        if let Some(place) = place {
            assert_eq!(error.place(), Some(place), "{text}: {error}");
        }
        assert!(error.to_string().contains(cause), "{text}: {error}");
    }
}

#[test]
fn lint_warns_about_suspicious_policies() {
    let text = r#"
[[outbound]]
name = "all"
peers = ["kafka:*"]
baggage = ["user.email", "*", "tenant.id"]

[[outbound]]
name = "orders"
peers = ["kafka:orders"]

[[outbound]]
name = "hosts"
peers = ["*"]
baggage = ["plan"]
"#;
    let warnings: Vec<String> = Policy::lint_toml(text)
        .unwrap()
        .into_iter()
        .map(|warning| format!("{}:{}: {}", warning.line, warning.column, warning.warning.kind))
        .collect();
    assert_eq!(warnings.len(), 5, "{warnings:#?}");
    assert!(warnings[0].starts_with("5:12: the key \"user.email\" looks personal"));
    assert!(warnings[1].contains("allows everything"));
    assert!(warnings[2].contains("\"tenant.id\" can never match"));
    assert!(warnings[3].starts_with("9:10: kafka:orders can never match"));
    assert!(warnings[4].starts_with("11:1: its keys go to every host"));
}

#[test]
fn lint_warns_about_unmatchable_peers_and_keys() {
    let text = r#"
[[outbound]]
peers = ["http://api.example.com", "http:api.example.com:8080", "http:*.", "http:[::1]:80"]

[[outbound]]
peers = ["address:10.0.0.0/8", "identity:partner", "http:[::1]", "http:*.Example.com.", "kafka:Orders", "grpc:shop.Orders"]
baggage = ["tenant id", "tenant.*"]

[[inbound]]
peers = ["http:*.internal", "grpc:shop.Orders", "http:*", "kafka:orders", "address:10.0.0.0/8"]
"#;
    let warnings = Policy::lint_toml(text).unwrap();
    assert!(warnings.iter().all(|warning| warning.to_string().contains("can never match")), "{warnings:#?}");
    let places: Vec<(usize, usize)> = warnings.iter().map(|warning| (warning.line, warning.column)).collect();
    let hosts = [(3, 10), (3, 36), (3, 65), (3, 76)];
    let expected = [&[(10, 10), (10, 29)][..], &hosts, &[(6, 10), (6, 32), (7, 12)]].concat();
    assert_eq!(places, expected, "{warnings:#?}");
}

#[test]
fn lint_warns_about_personal_keys_in_any_case_style() {
    let personal = |key: &str| !Policy::internal([key]).lint().is_empty();
    for key in ["userEmail", "user_email", "user-email", "USER.EMAIL", "clientIP", "phoneNumber", "APIKey", "db.pwd"] {
        assert!(personal(key), "{key}");
    }
    for key in ["tenant.id", "shippingPlan", "tokenizer", "ship", "span", "feature.mailing", "zipkin"] {
        assert!(!personal(key), "{key}");
    }
}

#[test]
fn extract_and_inject_see_one_policy_during_changes() {
    let policy = |key: &str| {
        let (inbound, outbound) =
            (InboundRule::peers(["*"]).allow("*"), OutboundRule::peers(["*"]).allow(format!("{key}.*").as_str()));
        Policy::builder().inbound(inbound).outbound(outbound).build().unwrap()
    };
    let propagator = Propagator::builder().policy(policy("a")).build();
    let context = context("a.1=x,b.1=x,a.2=x,b.2=x");
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..2_000 {
                    let mut sent = Vec::new();
                    propagator.inject(&Peer::http("api"), &context, &mut sent);
                    let baggage = String::from_utf8(sent[0].1.clone()).unwrap();
                    assert!(baggage == "a.1=x,a.2=x" || baggage == "b.1=x,b.2=x", "{baggage}");
                }
            });
        }
        for turn in 0..2_000 {
            propagator.set_policy(policy(if turn % 2 == 0 { "b" } else { "a" }));
        }
    });
}

#[test]
fn the_environment_switches_propagation_off_or_only_the_spans() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let carrier = vec![("traceparent".to_owned(), parent.as_bytes().to_vec())];
    for (variable, value, extracts) in [
        ("PROPAGATION_DISABLED", "True", false),
        ("PROPAGATION_DISABLED", "1", true),
        ("OTEL_SDK_DISABLED", "true", true),
    ] {
        let look_up = |name: &str| (name == variable).then(|| value.to_owned());
        let propagator = Propagator::builder().switches_from(look_up).build();
        assert_eq!(
            propagator.extract(&Peer::caller(Transport::HTTP), &carrier).context.trace.has_ids(),
            extracts,
            "{variable}={value}"
        );
    }
}
