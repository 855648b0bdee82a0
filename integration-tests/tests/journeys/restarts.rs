//! Brokers that are restarted, or killed and started again, in the middle of the work: confirmed messages arrive, before
//! and after, and every message stays in the trace that it was sent in.
//!
//! One at a time, and no other test beside it: `--test-threads 1`.

use std::{collections::BTreeSet, time::Duration};

use propagation_testkit::trace::{AssertionFailure, SpanKind, SpanSelector, TraceGraph, service};
use tokio::process::Command;

use crate::{
    service::{Arrivals, Errors, Hold, Request, Service},
    shop::{PATIENCE, Shop, TENANT},
    transport::{Sender, Transport},
};

const STACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/setup/stack.sh");

fn sent() -> SpanSelector {
    service("orders").kind(SpanKind::Producer)
}

fn received() -> SpanSelector {
    service("billing").kind(SpanKind::Consumer)
}

/// Stops a broker in this way and starts it again; returns when it is healthy.
async fn again(how: &str, broker: &str) {
    let done = Command::new("bash").args([STACK, how, broker]).kill_on_drop(true).status().await.unwrap();
    assert!(done.success(), "stack.sh {how} {broker}: {done}");
}

/// Sends for a request until the broker has taken it, however often that fails.
async fn send(orders: &Service, sender: &Sender, request: &Request, body: &str) {
    let attempts = async {
        let mut errors = Errors::new(body);
        while let Err(error) = sender.send(body).await {
            errors.print(&error);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let sent = orders.on(request, tokio::time::timeout(4 * PATIENCE, attempts)).await;
    sent.unwrap_or_else(|_| panic!("{body} was never taken"));
}

fn request(tenant: &str) -> Request {
    Request::sampled().baggage(TENANT, tenant).state("vendor=1")
}

/// Waits until each of these has arrived at least once, with the baggage of its own request.
async fn all_arrive(arrivals: &mut Arrivals, bodies: impl IntoIterator<Item = String>) {
    let mut missing: BTreeSet<String> = bodies.into_iter().collect();
    while !missing.is_empty() {
        let Some(arrival) = arrivals.within(PATIENCE).await else {
            panic!("did not arrive within {PATIENCE:?}: {missing:?}");
        };
        assert_eq!(arrival.context.baggage.get(TENANT).as_deref(), Some(&*arrival.body));
        missing.remove(&arrival.body);
    }
}

/// The request's trace hangs together, and its message was handled so often at the least.
fn handled(times: usize) -> impl Fn(&TraceGraph) -> Result<(), AssertionFailure> {
    move |graph| {
        graph.continuous()?;
        let seen = graph.find(received()).count();
        if seen < times {
            return Err(AssertionFailure::new(format!("handled {times} times")).found(format!("{seen} times")));
        }
        Ok(())
    }
}

async fn nothing_is_lost(by: Transport, how: &str, broker: &str) {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let (live, mut arrivals) = shop.end(&billing, "orders", by).await;
    let live = Sender::open(&orders, &live).await.unwrap();

    // Some wait in the broker while it is away.
    let parked_at = by.declare(shop.name("parked")).await.unwrap();
    let parked = Sender::open(&orders, &parked_at).await.unwrap();
    let mut requests = Vec::new();
    for number in 0..5 {
        let body = format!("parked-{number}");
        requests.push((body.clone(), request(&body)));
        send(&orders, &parked, &requests[number].1, &body).await;
    }
    // One is being handled when it goes away; that fails, and so it comes again.
    let hold = Hold::default();
    let (stop, mut held) = billing.stop("orders", by, None).await.unwrap();
    let held_at = by.listen(stop.holding(&hold), shop.name("held")).await.unwrap();
    let held_request = request("held");
    send(&orders, &Sender::open(&orders, &held_at).await.unwrap(), &held_request, "held").await;
    hold.arrived().await;

    // Some are sent before, while it is away, and after.
    let before: Vec<(String, Request)> =
        (0..5).map(|number| format!("before-{number}")).map(|body| (body.clone(), request(&body))).collect();
    for (body, request) in &before {
        send(&orders, &live, request, body).await;
    }
    all_arrive(&mut arrivals, before.iter().map(|(body, _)| body.clone())).await;
    let meanwhile: Vec<(String, Request)> =
        (0..5).map(|number| format!("meanwhile-{number}")).map(|body| (body.clone(), request(&body))).collect();
    let sends = async {
        for (body, request) in &meanwhile {
            tokio::time::sleep(Duration::from_millis(300)).await;
            send(&orders, &live, request, body).await;
        }
    };
    by.persisted(shop.name("flush")).await.unwrap();
    tokio::join!(again(how, broker), sends);
    hold.let_go();
    let after: Vec<(String, Request)> =
        (0..5).map(|number| format!("after-{number}")).map(|body| (body.clone(), request(&body))).collect();
    for (body, request) in &after {
        send(&orders, &live, request, body).await;
    }
    all_arrive(&mut arrivals, meanwhile.iter().chain(&after).map(|(body, _)| body.clone())).await;
    let again = held.within(PATIENCE).await.expect("the message whose handler failed arrives again");
    assert_eq!(again.context.baggage.get(TENANT).as_deref(), Some("held"));
    let (stop, mut unparked) = billing.stop("orders", by, None).await.unwrap();
    by.listen(stop, parked_at.name.clone()).await.unwrap();
    all_arrive(&mut unparked, requests.iter().map(|(body, _)| body.clone())).await;

    requests.extend(before);
    requests.extend(meanwhile);
    requests.extend(after);
    for (_, request) in &requests {
        let graph = shop.trace(request.trace(), handled(1)).await;
        graph.assert_edge(sent(), received()).assert_link(received(), sent()).assert_sampled_consistently();
    }
    let twice = shop.trace(held_request.trace(), handled(2)).await;
    twice.assert_count(sent(), 1);
    for delivery in twice.find(received()) {
        twice.assert_edge(sent(), delivery).assert_link(delivery, sent());
    }
    let held_again = shop.wire.only(|record| record.message == "held");
    assert!(held_again.records().len() >= 2, "it came again:\n{held_again}");
    held_again.assert_creation_context_unchanged();
    shop.wire
        .assert_exactly_one(&["traceparent", "tracestate", "baggage"])
        .assert_valid_context()
        .assert_baggage_only(&[TENANT])
        .assert_no_cross_talk(TENANT)
        .assert_carries_spans_of(&shop.receiver.graph());
}

/// Returns the messages of one of the senders under load.
fn of_sender(sender: usize) -> impl Iterator<Item = String> {
    (0..LOAD / SENDERS).map(move |number| format!("load-{sender}-{number}"))
}

/// The messages that are sent while the broker stops and starts, by so many senders at once.
const LOAD: usize = 400;
const SENDERS: usize = 8;

async fn nothing_is_lost_under_load(by: Transport, broker: &str) {
    let shop = Shop::open().await;
    let (orders, billing) = (shop.service("orders"), shop.service("billing"));
    let (address, mut arrivals) = shop.end(&billing, "orders", by).await;
    let senders = (0..SENDERS).map(|number| {
        let (orders, address) = (&orders, &address);
        async move {
            let sender = Sender::open(orders, address).await.unwrap();
            for body in of_sender(number) {
                send(orders, &sender, &Request::unsampled().baggage(TENANT, &body), &body).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    tokio::join!(futures_util::future::join_all(senders), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        again("restart", broker).await;
    });
    all_arrive(&mut arrivals, (0..SENDERS).flat_map(of_sender)).await;
    shop.wire
        .assert_exactly_one(&["traceparent", "baggage"])
        .assert_valid_context()
        .assert_baggage_only(&[TENANT])
        .assert_no_cross_talk(TENANT);
}

macro_rules! each_broker {
    ($($broker:ident: $by:ident,)*) => {
        $(
            mod $broker {
                use crate::transport::Transport;

                #[tokio::test(flavor = "multi_thread")]
                async fn is_restarted() {
                    super::nothing_is_lost(Transport::$by, "restart", stringify!($broker)).await;
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn is_killed() {
                    super::nothing_is_lost(Transport::$by, "kill", stringify!($broker)).await;
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn is_restarted_under_load() {
                    super::nothing_is_lost_under_load(Transport::$by, stringify!($broker)).await;
                }
            }
        )*
    };
}

each_broker! {
    kafka: Kafka,
    rabbitmq: RabbitMq,
    elasticmq: Sqs,
}
