//! `payments`: takes orders from the topic, charges them, and publishes those that are paid.

use std::{sync::Arc, time::Duration};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use propagation_amqp::ProducerPropagation;
use propagation_kafka::ConsumerPropagation;
use rdkafka::{
    ClientConfig, Message,
    consumer::{Consumer, StreamConsumer},
    message::{Headers, OwnedMessage},
};

use crate::{
    Error,
    service::{Service, variable},
    shop::{self, Order},
    wire::Wire,
};

struct Payments {
    service: Service,
    consumer: ConsumerPropagation,
    channel: Channel,
    producer: ProducerPropagation,
}

const GROUP: &str = "payments";

pub(crate) async fn run(service: Service) -> Result<(), Error> {
    let connection = Connection::connect(&variable("DEMO_AMQP_URI")?, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;

    let orders: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", variable("DEMO_KAFKA_BROKERS")?)
        .set("group.id", GROUP)
        .set("auto.offset.reset", "earliest")
        // Either side may create it first.
        .set("allow.auto.create.topics", "true")
        .create()?;
    orders.subscribe(&[&variable("DEMO_KAFKA_TOPIC_IN")?])?;

    let payments = Arc::new(Payments {
        consumer: ConsumerPropagation::new(service.propagator.clone()).group(GROUP),
        producer: ProducerPropagation::new(service.propagator.clone(), &connection),
        channel,
        service,
    });
    let mut ready = false;
    loop {
        let received = if ready {
            orders.recv().await
        } else {
            match tokio::time::timeout(Duration::from_millis(20), orders.recv()).await {
                Ok(received) => received,
                Err(_) => {
                    // Until the group has given it partitions, orders would wait for it.
                    ready = orders.assignment()?.count() > 0;
                    if ready {
                        payments.service.ready(None);
                    }
                    continue;
                }
            }
        };
        let message = match received {
            Ok(message) => message.detach(),
            Err(error) => {
                tracing::warn!(%error, "the topic gives no orders");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Charging takes time: other orders are charged meanwhile.
        let working = Arc::clone(&payments);
        payments.service.spawn(async move {
            if let Err(error) = working.consumer.process(&message, working.pay(&message)).await {
                tracing::warn!(%error, "an order was not paid");
            }
        });
    }
}

/// Either side may declare first; a repeated declaration changes nothing.
pub(crate) async fn declare(channel: &Channel) -> lapin::Result<()> {
    let exchange = ExchangeDeclareOptions::default();
    channel.exchange_declare(shop::EXCHANGE.into(), ExchangeKind::Direct, exchange, FieldTable::default()).await?;
    declare_queue(channel, shop::SHIPPING_QUEUE).await?;
    let (queue, exchange, key) = (shop::SHIPPING_QUEUE.into(), shop::EXCHANGE.into(), shop::ROUTING_KEY.into());
    channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await
}

pub(crate) async fn declare_queue(channel: &Channel, name: &str) -> lapin::Result<()> {
    channel.queue_declare(name.into(), QueueDeclareOptions::default(), FieldTable::default()).await?;
    Ok(())
}

impl Payments {
    #[tracing::instrument(name = "charge", skip_all)]
    async fn pay(&self, message: &OwnedMessage) -> Result<(), Error> {
        let order: Order = serde_json::from_slice(message.payload().unwrap_or_default())?;
        let mut wire = Wire::default();
        for header in message.headers().into_iter().flat_map(Headers::iter) {
            wire.see(header.key, header.value.unwrap_or_default());
        }
        wire.print(&order.id, "kafka", "orders", self.service.name.as_str());
        self.service.check(&order);
        // The card company thinks about it.
        tokio::time::sleep(Duration::from_millis(30 + order.total_cents % 40)).await;

        let payload = serde_json::to_vec(&order)?;
        let paid = self.producer.publish_confirmed(
            &self.channel,
            shop::EXCHANGE.into(),
            shop::ROUTING_KEY.into(),
            BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() },
            &payload,
            BasicProperties::default().with_content_type("application/json".into()),
        );
        paid.await?;
        Ok(())
    }
}
