//! A service in another language, with OpenTelemetry's own SDK, in the middle of the trace and at both its ends.

use std::collections::BTreeMap;

use propagation_testkit::{
    trace::{SpanKind, SpanSelector, TraceGraph, TraceId, service},
    wire::{TraceParent, WireRecord},
};
use serde_json::Value;

use crate::{
    alone::kinds,
    bridge::Bridge,
    service::Request,
    shop::{Shop, TENANT},
    transport::{Address, Sender, Transport},
};

/// An address as the service in Python takes it.
fn spelt(address: &Address) -> String {
    match address.by {
        Transport::Http => address.name.clone(),
        Transport::Kafka => format!("kafka:{}", address.name),
        Transport::RabbitMq => format!("rabbitmq:{}", address.name),
        Transport::Sqs => format!("sqs:{}", address.name),
        Transport::Grpc => unreachable!("the service in Python speaks no gRPC"),
    }
}

/// A source for the service in Python: a free port, or a topic or queue of the test's own.
fn source(shop: &Shop, by: Transport) -> Address {
    let name = if by == Transport::Http { "http".to_owned() } else { shop.name("python") };
    Address { by, name }
}

/// The URL that a server chose, else the address as it was.
fn chosen(address: Address, ready: &Value) -> Address {
    match ready["url"].as_str() {
        Some(url) => Address { name: format!("{url}/orders"), ..address },
        None => address,
    }
}

/// Converts a message read by the service in Python to a record of the kit.
fn record(message: &Value, from: &str, by: Transport) -> WireRecord {
    let fields = message["fields"].as_array().unwrap().iter();
    let fields = fields.map(|field| (field[0].as_str().unwrap(), field[1].as_str().unwrap()));
    WireRecord::new(from, "python", by.name()).with_fields(fields)
}

fn baggage(message: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(message["baggage"].clone()).unwrap()
}

fn tenant(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(TENANT.to_owned(), value.to_owned())])
}

fn sides(from: &str, by: Transport, to: &str) -> (SpanSelector, SpanSelector) {
    let (sent, received) = kinds(by);
    (service(from).kind(sent), service(to).kind(received))
}

/// Rust, Python, Rust: `orders` sends, `python` passes on, `billing` receives.
async fn python_in_the_middle(by: Transport) {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let (to, mut arrivals) = shop.end(&billing, "python", by).await;
    let from = source(&shop, by);
    let spelt_source = if by == Transport::Http { "http".to_owned() } else { spelt(&from) };
    let (mut python, ready) = Bridge::between(&shop, "python", &spelt_source, &spelt(&to), &[]).await;
    let sender = Sender::open(&orders, &chosen(from, &ready)).await.unwrap();

    for name in ["acme", "blue"] {
        // `secret` is allowed nowhere, and so never reaches Python.
        let request = Request::sampled().baggage(TENANT, name).baggage("secret", "1").state("vendor=1");
        orders.on(&request, sender.send("{\"order\":1}")).await.unwrap();
        let message = python.next("message").await;
        shop.wire.record(record(&message, "orders", by));
        assert_eq!(message["body"], "{\"order\":1}");
        assert_eq!(message["trace_id"], request.trace().to_string());
        assert_eq!(message["tracestate"], "vendor=1");
        assert_eq!(baggage(&message), tenant(name), "of two keys one is allowed");
        let arrival = arrivals.next().await;
        assert_eq!(arrival.context.baggage.get(TENANT).as_deref(), Some(name));

        let (sent, read) = sides("orders", by, "python");
        let (passed_on, received) = sides("python", by, "billing");
        let whole = |graph: &TraceGraph| {
            graph
                .continuous()
                .and_then(|()| graph.services_seen(&["orders", "python", "billing"]))
                .and_then(|()| graph.count(received.clone(), 1))
                .and_then(|()| graph.count(read.clone(), 1))
        };
        let graph = shop.trace(request.trace(), whole).await;
        graph
            .assert_each_edge(service("orders").kind(SpanKind::Server), sent.clone())
            .assert_each_edge(sent.clone(), read.clone())
            .assert_each_edge(read.clone(), passed_on.clone())
            .assert_each_edge(passed_on.clone(), received.clone())
            .assert_sampled_consistently()
            .assert_trace_state_preserved();
        if by.is_messaging() {
            graph.assert_each_link(read, sent).assert_each_link(received, passed_on);
        }
        shop.wire.assert_carries_spans_of(&shop.receiver.graph());
    }
    // Two requests over two hops.
    assert_eq!(shop.wire.records().len(), 4);
    shop.wire
        .assert_exactly_one(&["traceparent", "tracestate", "baggage"])
        .assert_valid_context()
        .assert_baggage_only(&[TENANT]);

    let request = Request::unsampled().baggage(TENANT, "crow");
    orders.on(&request, sender.send("{}")).await.unwrap();
    let message = python.next("message").await;
    assert_eq!((&message["sampled"], baggage(&message)), (&Value::Bool(false), tenant("crow")));
    let arrival = arrivals.next().await;
    assert!(!arrival.context.trace.parent.unwrap().flags.is_sampled());
    assert_eq!(arrival.context.trace.trace_id().unwrap().to_string(), request.trace().to_string());
    python.stop().await;
    shop.flush().await;
    assert!(shop.receiver.graph().trace(request.trace()).is_empty());
}

