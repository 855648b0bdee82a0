use axum::{Router, routing::get};
use propagation_core::{InboundRule, OutboundRule, Policy};
use propagation_http::ServerPropagationLayer;
use propagation_opentelemetry::setup::{LogFormat, Setup};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["kafka:*", "grpc:*"]).allow("tenant.id"))
        .outbound(OutboundRule::peers(["http:*.internal", "kafka:orders"]).allow("tenant.id"))
        .build()?;
    // Resource, sampler and OTLP to a Collector from the OTEL_* variables; and the subscriber of `tracing`, with log lines.
    let telemetry = Setup::new("orders").policy(policy).log_format(LogFormat::text()).install()?;

    // `telemetry.propagator()` is the one handle: every adapter gets a clone.
    let propagation = ServerPropagationLayer::new(telemetry.propagator());
    let app = Router::new().route("/orders/{id}", get(|| async { "an order" })).layer(propagation);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/orders/4711", listener.local_addr()?);
    let stopped = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await?;

    // A service is healthy without a Collector: log the loss, and end as usual.
    if let Err(error) = telemetry.shutdown().await {
        tracing::error!(%error, "telemetry is incomplete");
    }
    Ok(())
}
