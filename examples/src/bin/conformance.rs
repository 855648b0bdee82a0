//! The conformance service, for the W3C trace-context suite and any other black-box suite. See `docs/conformance.md`.
//!
//! Listens on `CONFORMANCE_ADDR` (127.0.0.1:5000 if not set) and prints one line when it is ready.

use propagation_examples::conformance;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::var("CONFORMANCE_ADDR").unwrap_or_else(|_| "127.0.0.1:5000".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await.map_err(|error| format!("{address}: {error}"))?;
    println!("conformance listening on http://{}", listener.local_addr()?);
    conformance::serve(listener).await
}