/// Python, Rust, Python: a root in Python, `orders` continues, Python reads.
async fn python_at_both_ends(by: Transport) {
    let shop = Shop::open().await;
    let orders = shop.service("orders");
    let last = source(&shop, by);
    let spelt_source = if by == Transport::Http { "http".to_owned() } else { spelt(&last) };
    let (mut reader, ready) = Bridge::between(&shop, "reader", &spelt_source, "none", &["--count", "1"]).await;
    let first = shop.through(&orders, "starter", by, &chosen(last, &ready)).await;
    let tenant_of = format!("{TENANT}=acme corp/Łódź");
    Bridge::root(&shop, "starter", &spelt(&first), &["--baggage", &tenant_of, "--baggage", "user=alice"]).await;

    let message = reader.next("message").await;
    assert_eq!(baggage(&message), tenant("acme corp/Łódź"), "what is not allowed ends at the first service of ours");
    reader.stop().await;
    shop.wire.record(record(&message, "orders", by));
    shop.wire.assert_exactly_one(&["traceparent", "baggage"]).assert_valid_context();
    shop.wire.between("orders", "python").assert_baggage_only(&[TENANT]);

    let trace: TraceId = message["trace_id"].as_str().unwrap().parse().unwrap();
    let (sent, handled) = sides("starter", by, "orders");
    let (passed_on, read) = sides("orders", by, "reader");
    let whole =
        |graph: &TraceGraph| graph.continuous().and_then(|()| graph.services_seen(&["starter", "orders", "reader"]));
    let graph = shop.trace(trace, whole).await;
    graph
        .assert_each_edge(service("starter").name("start"), sent.clone())
        .assert_each_edge(sent.clone(), handled.clone())
        .assert_each_edge(handled.clone(), passed_on.clone())
        .assert_each_edge(passed_on.clone(), read.clone())
        .assert_sampled_consistently();
    if by.is_messaging() {
        graph.assert_each_link(handled, sent).assert_each_link(read, passed_on);
    }
    shop.wire.assert_carries_spans_of(&shop.receiver.graph());
    let parents: Vec<TraceParent> = shop.wire.records().iter().filter_map(WireRecord::trace_parent).collect();
    assert!(parents.iter().all(|parent| parent.trace_id == trace), "{parents:?}");
}

macro_rules! each_transport {
    ($($name:ident: $by:ident,)*) => {
        mod rust_then_python_then_rust_is_one_trace {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::python_in_the_middle(crate::transport::Transport::$by).await;
                }
            )*
        }

        mod python_then_rust_then_python_is_one_trace {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::python_at_both_ends(crate::transport::Transport::$by).await;
                }
            )*
        }
    };
}

each_transport! {
    over_http: Http,
    over_kafka: Kafka,
    over_rabbitmq: RabbitMq,
    over_sqs: Sqs,
}
