//! A transactional outbox: `outbox order FILE` stores a row with its context; `outbox relay FILE`, another process, publishes all
//! rows to Kafka, each in the trace of its order.
//!
//! The relay brings a broker of its own, librdkafka's mock cluster, and processes what it published.

use std::{fs, time::Duration};

use propagation_core::{Hop, Outcome, Peer, PropagationContext, SpanKind, StoredContext};
use propagation_kafka::{ConsumerPropagation, ProducerPropagation};
use propagation_opentelemetry::setup::{Setup, Telemetry};
use rdkafka::{
    ClientConfig,
    consumer::{Consumer, StreamConsumer},
    mocking::MockCluster,
    producer::{FutureProducer, FutureRecord},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, file] = arguments.as_slice() else { return Err("usage: outbox order|relay FILE".into()) };
    let telemetry = Setup::new(if mode == "relay" { "relay" } else { "orders" }).build()?;
    match mode.as_str() {
        "relay" => relay(&telemetry, file).await?,
        _ => order(&telemetry, file)?,
    }
    if let Err(error) = telemetry.shutdown().await {
        eprintln!("telemetry is incomplete: {error}");
    }
    Ok(())
}

/// Stores the order's event. In a database, the row is written in the transaction of the order itself.
fn order(telemetry: &Telemetry, file: &str) -> std::io::Result<()> {
    let propagator = telemetry.propagator();
    let hop = propagator.start(Hop::local(SpanKind::Server, PropagationContext::EMPTY).named("POST /orders"));
    let mut context = StoredContext::new();
    propagator.inject(&Peer::kafka("orders"), hop.context(), &mut context);
    fs::write(file, context.to_string())?;
    hop.end(&Outcome::Unset);
    Ok(())
}

/// Publishes the row with the context that was stored.
async fn relay(telemetry: &Telemetry, file: &str) -> Result<(), Box<dyn std::error::Error>> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic("orders", 1, 1)?;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "billing")
        .set("auto.offset.reset", "earliest");

    let row: StoredContext = fs::read_to_string(file)?.parse()?;
    let producer: FutureProducer = config.create()?;
    let propagation = ProducerPropagation::new(telemetry.propagator());
    let record = FutureRecord::to("orders").key("4711").payload("{}");
    let sent = propagation.with_stored(row).send(&producer, record, Duration::from_secs(30)).await;
    sent.map_err(|(error, _)| error)?;

    let consumer: StreamConsumer = config.create()?;
    consumer.subscribe(&["orders"])?;
    let message = consumer.recv().await?;
    let billing = ConsumerPropagation::new(telemetry.propagator());
    let handler = async {
        println!("an order is billed");
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    billing.process(&message, handler).await
}
