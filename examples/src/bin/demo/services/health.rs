//! The readiness route for container health checks. The Collector drops its spans.

use axum::{Router, extract::State, http::StatusCode, routing::get};
use propagation_http::ServerPropagationLayer;
use tokio::net::TcpListener;

use crate::{Error, service::Service};

const ROUTE: &str = "/healthz";

/// Answers at this address until the service ends.
pub(crate) async fn serve(service: Service, address: &str) -> Result<(), Error> {
    let listener = TcpListener::bind(address).await?;
    let propagation = ServerPropagationLayer::new(service.propagator.clone());
    let routes = Router::new().route(ROUTE, get(answer)).route_layer(propagation).with_state(service);
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn answer(State(service): State<Service>) -> StatusCode {
    if service.is_ready() { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Asks the service at this address, as a container's health check does.
pub(crate) async fn ask(address: &str) -> Result<bool, Error> {
    Ok(reqwest::get(format!("http://{address}{ROUTE}")).await?.status().is_success())
}
