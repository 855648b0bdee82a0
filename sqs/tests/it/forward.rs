//! Received attributes on messages that a handler sends on, with the real client.

use propagation_core::{Hop, Peer, Propagator, SpanKind, StoredContext, TraceTrust, Transport};
use propagation_sqs::{ConsumerPropagation, SqsInterceptor};
use propagation_testkit::forwarding::{self, ForwardingCase, Handover, in_own_tenant};

use crate::setup::{Endpoint, OTHER, PARENT, STATE, XRAY, entry, string};

/// A message of an untrusted sender.
fn outsiders() -> aws_sdk_sqs::types::Message {
    let message = aws_sdk_sqs::types::Message::builder().body("{}").receipt_handle("handle");
    let attributes = [("traceparent", PARENT), ("tracestate", STATE), ("baggage", "tenant.id=evil")];
    attributes
        .into_iter()
        .fold(message, |message, (name, value)| message.message_attributes(name, string(value)))
        .build()
}

/// Sends a message with the attributes of one that was received, from a context with a tenant of the service's own.
async fn send_on(propagator: &Propagator, client: &aws_sdk_sqs::Client, queue: &str, way: &str) {
    use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends::AwsTraceHeader, MessageSystemAttributeValue};
    let attributes = outsiders().message_attributes;
    let header = MessageSystemAttributeValue::builder().data_type("String").string_value(XRAY).build().unwrap();
    if way == "send batch" {
        let mut one = entry("1", "{}");
        one.message_attributes = attributes;
        let send = client.send_message_batch().queue_url(queue).entries(one).send();
        in_own_tenant(propagator, send).await.unwrap();
    } else {
        let send = client.send_message().queue_url(queue).message_body("{}").set_message_attributes(attributes);
        in_own_tenant(propagator, send.message_system_attributes(AwsTraceHeader, header).send()).await.unwrap();
    }
}

#[tokio::test]
async fn forwarded_attributes_obey_the_admitting_rule() {
    let endpoint = Endpoint::start().await;
    for case in ForwardingCase::all() {
        for (way, place) in [
            ("retry", Handover::Inline),
            ("task", Handover::Task),
            ("thread", Handover::Thread),
            ("blocking", Handover::Blocking),
            ("batch", Handover::Inline),
            ("http", Handover::Inline),
            ("send batch", Handover::Inline),
            ("share", Handover::Inline),
        ] {
            let telemetry = case.telemetry("sqs:partner", "sqs:orders");
            let propagator = telemetry.propagator.clone();
            let propagation = SqsInterceptor::new(propagator.clone()).existing(case.existing.clone());
            let client = endpoint.client(propagation.with_create_spans(way != "share"));
            let consuming = ConsumerPropagation::new(propagator.clone(), "partner");
            let (p, queue) = (propagator.clone(), endpoint.queue.clone());
            let sending = if way == "share" { "send batch" } else { way };
            let work = async {
                place.run(&propagator, async move { send_on(&p, &client, &queue, sending).await }).await;
                Ok::<_, ()>(())
            };
            match way {
                "batch" => consuming.process_batch(&[outsiders()], work).await.unwrap(),
                "http" => {
                    let request = vec![("traceparent".to_owned(), PARENT.as_bytes().to_vec())];
                    let admission = propagator.extract(&Peer::caller(Transport::HTTP), &request);
                    propagator.start(Hop::admitted(SpanKind::Server, admission)).scope(work).await.unwrap();
                }
                _ => consuming.process(&outsiders(), work).await.unwrap(),
            }
            let seen = endpoint.one();
            let name = if way == "send batch" { "create orders" } else { "send orders" };
            case.assert(way, |name| seen.get(name).map(str::to_owned), &telemetry.graph(), name);
            let header = seen.header.as_deref().is_none_or(|header| (header == XRAY) == case.stays);
            assert!(header, "{case:?} {way}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn stored_context_is_sent_in_an_untrusted_hop() {
    let endpoint = Endpoint::start().await;
    let propagator =
        Propagator::builder().policy(forwarding::policy(TraceTrust::Restart, "sqs:partner", "sqs:orders")).build();
    let propagation = SqsInterceptor::new(propagator.clone());
    let stored: StoredContext = format!("traceparent:{OTHER}\nbaggage:tenant.id=green").parse().unwrap();
    let row = propagation.with_stored(stored);
    let consuming = ConsumerPropagation::new(propagator, "partner");
    // With and without the client's own interceptor.
    for client in [endpoint.client(propagation), endpoint.plain()] {
        let work = async {
            let send = client.send_message().queue_url(&endpoint.queue).message_body("{}");
            let send = send.set_message_attributes(outsiders().message_attributes);
            send.customize().interceptor(row.clone()).send().await.map(|_| ())
        };
        consuming.process(&outsiders(), work).await.unwrap();
        let seen = endpoint.one();
        assert_eq!((seen.get("traceparent"), seen.get("baggage")), (Some(OTHER), Some("tenant.id=green")));
        assert_eq!(seen.get("tracestate"), None);
    }
}
