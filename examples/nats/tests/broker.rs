//! One trace through a real `nats-server`, whose address is in `NATS_URL`: `cargo test --test broker -- --ignored`.

use std::{error::Error, time::Duration};

use async_nats::HeaderMap;
use futures_util::StreamExt;
use nats_example::{ConsumerPropagation, ProducerPropagation};
use propagation_core::{Hop, InboundRule, Policy, PropagationContext, Propagator, SpanKind as Kind};
use propagation_opentelemetry::setup::{Setup, Telemetry};
use propagation_testkit::{
    otlp::OtlpReceiver,
    trace::{SpanKind, TraceGraph, service},
};
use tokio::time::timeout;

const WAIT: Duration = Duration::from_secs(30);

/// Returns the address of the server. A run that was asked for and has no server fails.
fn url() -> String {
    std::env::var("NATS_URL").expect("NATS_URL must name a nats-server, such as nats://127.0.0.1:4222")
}

fn set_up(name: &str, traces: &OtlpReceiver) -> Result<Telemetry, Box<dyn Error>> {
    let policy = Policy::from_file(concat!(env!("CARGO_MANIFEST_DIR"), "/policy.toml"))?;
    Ok(Setup::new(name).policy(policy).variables(traces.variables()).build()?)
}

fn tenant(propagator: &Propagator) -> Option<String> {
    propagator.current().baggage.get("tenant.id").map(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a nats-server: NATS_URL=nats://127.0.0.1:4222 cargo test --test broker -- --ignored"]
async fn message_continues_the_trace_through_a_real_server() -> Result<(), Box<dyn Error>> {
    let traces = OtlpReceiver::start().await?;
    let (shop, stock) = (set_up("shop", &traces)?, set_up("stock", &traces)?);
    let client = async_nats::connect(url()).await?;
    let mut messages = client.subscribe("orders.*").await?;
    client.flush().await?;

    let producer = ProducerPropagation::new(shop.propagator());
    let mut context = PropagationContext::EMPTY;
    context.baggage.set("tenant.id", "blue")?;
    context.baggage.set("plan", "pro")?;
    let order = shop.propagator().start(Hop::local(Kind::Internal, context).named("order"));
    let mut headers = HeaderMap::new();
    headers.insert("x-user", "kept");
    order.run(producer.publish(&client, "orders.created", headers, "4711".into())).await?;
    client.flush().await?;

    let message = timeout(WAIT, messages.next()).await?.ok_or("the subscription ended")?;
    let sent = message.headers.as_ref().ok_or("no headers")?;
    assert_eq!(sent.get("x-user").map(ToString::to_string).as_deref(), Some("kept"));
    assert_eq!(sent.get("baggage").map(ToString::to_string).as_deref(), Some("tenant.id=blue"));
    let consumer = ConsumerPropagation::new(stock.propagator(), "orders.*");
    let inside = consumer.process(&message, async { Ok::<_, ()>(tenant(&stock.propagator())) }).await;
    assert_eq!(inside, Ok(Some("blue".to_owned())));

    // The shop begins the trace itself, with a span that it ends last.
    let whole = |graph: &TraceGraph| {
        graph.count(service("stock").kind(SpanKind::Consumer), 1).and_then(|()| graph.continuous())
    };
    let trace = traces.wait_until(whole, WAIT).await?;
    trace.assert_edge(service("shop").kind(SpanKind::Producer), service("stock").kind(SpanKind::Consumer));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a nats-server: NATS_URL=nats://127.0.0.1:4222 cargo test --test broker -- --ignored"]
async fn outsider_on_a_public_subject_gets_a_new_trace() -> Result<(), Box<dyn Error>> {
    let client = async_nats::connect(url()).await?;
    let mut messages = client.subscribe("public.>").await?;
    client.flush().await?;
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    headers.insert("baggage", "tenant.id=evil");
    client.publish_with_headers("public.form", headers, "hello".into()).await?;
    client.flush().await?;

    let message = timeout(WAIT, messages.next()).await?.ok_or("the subscription ended")?;
    let rule = InboundRule::peers(["nats:public.>"]).trust(propagation_core::TraceTrust::Restart);
    let policy = Policy::builder().transport(nats_example::NATS).inbound(rule).build()?;
    let consumer = ConsumerPropagation::new(Propagator::builder().policy(policy).build(), "public.>");
    let admission = consumer.extract(&message);
    assert!(admission.context.is_empty() && !admission.rejections.is_empty());
    Ok(())
}
