//! The whole way: HTTP, gRPC, Kafka, RabbitMQ, SQS, and HTTP back.

use propagation_core::Policy;
use propagation_testkit::trace::{TraceGraph, service};

use crate::{
    alone::kinds,
    service::{Arrivals, Request, Service},
    shop::{Shop, TENANT, tenant_only},
    transport::{Address, Sender, Transport},
};

/// The services, and the transport of their caller.
pub(crate) const WAY: [(&str, Transport); 6] = [
    ("gateway", Transport::Http),
    ("orders", Transport::Grpc),
    ("payments", Transport::Kafka),
    ("shipping", Transport::RabbitMq),
    ("notifications", Transport::Sqs),
    ("customer", Transport::Http),
];

/// Opens every service, last first, and returns the first address and the messages at the end.
pub(crate) async fn way(shop: &Shop, policy: &Policy) -> (Address, Arrivals) {
    let service = |name| shop.service_with(name, policy.clone());
    let mut from = WAY.iter().rev().skip(1).map(|(name, _)| *name).chain(["caller"]);
    let mut way = WAY.iter().rev();
    let (name, by) = way.next().unwrap();
    let (mut address, arrivals) = shop.end(&service(name), from.next().unwrap(), *by).await;
    for (name, by) in way {
        address = shop.through(&service(name), from.next().unwrap(), *by, &address).await;
    }
    (address, arrivals)
}

/// With a service that calls.
async fn open(shop: &Shop) -> (Service, Sender, Arrivals) {
    let (address, arrivals) = way(shop, &tenant_only()).await;
    let caller = shop.service("caller");
    let sender = Sender::open(&caller, &address).await.unwrap();
    (caller, sender, arrivals)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_trace_over_all_five_transports_and_back() {
    let shop = Shop::open().await;
    let (caller, sender, mut arrivals) = open(&shop).await;
    let request = Request::sampled().baggage(TENANT, "acme").state("vendor=1");
    caller.on(&request, sender.send("{}")).await.unwrap();
    let arrival = arrivals.next().await;
    assert_eq!(arrival.context.baggage.get(TENANT).as_deref(), Some("acme"));
    let end = service("customer");
    let whole = |graph: &TraceGraph| {
        graph.continuous().and_then(|()| graph.count(end.clone().kind(kinds(Transport::Http).1), 1)).and_then(|()| {
            let names: Vec<&str> = WAY.iter().map(|(name, _)| *name).chain(["caller"]).collect();
            graph.services_seen(&names)
        })
    };
    let graph = shop.trace(request.trace(), whole).await;
    let mut from = "caller";
    for (name, by) in WAY {
        let (sent, received) = kinds(by);
        let (mut sent, received) = (service(from).kind(sent), service(name).kind(received));
        if by == Transport::Http {
            // The settle span of the message that is processed is a CLIENT span, too.
            sent = sent.attribute("http.request.method", "POST");
        }
        graph.assert_each_edge(sent.clone(), received.clone());
        if by.is_messaging() {
            graph.assert_each_link(received, sent);
        }
        from = name;
    }
    graph.assert_sampled_consistently().assert_trace_state_preserved().assert_flags_preserved().assert_causal_times();
    assert_eq!(shop.wire.records().len(), WAY.len());
    shop.wire
        .assert_exactly_one(&["traceparent", "tracestate", "baggage"])
        .assert_valid_context()
        .assert_baggage_only(&[TENANT])
        .assert_carries_spans_of(&shop.receiver.graph());
}

#[tokio::test(flavor = "multi_thread")]
async fn unsampled_request_stays_unsampled_over_all_transports() {
    let shop = Shop::open().await;
    let (caller, sender, mut arrivals) = open(&shop).await;
    let request = Request::unsampled().baggage(TENANT, "acme");
    caller.on(&request, sender.send("{}")).await.unwrap();
    let arrival = arrivals.next().await;
    assert_eq!(arrival.context.baggage.get(TENANT).as_deref(), Some("acme"));
    assert_eq!(arrival.context.trace.trace_id().unwrap().to_string(), request.trace().to_string());
    let records = shop.wire.records();
    assert_eq!(records.len(), WAY.len());
    for record in records {
        let parent = record.trace_parent().unwrap();
        assert_eq!((parent.trace_id, parent.flags & 1), (request.trace(), 0), "{record}");
    }
    shop.flush().await;
    let spans = shop.receiver.graph().trace(request.trace());
    assert!(spans.is_empty(), "not sampled, and exported all the same:\n{spans}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_never_take_each_others_context() {
    const REQUESTS: usize = 24;
    let shop = Shop::open().await;
    let (caller, sender, mut arrivals) = open(&shop).await;
    let requests: Vec<Request> =
        (0..REQUESTS).map(|number| Request::sampled().baggage(TENANT, &format!("tenant-{number}"))).collect();
    let sends = requests.iter().enumerate().map(|(number, request)| {
        let (caller, sender) = (&caller, &sender);
        async move { caller.on(request, sender.send(&format!("tenant-{number}"))).await.unwrap() }
    });
    futures_util::future::join_all(sends).await;
    for _ in 0..REQUESTS {
        let arrival = arrivals.next().await;
        assert_eq!(arrival.context.baggage.get(TENANT).as_deref(), Some(&*arrival.body));
    }
    for request in &requests {
        let whole = |graph: &TraceGraph| {
            let end = service("customer").kind(kinds(Transport::Http).1);
            graph.continuous().and_then(|()| graph.count(end, 1))
        };
        shop.trace(request.trace(), whole).await;
    }
    shop.wire.assert_no_cross_talk(TENANT);
}
