//! Received headers on records that a handler sends on, with the real client.

use propagation_core::{Hop, Peer, Propagator, SpanKind, StoredContext, TraceTrust, Transport};
use propagation_kafka::{ConsumerPropagation, ProducerPropagation};
use propagation_testkit::forwarding::{self, ForwardingCase, Handover, in_own_tenant};
use rdkafka::{message::OwnedHeaders, producer::FutureRecord};

use crate::shop::{OTHER, PARENT, Shop, TOPIC, WAIT, headers, message, value};

fn outsiders() -> OwnedHeaders {
    headers(&[
        ("traceparent", Some(PARENT.as_bytes())),
        ("tracestate", Some(b"evil=1")),
        ("baggage", Some(b"tenant.id=evil")),
        ("retries", Some(b"1")),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarded_headers_obey_the_admitting_rule() {
    let shop = Shop::open();
    let producer = shop.producer();
    let consumer = shop.consumer();
    for case in ForwardingCase::all() {
        for (way, place) in [
            ("retry", Handover::Inline),
            ("task", Handover::Task),
            ("thread", Handover::Thread),
            ("blocking", Handover::Blocking),
            ("batch", Handover::Inline),
            ("http", Handover::Inline),
        ] {
            let telemetry = case.telemetry("kafka:orders", "kafka:orders");
            let propagator = telemetry.propagator.clone();
            let consuming = ConsumerPropagation::new(propagator.clone());
            let received = message(Some(outsiders()), std::time::Duration::ZERO);
            let (p, producer) = (propagator.clone(), producer.clone());
            let sending = ProducerPropagation::new(p.clone()).existing(case.existing.clone());
            let send = async move {
                let record = FutureRecord::<str, str>::to(TOPIC).payload("{}").headers(outsiders());
                in_own_tenant(&p, sending.send(&producer, record, WAIT)).await.unwrap();
            };
            let work = async {
                place.run(&propagator, send).await;
                Ok::<_, ()>(())
            };
            match way {
                "batch" => consuming.process_batch(&[received], work).await.unwrap(),
                "http" => {
                    let request = vec![("traceparent".to_owned(), PARENT.as_bytes().to_vec())];
                    let admission = propagator.extract(&Peer::caller(Transport::HTTP), &request);
                    propagator.start(Hop::admitted(SpanKind::Server, admission)).scope(work).await.unwrap();
                }
                _ => consuming.process(&received, work).await.unwrap(),
            }
            let forwarded = consumer.recv().await.unwrap().detach();
            case.assert(way, |name| value(&forwarded, name), &telemetry.graph(), "send orders");
            assert_eq!(value(&forwarded, "retries").as_deref(), Some("1"), "{way}");
        }
    }
}

#[tokio::test]
async fn stored_context_is_sent_in_an_untrusted_hop() {
    let shop = Shop::open();
    let producer = shop.producer();
    let propagator =
        Propagator::builder().policy(forwarding::policy(TraceTrust::Restart, "kafka:orders", "kafka:orders")).build();
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
