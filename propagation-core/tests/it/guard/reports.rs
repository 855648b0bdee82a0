//! Events and counters of fields that the policy rejects or would reject.

use std::sync::{Arc, Mutex};

use propagation_core::{InboundRule, KeyRule, Peer, Policy, Propagator, Transport};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The log lines of one extract.
fn logged(policy: Policy, peer: &Peer<'_>, baggage: &str) -> String {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    crate::events::with_subscriber(subscriber, || {
        let carrier = vec![("baggage".to_owned(), baggage.as_bytes().to_vec())];
        let _ = Propagator::builder().policy(policy).build().extract(peer, &carrier);
    });
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn inbound(rule: InboundRule) -> Policy {
    Policy::builder().inbound(rule).build().unwrap()
}

#[test]
fn report_mode_logs_that_the_key_crossed_and_why_not() {
    let whole_rule = || InboundRule::peers(["*"]).allow(KeyRule::new("plan").values(["free"])).report_only();
    let one_key = || InboundRule::peers(["*"]).allow(KeyRule::new("plan").values(["free"]).report_only());
    for (policy, baggage, reason) in [
        (inbound(whole_rule()), "tenant.id=blue", "not_allowed"),
        (inbound(whole_rule()), "plan=gold", "value_not_allowed"),
        (inbound(one_key()), "plan=gold", "value_not_allowed"),
    ] {
        let line = logged(policy, &Peer::kafka("orders"), baggage);
        assert!(line.contains("crossed in report mode"), "{line}");
        assert!(line.contains(&format!("reason=\"{reason}\"")), "{line}");
        assert!(!line.contains("rejected") && !line.contains("\"reported\""), "{line}");
    }
    let line = logged(inbound(one_key()), &Peer::kafka("orders"), "other=1");
    assert!(line.contains("context field rejected") && !line.contains("mode="), "{line}");
}

#[test]
fn denied_key_event_contains_the_rule_to_write() {
    for (policy, peer, expected) in [
        (Policy::default(), Peer::kafka("orders"), r#"[[inbound]] peers = ["kafka:orders"] baggage = ["tenant.id"]"#),
        (Policy::default(), Peer::caller(Transport::HTTP), r#"[[inbound]] peers = ["http:*"] baggage = ["tenant.id"]"#),
        (
            Policy::edge(),
            Peer::caller(Transport::GRPC),
            r#"[[inbound]] peers = ["grpc:*"] trust = "restart-with-link" baggage = ["tenant.id"]"#,
        ),
        (
            inbound(InboundRule::peers(["*"]).named("partners")),
            Peer::caller(Transport::HTTP),
            r#"add to the inbound rule "partners": baggage = ["tenant.id"]"#,
        ),
    ] {
        let line = logged(policy, &peer, "tenant.id=blue");
        assert!(line.contains(&format!("remedy={expected}")), "{line}");
    }
}

#[test]
fn denied_personal_key_has_no_rule_to_write() {
    let log = logged(Policy::default(), &Peer::kafka("orders"), "4111111111111111=x,ten\"ant=1,a=b");
    assert!(!log.contains("4111111111111111"), "{log}");
    assert_eq!(log.matches("remedy=").count(), 1, "{log}");
}

#[test]
fn counters_debug_names_counts_that_are_not_zero() {
    let propagator = Propagator::default();
    assert_eq!(format!("{:?}", propagator.counters()), "Counters { inbound: {}, outbound: {} }");
    let carrier =
        vec![("traceparent".to_owned(), b"00-nonsense".to_vec()), ("baggage".to_owned(), b"a=1,b=2".to_vec())];
    let _ = propagator.extract(&Peer::caller(Transport::HTTP), &carrier);
    let shown = format!("{:?}", propagator.counters());
    assert_eq!(shown, "Counters { inbound: {malformed: 1, not_allowed: 2}, outbound: {} }");
}
