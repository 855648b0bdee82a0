//! Malformed fields of hostile, broken or outdated senders, on real brokers: the message and the next are processed.

use std::collections::BTreeMap;

use propagation_testkit::{
    fault::{Fault, MalformedValue, malformed_fields, redelivered, shuffled},
    trace::{SpanKind, TraceGraph, service},
};

use crate::{
    service::Request,
    shop::{Shop, TENANT},
    transport::{Sender, Transport},
};

/// The trace that valid poison names.
const POISONED: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn poison_is_handled(by: Transport, sorts: &[Fault]) {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let (address, mut arrivals) = shop.end(&billing, "orders", by).await;
    let sender = Sender::open(&orders, &address).await.unwrap();
    let mut handled = BTreeMap::new();
    for poison in malformed_fields() {
        // Some cannot be sent by this transport at all, and some its broker refuses.
        let Ok(()) = address.put(poison.name, &poison.fields).await else { continue };
        let arrival = arrivals.next().await;
        assert_eq!(arrival.body, poison.name);
        let trace = arrival.context.trace.trace_id().unwrap().to_string();
        if let Some(refused) = poison.refused {
            assert_eq!(trace != POISONED, refused, "{}: {:?}", poison.name, arrival.context);
        }
        assert!(arrival.context.baggage.is_empty(), "{}: {:?}", poison.name, arrival.context);
        *handled.entry(format!("{:?}", poison.fault)).or_insert(0) += 1;

        let request = Request::sampled().baggage(TENANT, "acme");
        orders.on(&request, sender.send("{}")).await.unwrap();
        let next = arrivals.next().await;
        let next =
            (next.context.trace.trace_id().unwrap().to_string(), next.context.baggage.get(TENANT).map(Into::into));
        assert_eq!(next, (request.trace().to_string(), Some("acme".to_owned())), "after {}", poison.name);
    }
    let sorts: Vec<String> = sorts.iter().map(|sort| format!("{sort:?}")).collect();
    let missing: Vec<_> = sorts.iter().filter(|sort| !handled.contains_key(*sort)).collect();
    assert!(missing.is_empty(), "none of {missing:?} reached the consumer: {handled:?}");
}

/// Reordered and redelivered messages are processed in their own trace, with their own baggage.
async fn a_message_out_of_order_and_again_is_in_its_own_trace(by: Transport) {
    const MESSAGES: usize = 8;
    let shop = Shop::open().await;
    let (orders, broker, billing) = (shop.service("orders"), shop.service("broker"), shop.service("billing"));
    let (first, mut taken) = shop.end(&broker, "orders", by).await;
    let sender = Sender::open(&orders, &first).await.unwrap();
    let mut requests = BTreeMap::new();
    for number in 0..MESSAGES {
        let body = format!("order-{number}");
        let request = Request::sampled().baggage(TENANT, &body);
        orders.on(&request, sender.send(&body)).await.unwrap();
        requests.insert(body, request);
        taken.next().await;
    }
    // The fields as on the wire, as a redelivery or a shovel sends them.
    let messages = shop.wire.records().into_iter().map(|record| {
        let fields = record.fields.into_iter().map(|field| (field.name, MalformedValue::Bytes(field.value)));
        // SQS sets this itself, and rejects it as a message attribute.
        (record.message, fields.filter(|(name, _)| name != "AWSTraceHeader").collect::<Vec<_>>())
    });
    let messages = redelivered(&shuffled(messages.collect(), 7), 1, 7);
    assert_eq!(messages.len(), 2 * MESSAGES);
    let (second, mut arrivals) = shop.end(&billing, "orders", by).await;
    for (body, fields) in &messages {
        second.put(body, fields).await.unwrap();
    }
    for _ in &messages {
        let arrival = arrivals.next().await;
        assert_eq!(arrival.context.baggage.get(TENANT).as_deref(), Some(&*arrival.body));
        let own = requests[&arrival.body].trace().to_string();
        assert_eq!(arrival.context.trace.trace_id().unwrap().to_string(), own);
    }
    for request in requests.values() {
        let sent = service("orders").kind(SpanKind::Producer);
        let received = service("billing").kind(SpanKind::Consumer);
        let twice = |graph: &TraceGraph| graph.continuous().and_then(|()| graph.count(received.clone(), 2));
        let graph = shop.trace(request.trace(), twice).await;
        for delivery in graph.find(received.clone()) {
            graph.assert_edge(sent.clone(), delivery).assert_link(delivery, sent.clone());
        }
    }
    shop.wire.between("orders", "billing").assert_creation_context_unchanged().assert_no_cross_talk(TENANT);
}

macro_rules! each_broker {
    ($($name:ident: $by:ident, $sorts:expr;)*) => {
        mod poison_is_handled_and_so_is_what_comes_after_it {
            use propagation_testkit::fault::Fault::*;

            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::poison_is_handled(crate::transport::Transport::$by, &$sorts).await;
                }
            )*
        }

        mod a_message_out_of_order_and_again_is_in_its_own_trace {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let by = crate::transport::Transport::$by;
                    super::a_message_out_of_order_and_again_is_in_its_own_trace(by).await;
                }
            )*
        }
    };
}

each_broker! {
    over_kafka: Kafka, [Duplicate, Null, Oversized, Truncated, Malformed, NotUtf8];
    over_rabbitmq: RabbitMq, [Duplicate, Null, WrongType, Oversized, Truncated, Malformed, NotUtf8];
    over_sqs: Sqs, [Duplicate, WrongType, Oversized, Truncated, Malformed, NotUtf8];
}
