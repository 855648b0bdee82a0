//! Received attributes on messages that a handler sends on, with the real client.

use propagation_core::{
    Hop, InboundRule, OutboundRule, Outcome, Peer, Policy, Propagator, SpanKind, StoredContext, TraceTrust, Transport,
    messaging::ExistingContext, task,
};
use propagation_opentelemetry::OpenTelemetryBridge;
use propagation_sqs::{ConsumerPropagation, SqsInterceptor};
use propagation_testkit::in_memory::InMemory;

use crate::setup::{BAGGAGE, Endpoint, OTHER, PARENT, STATE, XRAY, entry, string};

fn policy(trust: TraceTrust) -> Policy {
    Policy::builder()
        .inbound(InboundRule::peers(["sqs:partner", "http:*"]).trust(trust))
        .outbound(OutboundRule::peers(["sqs:orders"]).allow("tenant.id"))
        .build()
        .unwrap()
}

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
    let mut context = propagator.current();
    context.baggage.set("tenant.id", "blue").unwrap();
    let hop = propagator.start(Hop::local(SpanKind::Internal, context));
    let attributes = outsiders().message_attributes;
    let header = MessageSystemAttributeValue::builder().data_type("String").string_value(XRAY).build().unwrap();
    if way == "send batch" {
        let mut one = entry("1", "{}");
        one.message_attributes = attributes;
        hop.scope(client.send_message_batch().queue_url(queue).entries(one).send()).await.unwrap();
    } else {
        let send = client.send_message().queue_url(queue).message_body("{}").set_message_attributes(attributes);
        hop.scope(send.message_system_attributes(AwsTraceHeader, header).send()).await.unwrap();
    }
    hop.end(&Outcome::Unset);
}

#[tokio::test]
async fn forwarded_attributes_obey_the_admitting_rule() {
    let endpoint = Endpoint::start().await;
    for (trust, existing, stays, links) in [
        (TraceTrust::Full, ExistingContext::Keep, true, 1),
        (TraceTrust::IdsOnly, ExistingContext::Keep, true, 1),
        (TraceTrust::RestartWithLink, ExistingContext::Keep, false, 1),
        (TraceTrust::Restart, ExistingContext::Keep, false, 0),
        (TraceTrust::Ignore, ExistingContext::Keep, false, 0),
        (TraceTrust::Restart, ExistingContext::Replace, false, 0),
        (TraceTrust::Ignore, ExistingContext::Replace, false, 0),
    ] {
        for way in ["retry", "task", "batch", "http", "send batch", "share"] {
            let case = format!("{trust:?} {existing:?} {way}");
            let memory = InMemory::new();
            let provider = memory.provider("shop");
            let bridge = OpenTelemetryBridge::new(opentelemetry::trace::TracerProvider::tracer(&provider, "shop"));
            let propagator = Propagator::builder().policy(policy(trust)).bridge(bridge).build();
            let propagation = SqsInterceptor::new(propagator.clone()).existing(existing.clone());
            let client = endpoint.client(propagation.with_create_spans(way != "share"));
            let consuming = ConsumerPropagation::new(propagator.clone(), "partner");
            let (p, queue) = (propagator.clone(), endpoint.queue.clone());
            let sending = if way == "share" { "send batch" } else { way };
            let work = async {
                let send = async move { send_on(&p, &client, &queue, sending).await };
                if way == "task" {
                    tokio::spawn(task::InContextExt::in_current_context(send, &propagator)).await.unwrap();
                } else {
                    send.await;
                }
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
            let parent = seen.get("traceparent").unwrap();
            assert_eq!(parent == PARENT, stays, "{case}: {seen:?}");
            assert_eq!(parent[3..35] == PARENT[3..35], stays, "{case}: {seen:?}");
            let header = seen.header.as_deref().is_none_or(|header| (header == XRAY) == stays);
            assert!(header, "{case}: {seen:?}");
            assert_eq!(seen.get("tracestate").is_some(), stays && trust == TraceTrust::Full, "{case}: {seen:?}");
            assert_eq!(seen.get("baggage"), Some(BAGGAGE), "{case}");
            let name = if way == "send batch" { "create orders" } else { "send orders" };
            let graph = memory.graph();
            let send = graph.spans().find(|span| span.name == name).unwrap();
            assert_eq!(send.links.len(), links, "{case}: {:?}", send.links);
        }
    }
}

#[tokio::test]
async fn stored_context_is_sent_in_an_untrusted_hop() {
    let endpoint = Endpoint::start().await;
    let propagator = Propagator::builder().policy(policy(TraceTrust::Restart)).build();
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
