//! `notifications`: takes shipped orders from SQS, writes to the customer, and calls the gateway.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{Message, MessageSystemAttributeName},
};
use propagation_http::ReqwestPropagation;
use propagation_sqs::ConsumerPropagation;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use super::sqs;
use crate::{
    Error, Hop,
    service::{Service, variable},
    shop::Order,
    transit,
    wire::Wire,
};

struct Notifications {
    service: Service,
    consumer: ConsumerPropagation,
    client: Client,
    queue: sqs::Queue,
    http: ClientWithMiddleware,
    gateway: String,
}

pub(crate) async fn run(service: Service) -> Result<(), Error> {
    let client = sqs::client(&service)?;
    let queue = sqs::Queue::open(&client, &variable("DEMO_SQS_QUEUE_IN")?).await?;
    let (propagator, redirects) = (service.propagator.clone(), reqwest::redirect::Policy::default());
    let (http, propagation) = ReqwestPropagation::with_client(propagator, reqwest::Client::builder(), redirects)?;
    let http = ClientBuilder::new(http).with(propagation).build();
    let (gateway, _stripped) = transit::way(Hop::Http, variable("DEMO_GATEWAY_URL")?).await?;
    let notifications = Arc::new(Notifications {
        consumer: ConsumerPropagation::new(service.propagator.clone(), queue.url.as_str()),
        queue,
        client,
        http,
        gateway,
        service,
    });
    notifications.service.ready(None);
    loop {
        let received = notifications.client.receive_message().queue_url(&notifications.queue.url);
        let received = match received.max_number_of_messages(10).wait_time_seconds(1).send().await {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, "the queue gives no messages");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        for message in received.messages.unwrap_or_default() {
            let working = Arc::clone(&notifications);
            notifications.service.spawn(async move {
                if let Err(error) = working.handle(&message).await {
                    tracing::warn!(%error, "a customer was not notified");
                }
            });
        }
    }
}

impl Notifications {
    async fn handle(&self, message: &Message) -> Result<(), Error> {
        self.consumer.process(message, self.notify(message)).await?;
        let receipt = message.receipt_handle.as_deref().unwrap_or_default();
        self.client.delete_message().queue_url(&self.queue.url).receipt_handle(receipt).send().await?;
        Ok(())
    }

    #[tracing::instrument(name = "notify", skip_all)]
    async fn notify(&self, message: &Message) -> Result<(), Error> {
        let order: Order = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
        let mut wire = Wire::default();
        for (name, value) in message.message_attributes.iter().flatten() {
            wire.see(name, value.string_value.as_deref().unwrap_or_default().as_bytes());
        }
        let trace_header = MessageSystemAttributeName::AwsTraceHeader;
        if let Some(value) = message.attributes.as_ref().and_then(|attributes| attributes.get(&trace_header)) {
            wire.see("AWSTraceHeader", value.as_bytes());
        }
        wire.print(&order.id, "sqs", "shipping", self.service.name.as_str());
        self.service.check(&order);

        // Writes to the customer: `order.email` is in the body, where it belongs.
        let url = format!("{}/orders/{}/delivered", self.gateway, order.id);
        self.http.post(url).json(&order).send().await?.error_for_status()?;
        Ok(())
    }
}
