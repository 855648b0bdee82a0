//! Received headers on messages that a handler publishes on, with the real client.

use std::collections::BTreeMap;

use lapin::{
    BasicProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicPublishOptions},
};
use propagation_amqp::{ConsumerPropagation, ProducerPropagation};
use propagation_core::{Hop, Outcome, Peer, Policy, Propagator, SpanKind, StoredContext, TraceTrust, Transport};
use propagation_testkit::{
    forwarding::{self, ForwardingCase, Handover, in_own_tenant},
    telemetry::{OTHER, TestTelemetry},
    trace::SpanSelector,
};

use crate::shop::{PARENT, Shop, headers, text};

fn outsiders() -> BasicProperties {
    let table = [("traceparent", PARENT), ("tracestate", "evil=1"), ("baggage", "tenant.id=evil"), ("retries", "1")]
        .map(|(name, value)| (name.into(), text(value)));
    BasicProperties::default().with_headers(BTreeMap::from(table).into())
}

/// Publishes a message like one that was received, from a context with a tenant of the service's own.
async fn publish_on(propagator: &Propagator, producer: &ProducerPropagation, channel: &lapin::Channel) {
    let options = BasicPublishOptions::default();
    let published = producer.publish(channel, "shop".into(), "paid".into(), options, b"{}", outsiders());
    in_own_tenant(propagator, published).await.unwrap();
}

/// A received message of an untrusted sender.
async fn received(shop: &mut Shop) -> Delivery {
    let options = BasicPublishOptions::default();
    shop.channel.basic_publish("shop".into(), "paid".into(), options, b"{}", outsiders()).await.unwrap();
    shop.next().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarded_headers_obey_the_admitting_rule() {
    let mut shop = Shop::open().await;
    for case in ForwardingCase::all() {
        for (way, place) in [
            ("retry", Handover::Inline),
            ("task", Handover::Task),
            ("thread", Handover::Thread),
            ("blocking", Handover::Blocking),
            ("http", Handover::Inline),
        ] {
            let telemetry = case.telemetry("amqp:shipping", "amqp:shop");
            let propagator = telemetry.propagator.clone();
            let consuming = ConsumerPropagation::new(propagator.clone(), "shipping");
            let producer =
                ProducerPropagation::new(propagator.clone(), &shop.connection).existing(case.existing.clone());
            let delivery = received(&mut shop).await;
            let (p, channel) = (propagator.clone(), shop.channel.clone());
            let publish = async move { publish_on(&p, &producer, &channel).await };
            let work = async {
                place.run(&propagator, publish).await;
                Ok::<_, ()>(())
            };
            if way == "http" {
                let request = vec![("traceparent".to_owned(), PARENT.as_bytes().to_vec())];
                let admission = propagator.extract(&Peer::caller(Transport::HTTP), &request);
                propagator.start(Hop::admitted(SpanKind::Server, admission)).scope(work).await.unwrap();
            } else {
                consuming.process(&delivery, work).await.unwrap();
            }
            let forwarded = headers(&shop.next().await.properties);
            case.assert(
                way,
                |name| forwarded.get(name).cloned(),
                &telemetry.graph(),
                SpanSelector::any().name_starts("send "),
            );
            assert_eq!(forwarded["retries"], "1", "{way}");
        }
    }
}

#[tokio::test]
async fn stored_context_is_published_in_an_untrusted_hop() {
    let mut shop = Shop::open().await;
    let propagator =
        Propagator::builder().policy(forwarding::policy(TraceTrust::Restart, "amqp:shipping", "amqp:shop")).build();
    let stored: StoredContext = format!("traceparent:{OTHER}\nbaggage:tenant.id=green").parse().unwrap();
    let delivery = received(&mut shop).await;
    let producer = ProducerPropagation::new(propagator.clone(), &shop.connection).with_stored(stored);
    let consuming = ConsumerPropagation::new(propagator.clone(), "shipping");
    let (p, channel) = (propagator.clone(), shop.channel.clone());
    let work = async {
        publish_on(&p, &producer, &channel).await;
        Ok::<_, ()>(())
    };
    consuming.process(&delivery, work).await.unwrap();
    let forwarded = headers(&shop.next().await.properties);
    assert_eq!((&*forwarded["traceparent"], &*forwarded["baggage"]), (OTHER, "tenant.id=green"));
    assert!(!forwarded.contains_key("tracestate"));
}

#[tokio::test]
async fn message_age_is_taken_from_its_timestamp() {
    use propagation_core::messaging::ParentMode;
    let mut shop = Shop::open().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let hour = std::time::Duration::from_secs(3_600);
    for (timestamp, child) in [
        (Some(now), true),
        (Some(now - 7_200), false),
        (Some(now + 7_200), true),
        (None, true),
        (Some(0), false),
        (Some(u64::MAX), true),
    ] {
        let telemetry = TestTelemetry::new(Policy::default());
        let propagator = telemetry.propagator.clone();
        let consuming =
            ConsumerPropagation::new(propagator, "shipping").parent_mode(ParentMode::MessageIfYounger(hour));
        let properties = timestamp.map_or_else(outsiders, |seconds| outsiders().with_timestamp(seconds));
        let options = BasicPublishOptions::default();
        shop.channel.basic_publish("shop".into(), "paid".into(), options, b"{}", properties).await.unwrap();
        consuming.start(&shop.next().await).end(&Outcome::Unset);
        let graph = telemetry.graph();
        let process = graph.spans().next().unwrap();
        assert_eq!(process.parent.is_some(), child, "{timestamp:?}");
        assert_eq!(process.links.len(), 1, "{timestamp:?}");
    }
}

#[tokio::test]
async fn deliveries_of_two_channels_with_one_tag_are_settled_apart() {
    let mut shop = Shop::open().await;
    let telemetry = TestTelemetry::new(Policy::default());
    let propagator = telemetry.propagator.clone();
    let consuming = ConsumerPropagation::new(propagator, "shipping");
    let mut deliveries = vec![received(&mut shop).await, received(&mut shop).await];
    deliveries[1].delivery_tag = deliveries[0].delivery_tag;
    for delivery in &deliveries {
        consuming.process(delivery, async { Ok::<_, ()>(()) }).await.unwrap();
    }
    for delivery in &deliveries {
        consuming.ack(delivery, BasicAckOptions::default()).await.unwrap();
    }
    let graph = telemetry.graph();
    let ids = |start: &str| graph.spans().filter(|span| span.name.starts_with(start)).collect::<Vec<_>>();
    let (processed, acked) = (ids("process "), ids("ack "));
    let parents: Vec<_> = acked.iter().filter_map(|span| span.parent).collect();
    let expected: Vec<_> = processed.iter().map(|span| span.span_id).collect();
    assert_eq!(parents.len(), 2);
    assert!(expected.iter().all(|id| parents.contains(id)), "{parents:?} {expected:?}");
}
