//! The gateway: takes orders over HTTP, calls `orders` over gRPC, and gets a callback from `notifications`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing::post,
};
use opentelemetry::{
    Context,
    baggage::{Baggage, BaggageExt},
};
use propagation_grpc::ClientPropagationLayer;
use propagation_http::ServerPropagationLayer;
use tonic::transport::Channel;
use tower::ServiceBuilder;

use super::grpc::{self, PlaceRequest};
use crate::{
    Error, Hop,
    event::Event,
    service::{self, Service, variable},
    shop::{self, Order},
    transit,
    wire::Wire,
};

struct Gateway {
    service: Service,
    calls: ClientPropagationLayer,
    orders: Channel,
    /// The prefix of every order number.
    numbers: String,
    count: AtomicU64,
}

/// Distinguishes order numbers of different runs, as brokers outlive a run.
pub(crate) const RUN: &str = "DEMO_RUN";

pub(crate) async fn run(service: Service) -> Result<(), Error> {
    let (orders, _stripped) = transit::way(Hop::Grpc, variable("DEMO_ORDERS_URL")?).await?;
    let endpoint = Channel::from_shared(orders)?;
    let calls = ClientPropagationLayer::new(service.propagator.clone())
        .peer(grpc::SERVICE)
        .endpoint(endpoint.uri())
        .with_methods([grpc::PLACE]);
    let orders = endpoint.connect_lazy();
    let propagation = ServerPropagationLayer::new(service.propagator.clone());
    let numbers = match std::env::var(RUN) {
        Ok(run) if !run.is_empty() => format!("o-{run}"),
        _ => "o".to_owned(),
    };
    let gateway = Arc::new(Gateway { service: service.clone(), calls, orders, numbers, count: AtomicU64::new(1) });
    let routes = Router::new()
        .route("/orders", post(place))
        .route("/orders/{id}/delivered", post(delivered))
        .route_layer(propagation)
        .route_layer(middleware::from_fn(note_wire))
        .with_state(gateway);

    let listener = service::listen().await?;
    service.ready(Some(listener.local_addr()?));
    axum::serve(listener, routes).await?;
    Ok(())
}

/// Looks at the headers before anything is extracted from them.
async fn note_wire(mut request: Request, next: Next) -> Response {
    let wire = Wire::of_headers(request.headers());
    request.extensions_mut().insert(wire);
    next.run(request).await
}

/// A customer places an order.
#[tracing::instrument(name = "place order", skip_all)]
async fn place(
    State(gateway): State<Arc<Gateway>>,
    Json(request): Json<shop::Request>,
) -> Result<(StatusCode, Json<Order>), StatusCode> {
    let id = format!("{}-{:05}", gateway.numbers, gateway.count.fetch_add(1, Ordering::Relaxed));
    let mut order = Order {
        id,
        sku: request.sku,
        quantity: request.quantity,
        tenant: request.tenant,
        total_cents: 0,
        email: request.email,
    };
    gateway.service.check(&order);
    let reply = ask_orders(&gateway, &order).await.map_err(|status| {
        tracing::warn!(code = ?status.code(), "orders refused");
        StatusCode::BAD_GATEWAY
    })?;
    order.total_cents = reply.total_cents;
    Ok((StatusCode::ACCEPTED, Json(order)))
}

/// Calls `orders` over gRPC. Deliberately puts the customer's address into baggage, from where it must not
/// get any further.
async fn ask_orders(gateway: &Gateway, order: &Order) -> Result<grpc::PlaceReply, tonic::Status> {
    use opentelemetry::trace::FutureExt;

    let context = Context::current();
    let mut baggage = Baggage::new();
    for (key, (value, metadata)) in context.baggage() {
        let _ = baggage.insert_with_metadata(key.clone(), value.clone(), metadata.clone());
    }
    let _ = baggage.insert(shop::CONTACT, order.email.clone());
    let careless = context.with_baggage(baggage);

    let channel = ServiceBuilder::new().layer(gateway.calls.clone()).service(gateway.orders.clone());
    let request = PlaceRequest {
        order: order.id.clone(),
        sku: order.sku.clone(),
        quantity: order.quantity,
        tenant: order.tenant.clone(),
        email: order.email.clone(),
    };
    grpc::place(channel, request).with_context(careless).await
}

/// Handles the callback of `notifications`: an order is on its way.
#[tracing::instrument(name = "delivered", skip_all)]
async fn delivered(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    axum::Extension(wire): axum::Extension<Wire>,
    Json(order): Json<Order>,
) -> StatusCode {
    wire.print(&order.id, "http", "notifications", "gateway");
    if order.id != id {
        return StatusCode::BAD_REQUEST;
    }
    gateway.service.check(&order);
    Event::Done { order: id }.print();
    StatusCode::NO_CONTENT
}
