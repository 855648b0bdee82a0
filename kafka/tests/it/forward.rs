//! Received headers on records that a handler sends on, with the real client.

use propagation_core::{
    Hop, InboundRule, OutboundRule, Outcome, Policy, Propagator, SpanKind, StoredContext, TraceTrust, Transport,
    messaging::ExistingContext, task,
};
use propagation_kafka::{ConsumerPropagation, ProducerPropagation};
use propagation_opentelemetry::OpenTelemetryBridge;
use propagation_testkit::in_memory::InMemory;
use rdkafka::{
    Message,
    message::{OwnedHeaders, OwnedMessage},
    producer::{FutureProducer, FutureRecord},
};

use crate::shop::{OTHER, PARENT, Shop, TOPIC, WAIT, headers, message, shown};

fn policy(trust: TraceTrust) -> Policy {
    Policy::builder()
        .inbound(InboundRule::peers(["kafka:orders", "http:*"]).trust(trust))
        .outbound(OutboundRule::peers(["kafka:orders"]).allow("tenant.id"))
        .build()
        .unwrap()
}

fn outsiders() -> OwnedHeaders {
    headers(&[
        ("traceparent", Some(PARENT.as_bytes())),
        ("tracestate", Some(b"evil=1")),
        ("baggage", Some(b"tenant.id=evil")),
        ("retries", Some(b"1")),
    ])
}

/// Sends on from a context with a tenant of the service's own.
async fn send_on(propagator: &Propagator, producer: &FutureProducer, existing: &ExistingContext) {
    let mut context = propagator.current();
    context.baggage.set("tenant.id", "blue").unwrap();
    let hop = propagator.start(Hop::local(SpanKind::Internal, context));
    let sending = ProducerPropagation::new(propagator.clone()).existing(existing.clone());
    let record = FutureRecord::<str, str>::to(TOPIC).payload("{}").headers(outsiders());
    hop.scope(sending.send(producer, record, WAIT)).await.unwrap();
    hop.end(&Outcome::Unset);
}

/// The work of a handler that is handed over to a task or a thread, or not.
async fn hand_over(way: &str, propagator: &Propagator, producer: &FutureProducer, existing: &ExistingContext) {
    let (p, producer, existing) = (propagator.clone(), producer.clone(), existing.clone());
    let handle = tokio::runtime::Handle::current();
    match way {
        "task" => {
            let work = async move { send_on(&p, &producer, &existing).await };
            tokio::spawn(task::InContextExt::in_current_context(work, propagator)).await.unwrap();
        }
        "thread" => {
            let work =
                move || handle.block_on(task::InContextExt::in_current_context(send_on(&p, &producer, &existing), &p));
            tokio::task::block_in_place(|| std::thread::spawn(task::carry(propagator, work)).join().unwrap());
        }
        "blocking" => {
            let work =
                move || handle.block_on(task::InContextExt::in_current_context(send_on(&p, &producer, &existing), &p));
            tokio::task::spawn_blocking(task::carry(propagator, work)).await.unwrap();
        }
        _ => send_on(&p, &producer, &existing).await,
    }
}

fn value(message: &OwnedMessage, name: &str) -> Option<String> {
    crate::shop::value(message, name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarded_headers_obey_the_admitting_rule() {
    let shop = Shop::open();
    let producer = shop.producer();
    let consumer = shop.consumer();
    for (trust, existing, stays, links) in [
        (TraceTrust::Full, ExistingContext::Keep, true, 1),
        (TraceTrust::IdsOnly, ExistingContext::Keep, true, 1),
        (TraceTrust::RestartWithLink, ExistingContext::Keep, false, 1),
        (TraceTrust::Restart, ExistingContext::Keep, false, 0),
        (TraceTrust::Ignore, ExistingContext::Keep, false, 0),
        (TraceTrust::Restart, ExistingContext::Replace, false, 0),
        (TraceTrust::Ignore, ExistingContext::Replace, false, 0),
    ] {
        for way in ["retry", "task", "thread", "blocking", "batch", "http"] {
            let case = format!("{trust:?} {existing:?} {way}");
            let memory = InMemory::new();
            let provider = memory.provider("shop");
            let bridge = OpenTelemetryBridge::new(opentelemetry::trace::TracerProvider::tracer(&provider, "shop"));
            let propagator = Propagator::builder().policy(policy(trust)).bridge(bridge).build();
            let consuming = ConsumerPropagation::new(propagator.clone());
            let received = message(Some(outsiders()), std::time::Duration::ZERO);
            let work = async {
                hand_over(way, &propagator, &producer, &existing).await;
                Ok::<_, ()>(())
            };
            match way {
                "batch" => consuming.process_batch(&[received], work).await.unwrap(),
                "http" => {
                    let request = vec![("traceparent".to_owned(), PARENT.as_bytes().to_vec())];
                    let admission = propagator.extract(&propagation_core::Peer::caller(Transport::HTTP), &request);
                    propagator.start(Hop::admitted(SpanKind::Server, admission)).scope(work).await.unwrap();
                }
                _ => consuming.process(&received, work).await.unwrap(),
            }
            let forwarded = consumer.recv().await.unwrap().detach();
            let parent = value(&forwarded, "traceparent").unwrap();
            assert_eq!(parent == PARENT, stays, "{case}: {parent}");
            assert_eq!(parent[3..35] == PARENT[3..35], stays, "{case}: {parent}");
            let state = value(&forwarded, "tracestate");
            assert_eq!(state.is_some(), stays && trust == TraceTrust::Full, "{case}: {state:?}");
            assert_eq!(value(&forwarded, "baggage").as_deref(), Some("tenant.id=blue"), "{case}");
            assert_eq!(value(&forwarded, "retries").as_deref(), Some("1"), "{case}: {:?}", shown(forwarded.headers()));
            let graph = memory.graph();
            let send = graph.spans().find(|span| span.name == "send orders").unwrap();
            assert_eq!(send.links.len(), links, "{case}: {:?}", send.links);
        }
    }
}

#[tokio::test]
async fn stored_context_is_sent_in_an_untrusted_hop() {
    let shop = Shop::open();
    let producer = shop.producer();
    let propagator = Propagator::builder().policy(policy(TraceTrust::Restart)).build();
    let stored: StoredContext = format!("traceparent:{OTHER}\nbaggage:tenant.id=green").parse().unwrap();
    let received = message(Some(outsiders()), std::time::Duration::ZERO);
    let consuming = ConsumerPropagation::new(propagator.clone());
    let sending = ProducerPropagation::new(propagator).with_stored(stored);
    let record = FutureRecord::<str, str>::to(TOPIC).payload("{}").headers(outsiders());
    consuming.process(&received, sending.send(&producer, record, WAIT)).await.unwrap();
    let forwarded = shop.consumer().recv().await.unwrap().detach();
    assert_eq!(value(&forwarded, "traceparent").as_deref(), Some(OTHER));
    assert_eq!(value(&forwarded, "baggage").as_deref(), Some("tenant.id=green"));
    assert_eq!(value(&forwarded, "tracestate"), None);
}
