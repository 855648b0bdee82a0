//! The laws that every carrier passes, and the policy on headers. No server is needed.

use async_nats::HeaderMap;
use nats_example::{HeadersCarrier, HeadersCarrierMut, NATS, ProducerPropagation};
use propagation_core::{
    Baggage, Extract, Inject, Peer, Policy, PropagationContext, Propagator, TraceTrust, carrier::laws,
};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Headers;

impl laws::Subject for Headers {
    type Message = HeaderMap;
    const ORDERED: bool = false;

    fn empty() -> HeaderMap {
        HeaderMap::new()
    }

    fn put(message: &mut HeaderMap, name: &str, value: &[u8]) {
        message.append(name, std::str::from_utf8(value).unwrap());
    }

    fn entries(message: &HeaderMap) -> Vec<(String, Vec<u8>)> {
        let all = message.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        all.map(|(name, value)| (name.to_string(), value.as_str().into())).collect()
    }

    fn extract(message: &HeaderMap, with: &mut dyn FnMut(&dyn Extract)) {
        with(&HeadersCarrier::new(Some(message)));
    }

    fn inject(message: &mut HeaderMap, with: &mut dyn FnMut(&mut dyn Inject)) {
        with(&mut HeadersCarrierMut::new(message));
    }
}

propagation_core::carrier_laws!(Headers);

fn propagator() -> Propagator {
    let policy = Policy::from_file(concat!(env!("CARGO_MANIFEST_DIR"), "/policy.toml")).unwrap();
    Propagator::builder().policy(policy).build()
}

fn received(parent: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Traceparent", parent);
    headers.insert("baggage", "tenant.id=blue,other=1");
    headers.insert("Nats-Msg-Id", "4711");
    headers
}

#[test]
fn rules_of_the_declared_transport_apply() {
    let propagator = propagator();
    let headers = received(PARENT);
    let admit = |subject| propagator.extract(&Peer::new(NATS, subject), &HeadersCarrier::new(Some(&headers)));
    let orders = admit("orders.*");
    assert_eq!(orders.context.baggage, Baggage::parse(b"tenant.id=blue"));
    assert_eq!(orders.context.trace.parent.map(|parent| parent.to_string()).as_deref(), Some(PARENT));
    let public = admit("public.>");
    assert_eq!((public.trust, public.links.len()), (TraceTrust::RestartWithLink, 1));
    assert!(public.context.is_empty());
}

#[test]
fn baggage_goes_only_where_a_rule_allows_it() {
    let propagator = propagator();
    let mut context = PropagationContext::EMPTY;
    context.baggage.set("tenant.id", "blue").unwrap();
    let sent = |subject: &str| {
        let mut headers = received("stale");
        propagator.inject(&Peer::new(NATS, subject), &context, &mut HeadersCarrierMut::new(&mut headers));
        (headers.get("baggage").map(ToString::to_string), headers.get("Traceparent").is_some(), headers.len())
    };
    assert_eq!(sent("orders.created"), (Some("tenant.id=blue".to_owned()), false, 2));
    assert_eq!(sent("_INBOX.4711"), (None, false, 1));
}

#[test]
fn malformed_headers_start_a_new_trace() {
    let propagator = propagator();
    for parent in ["", "00-nonsense", &format!("{PARENT}, {PARENT}x"), "é"] {
        let headers = received(parent);
        let admission = propagator.extract(&Peer::new(NATS, "orders.*"), &HeadersCarrier::new(Some(&headers)));
        assert!(admission.context.trace.is_empty(), "{parent}");
        assert_eq!(admission.rejections.iter().filter(|rejection| rejection.field == "traceparent").count(), 1);
    }
}

#[test]
fn prepared_message_keeps_the_users_headers() {
    let producer = ProducerPropagation::new(propagator());
    let mut headers = HeaderMap::new();
    headers.append("x", "1");
    headers.append("x", "2");
    let prepared = producer.prepare("orders.created", &mut headers);
    drop(prepared);
    let values: Vec<String> = headers.get_all("x").map(ToString::to_string).collect();
    assert_eq!(values, ["1", "2"]);
}
