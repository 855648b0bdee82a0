//! No personal data leaves: a canary of each kind, in each encoding, in baggage keys, values, properties and tracestate, over every
//! transport, searched in each receiver's headers, every exported span and every log line. With an open policy each canary must be
//! found; only then does its absence under the guard count.

#[path = "../shared/grpc.rs"]
mod grpc;
mod hiding;
mod shop;

use std::collections::BTreeSet;

use futures_util::StreamExt;
use opentelemetry::trace::TracerProvider;
use propagation_core::{InboundRule, KeyRule, OutboundRule, Policy, Propagator, Scrub};
use propagation_opentelemetry::{OpenTelemetryBridge, logs::TraceFields};
use propagation_testkit::{
    canary::{Canaries, CanaryMatch, Evidence, LogCapture},
    in_memory::InMemory,
    trace::{TraceGraph, TraceId},
    wire::Wire,
};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::SubscriberExt};

use hiding::{Hidden, KEY, Place};
use shop::{Shop, TRANSPORTS};

/// Every key, both ways, copied to spans: a careless policy, of which only the scrubbers are left.
fn policy(scrub: Scrub) -> Policy {
    let any = || KeyRule::new("*").span_attribute("copied");
    Policy::builder()
        .scrub(scrub)
        .inbound(InboundRule::peers(["*"]).allow(any()))
        .outbound(OutboundRule::peers(["*"]).allow(any()))
        .build()
        .unwrap()
}

/// The shop, with its spans and log lines.
struct Observed {
    propagator: Propagator,
    memory: InMemory,
    log: LogCapture,
    wire: Wire,
    shop: Shop,
}

/// Whatever was seen of the messages that hid canaries.
struct Seen {
    wire: Wire,
    spans: TraceGraph,
    log: String,
}

impl Observed {
    async fn open() -> Self {
        let memory = InMemory::new();
        let bridge = OpenTelemetryBridge::new(memory.provider("shop").tracer("test"));
        let propagator = Propagator::builder().policy(policy(Scrub::off())).bridge(bridge).build();
        let log = LogCapture::default();
        let writer = log.clone();
        // As a careless operator has it: everything from debug on, libraries included, and baggage in every line.
        let lines = TraceFields::new(&propagator).with_baggage([KEY, "plan", "tenant.id"]).json_layer();
        let lines = lines.with_writer(move || writer.clone()).with_filter(LevelFilter::DEBUG);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines)).unwrap();
        let wire = Wire::new();
        let shop = Shop::open(&propagator, &wire).await;
        Self { propagator, memory, log, wire, shop }
    }

    /// Lets a message for each hiding place travel over each transport, in a trace of its own kind.
    async fn travel(&mut self, places: &[Hidden], scrub: Scrub, trace: TraceId) -> Seen {
        self.propagator.set_policy(policy(scrub));
        let (recorded, logged) = (self.wire.records().len(), self.log.text().len());
        let contexts: Vec<_> = places.iter().map(|hidden| hidden.admitted(&self.propagator, trace)).collect();
        let shop = &self.shop;
        let sends = contexts.iter().enumerate().map(|(number, context)| shop.send(number, context));
        futures_util::stream::iter(sends).buffer_unordered(16).collect::<Vec<()>>().await;
        self.shop.handled(places.len()).await;
        Seen {
            wire: self.wire.records().into_iter().skip(recorded).collect(),
            spans: self.memory.graph().trace(trace),
            log: self.log.text().split_off(logged),
        }
    }
}

/// The kinds of canaries among the sightings in a place whose description ends like this.
fn kinds(matches: &[CanaryMatch], end: &str) -> BTreeSet<String> {
    let here = matches.iter().filter(|found| found.place.ends_with(end));
    here.map(|found| format!("{:?}", found.kind)).collect()
}

fn kinds_in(places: &[Hidden], place: Place) -> BTreeSet<String> {
    places.iter().filter(|hidden| hidden.place == place).map(|hidden| format!("{:?}", hidden.kind)).collect()
}

#[tokio::test]
async fn canaries_reach_no_transport_span_or_log_line() {
    let canaries = Canaries::seeded(7);
    let open = Propagator::builder().policy(policy(Scrub::off())).build();
    let places = hiding::places(&canaries, &open);
    assert!(places.len() > 250, "only {} hiding places", places.len());

    let mut observed = Observed::open().await;
    let unguarded = observed.travel(&places, Scrub::off(), TraceId::from_bytes([1; 16])).await;
    for (number, hidden) in places.iter().enumerate() {
        let alone = canaries.only(&[hidden.kind]);
        let message = unguarded.wire.only(|record| record.message == number.to_string());
        for transport in TRANSPORTS {
            let found = alone.present(&Evidence::new().wire(&message.over(transport)));
            let Hidden { kind, encoding, place, .. } = hidden;
            assert!(found.is_ok(), "{kind:?} {encoding} in {place:?} over {transport}: {found:?}");
        }
    }
    let matches = canaries.matches(&Evidence::new().spans(&unguarded.spans));
    assert_eq!(kinds(&matches, "attribute `copied`"), kinds_in(&places, Place::Value));
    assert_eq!(kinds(&matches, "its tracestate"), kinds_in(&places, Place::State));
    let logged = Evidence::new().line("the log", unguarded.log);
    canaries.present(&logged).unwrap();

    let guarded = observed.travel(&places, Scrub::default(), TraceId::from_bytes([2; 16])).await;
    assert_eq!(guarded.wire.records().len(), places.len() * TRANSPORTS.len());
    for record in guarded.wire.records() {
        let clean = record.values("baggage").any(|list| String::from_utf8_lossy(list).contains("tenant.id=blue"));
        assert!(clean, "what is clean crosses: {record}");
    }
    assert!(guarded.spans.len() > places.len() * 5 && guarded.log.contains("an order is handled"));
    let evidence = Evidence::new().wire(&guarded.wire).spans(&guarded.spans).lines("the log", &guarded.log);
    canaries.absent(&evidence).unwrap();
    observed.shop.close().await;
    println!("{} hiding places, {} messages", places.len(), guarded.wire.records().len());
}
