//! Each transport alone: from `orders` to `billing`, nothing between them but the real thing.

use propagation_testkit::trace::{SpanKind, SpanSelector, TraceGraph, conventions::Version, service};

use crate::{
    service::Request,
    shop::{Shop, TENANT},
    transport::{Sender, Transport},
};

/// The span kinds of the sending and the receiving side of a transport.
pub(crate) fn kinds(by: Transport) -> (SpanKind, SpanKind) {
    if by.is_messaging() { (SpanKind::Producer, SpanKind::Consumer) } else { (SpanKind::Client, SpanKind::Server) }
}

fn server() -> SpanSelector {
    service("orders").kind(SpanKind::Server)
}

async fn a_request_goes_on(by: Transport) {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let (address, mut arrivals) = shop.end(&billing, "orders", by).await;
    let sender = Sender::open(&orders, &address).await.unwrap();
    let (sent, received) = kinds(by);
    let (sent, received) = (service("orders").kind(sent), service("billing").kind(received));

    for tenant in ["acme", "blue", "crow"] {
        let request = Request::sampled().baggage(TENANT, tenant).state("vendor=1,other=2");
        orders.on(&request, sender.send(tenant)).await.unwrap();
        let arrival = arrivals.next().await;
        assert_eq!(arrival.body, tenant);
        assert_eq!(arrival.context.baggage.get(TENANT).as_deref(), Some(tenant));
        assert_eq!(arrival.context.baggage.len(), 1);
        let whole = |graph: &TraceGraph| graph.continuous().and_then(|()| graph.count(received.clone(), 1));
        let graph = shop.trace(request.trace(), whole).await;
        graph
            .assert_services(&["orders", "billing"])
            .assert_each_edge(server(), sent.clone())
            .assert_each_edge(sent.clone(), received.clone())
            .assert_sampled_consistently()
            .assert_flags_preserved()
            .assert_trace_state_preserved()
            .assert_conventions(Version::V1_45)
            .assert_nothing_dropped();
        if by.is_messaging() {
            graph.assert_each_link(received.clone(), sent.clone());
        }
        shop.wire.assert_carries_spans_of(&shop.receiver.graph());
    }
    assert_eq!(shop.wire.records().len(), 3);
    shop.wire
        .assert_exactly_one(&["traceparent", "tracestate", "baggage"])
        .assert_valid_context()
        .assert_baggage_only(&[TENANT]);
}

async fn a_request_that_is_not_sampled_goes_on(by: Transport) {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let (address, mut arrivals) = shop.end(&billing, "orders", by).await;
    let sender = Sender::open(&orders, &address).await.unwrap();
    let request = Request::unsampled().baggage(TENANT, "acme").state("vendor=1");
    orders.on(&request, sender.send("1")).await.unwrap();
    let arrival = arrivals.next().await;
    assert_eq!(arrival.context.baggage.get(TENANT).as_deref(), Some("acme"));
    let parent = arrival.context.trace.parent.unwrap();
    assert_eq!(parent.trace_id.to_string(), request.trace().to_string());
    assert!(!parent.flags.is_sampled());
    shop.wire
        .assert_exactly_one(&["traceparent", "tracestate", "baggage"])
        .assert_valid_context()
        .assert_sampled_consistently();
    assert_eq!(shop.wire.records()[0].trace_parent().unwrap().flags & 1, 0);

    // A sampled request goes the same way after it: once that one's spans are here, the other's would be, too.
    let sampled = Request::sampled();
    orders.on(&sampled, sender.send("2")).await.unwrap();
    arrivals.next().await;
    let (_, received) = kinds(by);
    shop.trace(sampled.trace(), |graph| graph.count(service("billing").kind(received), 1)).await;
    let spans = shop.receiver.graph().trace(request.trace());
    assert!(spans.is_empty(), "not sampled, and exported all the same:\n{spans}");
}

macro_rules! each_transport {
    ($($name:ident: $by:ident,)*) => {
        mod a_request_goes_on {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::a_request_goes_on(crate::transport::Transport::$by).await;
                }
            )*
        }

        mod a_request_that_is_not_sampled_goes_on {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::a_request_that_is_not_sampled_goes_on(crate::transport::Transport::$by).await;
                }
            )*
        }
    };
}

each_transport! {
    over_http: Http,
    over_grpc: Grpc,
    over_kafka: Kafka,
    over_rabbitmq: RabbitMq,
    over_sqs: Sqs,
}
