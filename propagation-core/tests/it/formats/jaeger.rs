//! Jaeger: ids and baggage.

use propagation_core::{
    Direction, Peer, RejectReason, SamplingDecision, Transport,
    format::{BaggageFormat, JaegerFormat},
};

use super::{SPAN, TRACE, between, check, read, write};

#[test]
fn uber_trace_id_follows_jaeger() {
    let one = |text: &str| [("uber-trace-id", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let id = format!("{TRACE}:{SPAN}");
    check(
        || Box::new(JaegerFormat),
        &[
            (&one(&format!("{id}:0:1")), SamplingDecision::Sample),
            (&one(&format!("{id}:0:01")), SamplingDecision::Sample),
            (&one(&format!("{id}:0:0")), SamplingDecision::Drop),
            (&one(&format!("{id}:0:3")), SamplingDecision::Debug),
            (&one(&format!("{id}:0:2")), SamplingDecision::Debug),
            (&one(&format!("{id}:0:9")), SamplingDecision::Sample),
            (&one(&format!("{id}:5b3ac9a4f6e3b90:ff")), SamplingDecision::Debug),
            (&one(&format!("{TRACE}:f067aa0ba902b7:0:1")), SamplingDecision::Sample),
            (&one(&format!("{id}:0:1").replace(':', "%3A")), SamplingDecision::Sample),
            (&one(&format!("{id}:0:1").replace(':', "%3a")), SamplingDecision::Sample),
        ],
        &[
            (&one(""), RejectReason::Malformed),
            (&one(&id), RejectReason::Malformed),
            (&one(&format!("{id}:0")), RejectReason::Malformed),
            (&one(&format!("{id}:0:1:")), RejectReason::Malformed),
            (&one(&format!("{id}::1")), RejectReason::Malformed),
            (&one(&format!("{id}:0:")), RejectReason::Malformed),
            (&one(&format!("{id}:0:100")), RejectReason::Malformed),
            (&one(&format!("{id}:0:+1")), RejectReason::Malformed),
            (&one(&format!("0{TRACE}:{SPAN}:0:1")), RejectReason::Malformed),
            (&one(&format!("{TRACE}:0{SPAN}:0:1")), RejectReason::Malformed),
            (&one(&format!("{}:0:1", id.to_uppercase())), RejectReason::Malformed),
            (&one(&format!("0:{SPAN}:0:1")), RejectReason::ZeroId),
            (&one(&format!("{TRACE}:0:0:1")), RejectReason::ZeroId),
        ],
    );
}

#[test]
fn jaeger_baggage_round_trips() {
    let fields =
        [("Uberctx-Tenant", "a%20b+c%2Bd"), ("uberctx-plan", "pro"), ("uberctx-bad key", "x"), ("uberctx-", "x")];
    let (received, rejections) = read(Box::new(JaegerFormat), &fields);
    assert_eq!(received.baggage.get("Tenant").as_deref(), Some("a b c+d"));
    assert_eq!(rejections, [RejectReason::Malformed; 2]);
    let sent = write(Box::new(JaegerFormat), &received);
    assert_eq!(
        sent,
        [("uberctx-tenant".into(), "a%20b%20c%2Bd".into()), ("uberctx-plan".into(), "pro".into())]
            as [(String, String); 2]
    );
}

#[test]
fn jaeger_baggage_has_the_limits_of_baggage() {
    let propagator = between(Box::new(JaegerFormat), Box::new(JaegerFormat));
    let many: Vec<_> = (0..1000).map(|i| (format!("uberctx-k{i}"), b"v".to_vec())).collect();
    assert_eq!(propagator.extract(&Peer::caller(Transport::HTTP), &many).context.baggage.len(), 64);
    let large: Vec<_> = (0..60).map(|i| (format!("uberctx-k{i}"), vec![b'v'; 1000])).collect();
    let baggage = propagator.extract(&Peer::caller(Transport::HTTP), &large).context.baggage;
    assert_eq!(baggage.len(), 8);
    let escaped: Vec<_> = (0..60).map(|i| (format!("uberctx-k{i}"), vec![0xff; 200])).collect();
    assert!(propagator.extract(&Peer::caller(Transport::HTTP), &escaped).context.baggage.as_wire().len() <= 8192);
    // A value that fits as received may be too long once it is encoded.
    let growing: Vec<_> = (0..20).map(|i| (format!("uberctx-k{i}"), vec![b' '; 390])).collect();
    let admission = propagator.extract(&Peer::caller(Transport::HTTP), &growing);
    assert_eq!((admission.context.baggage.len(), admission.rejections.len()), (6, 14));
    assert_eq!(propagator.counters().get(Direction::Inbound, RejectReason::TooManyMembers), 32);
}

#[test]
fn unsupported_fields_of_jaeger_are_counted() {
    let propagator = between(Box::new(BaggageFormat), Box::new(JaegerFormat));
    let list = "a=,b=1;p=2,B=2,c=%20";
    let received = propagator
        .extract(&Peer::caller(Transport::HTTP), &vec![("baggage".to_owned(), list.as_bytes().to_vec())])
        .context;
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    let injection = propagator.inject(&Peer::http("x"), &received, &mut sent);
    let expected: [(&str, &[u8]); 3] = [("uberctx-a", b""), ("uberctx-b", b"1"), ("uberctx-c", b"%20")];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_vec())));
    assert_eq!(
        injection.rejected().iter().map(|left| (left.key(), left.reason)).collect::<Vec<_>>(),
        [(Some("b"), RejectReason::Unrepresentable), (Some("B"), RejectReason::DuplicateKey)]
    );
    assert_eq!(propagator.counters().get(Direction::Outbound, RejectReason::Unrepresentable), 1);
}

#[test]
fn baggage_beyond_the_limit_once_escaped_is_dropped() {
    let from_w3c = between(Box::new(BaggageFormat), Box::new(JaegerFormat));
    let list = format!("a=1,b={},c=2", "'".repeat(4000));
    let received =
        from_w3c.extract(&Peer::caller(Transport::HTTP), &vec![("baggage".to_owned(), list.into_bytes())]).context;
    assert_eq!(received.baggage.len(), 3);
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    let injection = from_w3c.inject(&Peer::http("x"), &received, &mut sent);
    assert_eq!(sent.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["uberctx-a", "uberctx-c"]);
    assert_eq!(injection.rejected().iter().map(|left| left.reason).collect::<Vec<_>>(), [RejectReason::TooManyBytes]);
    let again = between(Box::new(JaegerFormat), Box::new(JaegerFormat)).extract(&Peer::caller(Transport::HTTP), &sent);
    assert_eq!((again.context.baggage.len(), again.rejections.len()), (2, 0));
}
