//! SQS by the AWS SDK and `propagation-sqs`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Builder, Config, Credentials, Region},
    error::DisplayErrorContext,
    primitives::Blob,
    types::{Message, MessageAttributeValue, MessageSystemAttributeName},
};
use propagation_sqs::{ConsumerPropagation, SqsInterceptor};
use propagation_testkit::fault::MalformedValue;

use crate::{
    Failure,
    service::{Errors, Service, Stop},
    transport::Address,
    variable,
};

pub(crate) struct SqsSender {
    client: Client,
    url: String,
}

impl SqsSender {
    pub(crate) async fn open(service: &Service, to: &Address) -> Result<Self, Failure> {
        let client = client(service);
        let url = create_queue(&client, &to.name).await?;
        Ok(Self { client, url })
    }

    pub(crate) async fn send(&self, body: &str) -> Result<(), Failure> {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await?;
        Ok(())
    }
}

pub(crate) fn config() -> Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(variable("SQS_ENDPOINT_URL"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

/// A client without propagation.
pub(crate) fn plain() -> Client {
    Client::from_conf(config().build())
}

fn client(service: &Service) -> Client {
    Client::from_conf(config().interceptor(SqsInterceptor::new(service.propagator.clone())).build())
}

/// Makes the queue, which changes nothing where it is there already.
pub(crate) async fn create_queue(client: &Client, name: &str) -> Result<String, Failure> {
    let created = client.create_queue().queue_name(name).send().await?;
    Ok(created.queue_url.ok_or("a queue without a URL")?)
}

/// Sends a message just as it is: text, numbers and bytes are all that SQS knows, each name once.
pub(crate) async fn put(queue: &str, body: &str, fields: &[(String, MalformedValue)]) -> Result<(), Failure> {
    let client = plain();
    let url = create_queue(&client, queue).await?;
    let mut attributes = HashMap::new();
    for (name, value) in fields {
        let attribute = MessageAttributeValue::builder();
        let attribute = match value {
            MalformedValue::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => attribute.data_type("String").string_value(text),
                Err(_) => attribute.data_type("Binary").binary_value(Blob::new(bytes.clone())),
            },
            MalformedValue::Int(number) => attribute.data_type("Number").string_value(number.to_string()),
            _ => return Err("SQS has no such type".into()),
        };
        if attributes.insert(name.clone(), attribute.build()?).is_some() {
            return Err("SQS has each attribute once".into());
        }
    }
    let message = client.send_message().queue_url(url).message_body(body);
    message.set_message_attributes(Some(attributes)).send().await?;
    Ok(())
}

fn fields(message: &Message) -> Vec<(String, String)> {
    let attributes = message.message_attributes.iter().flatten();
    let mut fields: Vec<_> = attributes
        .map(|(name, value)| (name.clone(), value.string_value.clone().unwrap_or_else(|| format!("{value:?}"))))
        .collect();
    let header = MessageSystemAttributeName::AwsTraceHeader;
    if let Some(value) = message.attributes.as_ref().and_then(|attributes| attributes.get(&header)) {
        fields.push(("AWSTraceHeader".to_owned(), value.clone()));
    }
    fields
}

pub(crate) async fn listen(stop: Arc<Stop>, name: String) -> Result<String, Failure> {
    let client = client(&stop.service);
    let url = create_queue(&client, &name).await?;
    tokio::spawn(async move {
        let propagation = ConsumerPropagation::new(stop.service.propagator.clone(), &url);
        let mut errors = Errors::new(format!("consumer of {url}"));
        loop {
            let received = client.receive_message().queue_url(&url).wait_time_seconds(2).send().await;
            let received = match received {
                Ok(received) => received,
                // The endpoint is away.
                Err(error) => {
                    errors.print(&DisplayErrorContext(error));
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            for message in received.messages() {
                let body = message.body.clone().unwrap_or_default();
                stop.saw(&body, fields(message));
                let receipt = message.receipt_handle.as_deref().unwrap_or_default();
                if propagation.process(message, stop.handle(body)).await.is_ok() {
                    client.delete_message().queue_url(&url).receipt_handle(receipt).send().await.ok();
                } else {
                    // At once, not when its visibility ends.
                    let again = client.change_message_visibility().queue_url(&url).receipt_handle(receipt);
                    again.visibility_timeout(0).send().await.ok();
                }
            }
        }
    });
    Ok(name)
}
