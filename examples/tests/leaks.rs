//! Nothing personal leaves: a canary of each kind, in each encoding, in baggage keys, values, properties and tracestate, onto the
//! messages of every transport. With the policy open each canary must be found, before its absence with the guard on counts.

use aws_sdk_sqs::operation::send_message::SendMessageInput;
use http::HeaderMap;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use propagation_amqp::{FrameLimit, PropertiesExt};
use propagation_core::{
    Baggage, Extract, Hop, InboundRule, OutboundRule, Peer, Policy, PropagationContext, Propagator, Scrub, SpanKind,
    StoredContext,
};
use propagation_grpc::ClientInterceptor;
use propagation_kafka::OwnedHeadersExt;
use propagation_sqs::OutgoingExt;
use propagation_testkit::{
    canary::{Canaries, CanaryKind, Encoding, Evidence},
    wire::{Wire, WireRecord},
};
use rdkafka::message::{Headers, OwnedHeaders};
use tonic::service::Interceptor;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn propagator(scrub: Scrub) -> Propagator {
    let policy = Policy::builder()
        .scrub(scrub)
        .inbound(InboundRule::peers(["*"]).allow("*"))
        .outbound(OutboundRule::peers(["*"]).allow("*"))
        .build()
        .unwrap();
    Propagator::builder().policy(policy).build()
}

/// Where in a context a canary hides.
#[derive(Clone, Copy, Debug)]
enum Place {
    Key,
    Value,
    Property,
    State,
}

/// A context with a canary in it, and one clean member; `None` where the place can't hold it.
fn hide(open: &Propagator, canary: &str, place: Place) -> Option<PropagationContext> {
    let (mut state, mut baggage) = (String::new(), String::new());
    // A value as its sender would write it: encoded once for the header.
    let encoded: String = canary.bytes().map(|byte| format!("%{byte:02X}")).collect();
    match place {
        Place::Key => baggage = format!("{canary}=1"),
        // The telling key is what makes a random string a secret.
        Place::Value => baggage = format!("api.password={encoded}"),
        Place::Property => baggage = format!("plan=free;password={encoded}"),
        Place::State => state = format!("vendor={canary}"),
    }
    let fields = [("traceparent", PARENT), ("tracestate", &*state), ("baggage", &*baggage)];
    let carrier: Vec<_> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    let mut context = open.extract(&Peer::http(""), &carrier).context;
    if context.baggage.is_empty() && context.trace.state.is_empty() {
        return None;
    }
    context.baggage.set("tenant.id", "blue").unwrap();
    Some(context)
}

/// What a receiver of each transport reads.
fn send(propagator: &Propagator, context: &PropagationContext, wire: &Wire) {
    let mut headers = HeaderMap::new();
    propagation_http::inject(propagator, "api.example.com", context, &mut headers);
    record(wire, "http", headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())));

    let hop = propagator.start(Hop::remote(SpanKind::Server, context.clone()));
    let mut interceptor = ClientInterceptor::new(propagator.clone()).peer("shop.Orders");
    let request = hop.in_scope(|| interceptor.call(tonic::Request::new(()))).unwrap();
    let metadata = request.metadata().clone().into_headers();
    record(wire, "grpc", metadata.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())));

    let mut headers = OwnedHeaders::new();
    headers.inject(propagator, "orders", context);
    let headers = headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()));
    record(wire, "kafka", headers);

    let mut properties = BasicProperties::default();
    properties.inject(propagator, "shop", context, FrameLimit::DEFAULT);
    let headers = properties.headers().iter().flat_map(FieldTable::inner);
    record(
        wire,
        "amqp",
        headers.map(|(name, value)| match value {
            AMQPValue::LongString(text) => (name.to_string(), text.as_bytes().to_vec()),
            other => panic!("{other:?}"),
        }),
    );

    let mut message = SendMessageInput::builder().queue_url("http://sqs/0/orders").message_body("{}").build().unwrap();
    message.inject(propagator, "orders", context);
    let attributes = message.message_attributes.iter().flatten();
    record(
        wire,
        "sqs",
        attributes.map(|(name, value)| (name.clone(), value.string_value.clone().unwrap_or_default().into_bytes())),
    );

    let mut stored = StoredContext::new();
    propagator.inject(&Peer::process("outbox"), context, &mut stored);
    let mut fields = Vec::new();
    stored.visit_all(&mut |name, value| fields.push((name.to_owned(), value.as_bytes().to_vec())));
    record(wire, "process", fields.into_iter());
}

/// What a receiver reads, as it stands on the wire and, of baggage, as it is decoded.
fn record(wire: &Wire, transport: &str, fields: impl Iterator<Item = (String, Vec<u8>)>) {
    let mut record = WireRecord::new("sender", "receiver", transport);
    for (name, value) in fields {
        let baggage = if name == "baggage" { Baggage::parse(&value) } else { Baggage::new() };
        for member in baggage.iter() {
            record = record.field("decoded value", member.value().into_owned());
            let properties = Baggage::parse(member.properties().as_bytes());
            record = properties
                .iter()
                .fold(record, |record, property| record.field("decoded property", property.value().into_owned()));
        }
        record = record.field(name, value);
    }
    wire.record(record);
}

#[test]
fn no_canary_crosses_any_transport_in_any_place_and_encoding() {
    let (open, guarded) = (propagator(Scrub::off()), propagator(Scrub::default()));
    let canaries = Canaries::seeded(7);
    let (mut hidden, mut sent) = (0, 0);
    let mut leaks = Vec::new();
    for canary in canaries.iter() {
        let alone = canaries.only(&[canary.kind()]);
        for encoding in Encoding::ALL {
            let Some(text) = canary.encoded(encoding) else { continue };
            for place in [Place::Key, Place::Value, Place::Property, Place::State] {
                // A random string is a secret by its key; alone it could be any id.
                if canary.kind() == CanaryKind::Secret && !matches!(place, Place::Value) {
                    continue;
                }
                // In other groups than its own a social security number is nine digits like any others.
                if canary.kind() == CanaryKind::Ssn && encoding == Encoding::Separated {
                    continue;
                }
                let Some(context) = hide(&open, &text, place) else { continue };
                let (unguarded, wire) = (Wire::new(), Wire::new());
                send(&open, &context, &unguarded);
                for transport in ["http", "grpc", "kafka", "amqp", "sqs", "process"] {
                    let evidence = Evidence::new().wire(&unguarded.over(transport));
                    let found = alone.present(&evidence);
                    assert!(found.is_ok(), "{:?} {encoding} in {place:?} over {transport}: {found:?}", canary.kind());
                }
                send(&guarded, &context, &wire);
                if alone.absent(&Evidence::new().wire(&wire)).is_err() {
                    leaks.push(format!("{:?} {encoding} in {place:?}", canary.kind()));
                }
                assert_eq!(wire.records().len(), 6);
                assert!(
                    wire.records().iter().all(|record| record
                        .fields
                        .iter()
                        .any(|field| { String::from_utf8_lossy(&field.value).contains("tenant.id=blue") })),
                    "what is clean crosses"
                );
                hidden += 1;
                sent += 6;
            }
        }
    }
    assert_eq!(leaks, [""; 0]);
    assert!(hidden > 100, "only {hidden} hiding places");
    println!("{hidden} hiding places, {sent} messages");
}
