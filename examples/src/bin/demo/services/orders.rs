//! `orders`: prices an order over gRPC and writes it to the topic that payments are made from.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use propagation_grpc::ServerPropagationLayer;
use propagation_kafka::ProducerPropagation;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use tonic::{Request, Response, Status, transport::Server};

use super::grpc::{OrdersServer, PLACE, Place, PlaceReply, PlaceRequest};
use crate::{
    Error,
    service::{self, Service, variable},
    shop::{self, Order},
    wire::Wire,
};

struct Orders {
    service: Service,
    producer: FutureProducer,
    propagation: ProducerPropagation,
}

pub(crate) async fn run(service: Service) -> Result<(), Error> {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", variable("DEMO_KAFKA_BROKERS")?).set("linger.ms", "0").create()?;
    let layer = ServerPropagationLayer::new(service.propagator.clone()).with_methods([PLACE]);
    let propagation = ProducerPropagation::new(service.propagator.clone());
    let orders = OrdersServer::new(Orders { service: service.clone(), producer, propagation });

    let listener = service::listen().await?;
    service.ready(Some(listener.local_addr()?));
    let note_wire = tower::util::MapRequestLayer::new(|mut request: http::Request<_>| {
        let wire = Wire::of_headers(request.headers());
        request.extensions_mut().insert(wire);
        request
    });
    Server::builder()
        .layer(note_wire)
        .layer(layer)
        .add_service(orders)
        .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener))
        .await?;
    Ok(())
}

impl Place for Orders {
    fn place(
        self: Arc<Self>,
        request: Request<PlaceRequest>,
    ) -> BoxFuture<'static, Result<Response<PlaceReply>, Status>> {
        Box::pin(async move { self.price(request).await })
    }
}

impl Orders {
    #[tracing::instrument(name = "price order", skip_all)]
    async fn price(&self, request: Request<PlaceRequest>) -> Result<Response<PlaceReply>, Status> {
        let wire = request.extensions().get::<Wire>().cloned().unwrap_or_default();
        let PlaceRequest { order: id, sku, quantity, tenant, email } = request.into_inner();
        wire.print(&id, "grpc", "gateway", "orders");
        let price = shop::price(&sku).ok_or_else(|| Status::not_found("no such thing in the shop"))?;
        let order = Order { id, sku, quantity, tenant, total_cents: price * u64::from(quantity), email };
        self.service.check(&order);

        let payload = serde_json::to_vec(&order).map_err(|_| Status::internal("an order that is no JSON"))?;
        let record = FutureRecord::to(shop::TOPIC).key(&order.id).payload(&payload);
        self.propagation
            .send(&self.producer, record, Duration::from_secs(5))
            .await
            .map_err(|_| Status::unavailable("the topic takes no orders"))?;
        Ok(Response::new(PlaceReply { total_cents: order.total_cents }))
    }
}
