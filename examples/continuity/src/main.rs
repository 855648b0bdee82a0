//! Runs both services, with the environment that the process was given: `OTEL_EXPORTER_OTLP_ENDPOINT=… cargo run`.

use continuity::{Error, shop, stock};
use propagation_opentelemetry::setup::Setup;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let stock = stock(Setup::new("stock")).await?;
    let shop = shop(&stock.url, Setup::new("shop")).await?;
    println!("GET {}/orders/4711", shop.url);
    tokio::signal::ctrl_c().await?;
    Ok(())
}
