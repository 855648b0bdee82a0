//! `PropagatorBuilder::on_rejection`.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use propagation_core::{
    Direction, InboundRule, OutboundRule, Peer, Policy, PropagationContext, Propagator, PropagatorBuilder,
    RejectReason, Rejection, Scrub, Transport,
};

type Seen = Arc<Mutex<Vec<String>>>;

fn recording(builder: PropagatorBuilder) -> (Propagator, Seen) {
    let seen = Seen::default();
    let list = Arc::clone(&seen);
    let propagator = builder.on_rejection(move |direction, peer, rejection| {
        list.lock().unwrap().push(format!("{} {peer} {rejection}", direction.as_str()));
    });
    (propagator.build(), seen)
}

fn taken(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut seen.lock().unwrap())
}

fn baggage(text: &str) -> Vec<(String, Vec<u8>)> {
    vec![("baggage".to_owned(), text.as_bytes().to_vec())]
}

#[test]
fn callback_gets_every_rejection_of_extract_and_inject() {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["*"]).allow("tenant.id").allow("user.mail"))
        .outbound(OutboundRule::peers(["*"]).named("out").allow("user.mail"))
        .build()
        .unwrap();
    let (propagator, seen) = recording(Propagator::builder().policy(policy));
    let mut received = baggage("tenant.id=blue,user.mail=anna%40example.com,plan=pro,=bad");
    received.push(("traceparent".to_owned(), b"00-bad".to_vec()));
    let context = propagator.extract(&Peer::caller(Transport::HTTP), &received).context;
    assert_eq!(
        taken(&seen),
        [
            "inbound http: traceparent: malformed",
            "inbound http: baggage: malformed",
            "inbound http: baggage plan: not_allowed (rule *)",
        ]
    );
    propagator.inject(&Peer::kafka("orders"), &context, &mut Vec::new());
    assert_eq!(
        taken(&seen),
        [
            "outbound kafka:orders baggage tenant.id: not_allowed (rule out)",
            "outbound kafka:orders baggage user.mail: personal_data (rule out, detector email)",
        ]
    );
    propagator.inject(&Peer::kafka("orders"), &PropagationContext::EMPTY, &mut Vec::new());
    assert_eq!(taken(&seen), Vec::<String>::new());
}

#[test]
fn callback_is_not_rate_limited() {
    let (propagator, seen) = recording(Propagator::builder());
    for _ in 0..100 {
        let _ = propagator.extract(&Peer::kafka("orders"), &baggage("a=1"));
    }
    assert_eq!(taken(&seen).len(), 100);
}

#[test]
fn callback_gets_rejections_of_formats_and_carriers() {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["*"]).allow("*"))
        .outbound(OutboundRule::peers(["*"]).allow("*"))
        .scrub(Scrub::off());
    let builder = Propagator::builder().formats("jaeger,baggage".parse().unwrap()).policy(policy.build().unwrap());
    let (propagator, seen) = recording(builder);
    let context = propagator.extract(&Peer::kafka("orders"), &baggage("a=1;p")).context;
    let mut child = propagation_core::carrier::EnvironmentCarrier::new();
    propagator.inject(&Peer::process("child"), &context, &mut child);
    assert_eq!(
        taken(&seen),
        ["outbound process:child baggage: unrepresentable", "outbound process:child uberctx a: unrepresentable",]
    );
}

#[test]
fn callback_gets_no_personal_key_and_no_value() {
    let (propagator, seen) = recording(Propagator::builder());
    let _ = propagator.extract(&Peer::kafka("orders"), &baggage("4111111111111111=canary,mail=canary"));
    let seen = taken(&seen);
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|line| !line.contains("4111") && !line.contains("canary")), "{seen:?}");
}

#[test]
fn callback_gets_rejections_that_adapters_record() {
    let (propagator, seen) = recording(Propagator::builder());
    let rejection = Rejection::new("traceparent", RejectReason::UnsupportedOperation);
    propagator.record_rejection(Direction::Outbound, &Peer::http("api"), &rejection);
    assert_eq!(taken(&seen), ["outbound http:api traceparent: unsupported_operation"]);
    assert_eq!(propagator.counters().get(Direction::Outbound, RejectReason::UnsupportedOperation), 1);
}

#[test]
fn panic_in_the_callback_does_not_fail_the_request() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let propagator = Propagator::builder()
        .on_rejection(move |_, _, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            panic!("audit log is full");
        })
        .build();
    for message in 1..=2 {
        let mut received = baggage("a=1,b=2");
        received.push(("traceparent".to_owned(), crate::wire::PARENT.as_bytes().to_vec()));
        let admission = propagator.extract(&Peer::kafka("orders"), &received);
        assert!(admission.context.trace.has_ids());
        assert_eq!(admission.rejections.len(), 2);
        assert_eq!(calls.load(Ordering::Relaxed), message, "once for each message");
    }
    assert_eq!(propagator.counters().get(Direction::Inbound, RejectReason::NotAllowed), 4);
}

#[test]
fn callback_does_not_run_for_its_own_rejections() {
    let this: Arc<OnceLock<Propagator>> = Arc::default();
    let (inner, calls) = (Arc::clone(&this), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&calls);
    let propagator = Propagator::builder()
        .on_rejection(move |_, peer, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = inner.get().unwrap().extract(peer, &baggage("a=1"));
        })
        .build();
    this.set(propagator.clone()).unwrap();
    let _ = propagator.extract(&Peer::kafka("orders"), &baggage("a=1"));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(propagator.counters().get(Direction::Inbound, RejectReason::NotAllowed), 2);
}
