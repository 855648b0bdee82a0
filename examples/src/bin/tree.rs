//! A shop with `#[instrument]`ed functions, in one file: connects spans, tasks, Kafka messages and log lines.
//!
//! `cargo run -p propagation-examples --bin tree -- tracing` prints the URL for orders, and exports its spans to the address
//! in `OTEL_EXPORTER_OTLP_ENDPOINT`. They are one tree:
//!
//! ```text
//! POST /orders/{id}                    the layer around the routes
//! └─ place_order                       a handler with #[instrument]
//!    ├─ print_label                    on a blocking thread
//!    ├─ notify_warehouse               in a detached task
//!    └─ send orders                    a record for Kafka
//!       └─ process orders              who consumes it
//!          └─ pack                     a function with #[instrument]
//! ```
//!
//! The argument chooses the bridge: `tracing`, `opentelemetry`, or `none`, which makes no spans, and still hands the caller's context to
//! Kafka and to the log lines. No other part of the program depends on it. `KAFKA_BROKERS` names the brokers; the default is librdkafka's own mock
//! cluster.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use propagation_core::{InboundRule, OutboundRule, Policy, Propagator, task};
use propagation_http::ServerPropagationLayer;
use propagation_kafka::{ConsumerPropagation, ProducerPropagation};
use propagation_opentelemetry::{
    logs::TraceFields,
    setup::{Setup, Telemetry},
};
use rdkafka::{
    ClientConfig, Message,
    consumer::{Consumer, StreamConsumer},
    message::{BorrowedMessage, Headers},
    mocking::MockCluster,
    producer::{FutureProducer, FutureRecord},
};
use tracing_subscriber::{Layer, filter::LevelFilter, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

type Error = Box<dyn std::error::Error + Send + Sync>;

const TOPIC: &str = "orders";
const GROUP: &str = "packing";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let (propagator, telemetry) = set_up(std::env::args().nth(1).as_deref().unwrap_or("tracing"))?;

    let mock = MockCluster::new(1)?;
    mock.create_topic(TOPIC, 1, 1)?;
    let brokers = std::env::var("KAFKA_BROKERS").unwrap_or_else(|_| mock.bootstrap_servers());
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);

    let shop = Shop {
        producer: config.create()?,
        propagation: ProducerPropagation::new(propagator.clone()),
        propagator: propagator.clone(),
    };
    let app = Router::new()
        .route("/orders/{id}", post(place_order))
        .with_state(shop)
        .layer(ServerPropagationLayer::new(propagator.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("POST http://{}/orders/4711", listener.local_addr()?);

    tokio::select! {
        served = axum::serve(listener, app) => served?,
        packed = pack_orders(propagator, config) => packed?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    if let Some(telemetry) = telemetry
        && let Err(error) = telemetry.shutdown().await
    {
        tracing::error!(%error, "telemetry is incomplete");
    }
    Ok(())
}

/// Spans, log lines and the policy. Without a bridge there are no spans to export, and so nothing to shut down.
fn set_up(bridge: &str) -> Result<(Propagator, Option<Telemetry>), Error> {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["http:*", "kafka:*"]).allow("tenant.id"))
        .outbound(OutboundRule::peers(["kafka:orders"]).allow("tenant.id"))
        .build()?;
    let setup = Setup::new("shop").policy(policy.clone());
    let telemetry = match bridge {
        "tracing" => Some(setup.with_tracing().build()?),
        "opentelemetry" => Some(setup.build()?),
        "none" => None,
        other => return Err(format!("no bridge {other:?}: tracing, opentelemetry or none").into()),
    };
    let propagator = match &telemetry {
        Some(telemetry) => telemetry.propagator(),
        None => Propagator::builder().policy(policy).switches_from_env().build(),
    };
    // The shop's own spans, and those of the adapters; not those of the libraries that export them.
    let exported = Targets::new().with_target("propagation", LevelFilter::INFO).with_target("tree", LevelFilter::INFO);
    let spans = telemetry.as_ref().map(|telemetry| telemetry.span_layer().with_filter(exported));
    let lines = TraceFields::new(&propagator).with_baggage(["tenant.id"]).json_layer();
    let logged = Targets::new().with_default(LevelFilter::WARN).with_target("tree", LevelFilter::INFO);
    tracing_subscriber::registry().with(spans).with(lines.with_filter(logged)).try_init()?;
    Ok((propagator, telemetry))
}

#[derive(Clone)]
struct Shop {
    propagator: Propagator,
    producer: FutureProducer,
    propagation: ProducerPropagation,
}

#[tracing::instrument(skip_all)]
async fn place_order(State(shop): State<Shop>, Path(id): Path<u32>) -> Result<String, StatusCode> {
    tracing::info!(id, "placing an order");
    // Both run in the context of this request, on whatever thread and however long.
    let label = task::spawn_blocking(&shop.propagator, move || print_label(id));
    task::spawn(&shop.propagator, notify_warehouse(id));

    let label = label.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let record = FutureRecord::<str, str>::to(TOPIC).payload(&label);
    match shop.propagation.send(&shop.producer, record, Duration::from_secs(5)).await {
        Ok(_) => Ok(label),
        Err((error, _)) => {
            tracing::error!(%error, "Kafka takes no orders");
            Err(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

#[tracing::instrument(skip_all)]
fn print_label(id: u32) -> String {
    tracing::info!(id, "printing a label");
    format!("order {id}")
}

#[tracing::instrument(skip_all)]
async fn notify_warehouse(id: u32) {
    tokio::task::yield_now().await;
    tracing::info!(id, "notifying the warehouse");
}

async fn pack_orders(propagator: Propagator, mut config: ClientConfig) -> Result<(), Error> {
    config.set("group.id", GROUP).set("auto.offset.reset", "earliest");
    let orders: StreamConsumer = config.create()?;
    orders.subscribe(&[TOPIC])?;
    let propagation = ConsumerPropagation::new(propagator).group(GROUP);
    loop {
        let message = orders.recv().await?;
        propagation.process(&message, pack(&message)).await?;
    }
}

#[tracing::instrument(skip_all)]
async fn pack(message: &BorrowedMessage<'_>) -> Result<(), Infallible> {
    // Prints the fields on the wire.
    let traceparent = message.headers().and_then(|headers| {
        headers.iter().find(|header| header.key == "traceparent").and_then(|header| str::from_utf8(header.value?).ok())
    });
    tracing::info!(traceparent, "packing");
    Ok(())
}
