//! `shipping`: takes paid orders from its queue, packs them, and notifies `notifications`.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::Client;
use futures_util::StreamExt;
use lapin::{
    Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions},
    types::FieldTable,
};
use propagation_amqp::ConsumerPropagation;

use super::{payments, sqs};
use crate::{
    Error,
    service::{Service, variable},
    shop::{self, Order},
    wire::Wire,
};

struct Shipping {
    service: Service,
    consumer: ConsumerPropagation,
    queue: sqs::Queue,
    client: Client,
}

pub(crate) async fn run(service: Service) -> Result<(), Error> {
    let connection = Connection::connect(&variable("DEMO_AMQP_URI")?, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    payments::declare(&channel).await?;
    let queue = variable("DEMO_AMQP_QUEUE_IN")?;
    payments::declare_queue(&channel, &queue).await?;
    let tag = service.name.as_str().into();
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut paid = channel.basic_consume(queue.as_str().into(), tag, options, arguments).await?;

    let client = sqs::client(&service)?;
    let shipping = Arc::new(Shipping {
        consumer: ConsumerPropagation::new(service.propagator.clone(), queue.as_str()),
        queue: sqs::Queue::open(&client, shop::NOTIFICATIONS_QUEUE).await?,
        client,
        service,
    });
    shipping.service.ready(None);
    while let Some(delivery) = paid.next().await {
        let delivery = delivery?;
        let working = Arc::clone(&shipping);
        shipping.service.spawn(async move {
            let shipped = working.consumer.process(&delivery, working.ship(&delivery)).await;
            let settled = match shipped {
                Ok(()) => working.consumer.ack(&delivery, BasicAckOptions::default()).await,
                Err(error) => {
                    tracing::warn!(%error, "an order was not shipped");
                    working.consumer.nack(&delivery, BasicNackOptions { requeue: false, multiple: false }).await
                }
            };
            if let Err(error) = settled {
                tracing::warn!(%error, "a message was not settled");
            }
        });
    }
    Ok(())
}

impl Shipping {
    #[tracing::instrument(name = "pack", skip_all)]
    async fn ship(&self, delivery: &Delivery) -> Result<(), Error> {
        let order: Order = serde_json::from_slice(&delivery.data)?;
        let mut wire = Wire::default();
        for (name, value) in delivery.properties.headers().iter().flat_map(FieldTable::inner) {
            if let lapin::types::AMQPValue::LongString(text) = value {
                wire.see(name.as_str(), text.as_bytes());
            }
        }
        wire.print(&order.id, "amqp", "payments", self.service.name.as_str());
        self.service.check(&order);
        // Packing it takes a while.
        tokio::time::sleep(Duration::from_millis(20 + 5 * u64::from(order.quantity))).await;
        self.client
            .send_message()
            .queue_url(&self.queue.url)
            .message_body(serde_json::to_string(&order)?)
            .send()
            .await?;
        Ok(())
    }
}
