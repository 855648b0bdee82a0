//! Two services of one small shop: [`shop`] takes orders, and asks [`stock`] whether it has them.
//!
//! Each is set up by one call, [`Setup`], which a program makes from its environment and a test from the receiver of its spans.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use propagation_core::Propagator;
use propagation_http::{ReqwestPropagation, ServerPropagationLayer};
use propagation_opentelemetry::setup::{Setup, Telemetry};
use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::net::TcpListener;

/// Whatever keeps a service from starting.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A service that runs until its runtime ends. Dropped, it exports the spans that are left.
pub struct Service {
    /// Where it listens.
    pub url: String,
    _telemetry: Telemetry,
}

/// Starts `stock`, which returns the quantity of an article.
pub async fn stock(setup: Setup) -> Result<Service, Error> {
    serve(setup, |_| Ok(Router::new().route("/stock/{article}", get(left)))).await
}

/// Starts `shop`, which takes orders for articles of the `stock` at this URL.
pub async fn shop(stock: &str, setup: Setup) -> Result<Service, Error> {
    serve(setup, |propagator| {
        let (client, propagation) =
            ReqwestPropagation::with_client(propagator, reqwest::Client::builder(), Policy::default())?;
        let client = ClientBuilder::new(client).with(propagation).build();
        Ok(Router::new().route("/orders/{article}", get(order)).with_state((client, stock.to_owned())))
    })
    .await
}

/// Starts a service: telemetry, the layer around its routes, a port.
async fn serve(setup: Setup, routes: impl FnOnce(Propagator) -> Result<Router, Error>) -> Result<Service, Error> {
    let telemetry = setup.build()?;
    let app = routes(telemetry.propagator())?.layer(ServerPropagationLayer::new(telemetry.propagator()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(Service { url, _telemetry: telemetry })
}

async fn left(Path(article): Path<u32>) -> String {
    (article % 10).to_string()
}

async fn order(
    State((client, stock)): State<(ClientWithMiddleware, String)>,
    Path(article): Path<u32>,
) -> Result<String, StatusCode> {
    let answer = client.get(format!("{stock}/stock/{article}")).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let left = answer.text().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(format!("ordered {article}, {left} left"))
}
