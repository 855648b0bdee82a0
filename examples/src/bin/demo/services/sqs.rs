//! The SQS client and the queue's URL, shared by both sides.

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Builder, Config, Credentials, Region},
};
use propagation_sqs::SqsInterceptor;

use crate::{
    Error,
    service::{Service, variable},
};

/// A client whose every send and receive carries the context: one interceptor.
pub(crate) fn client(service: &Service) -> Result<Client, Error> {
    let config = config(&variable("DEMO_SQS_ENDPOINT")?);
    Ok(Client::from_conf(config.interceptor(SqsInterceptor::new(service.propagator.clone())).build()))
}

/// The settings for an SQS emulator.
pub(crate) fn config(endpoint: &str) -> Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("demo", "demo", None, None, "demo"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

/// A queue that is there.
pub(crate) struct Queue {
    pub(crate) url: String,
}

impl Queue {
    /// Creates it, which changes nothing where it is there already.
    pub(crate) async fn open(client: &Client, name: &str) -> Result<Self, Error> {
        let created = client.create_queue().queue_name(name).send().await?;
        Ok(Self { url: created.queue_url.ok_or("a queue without a URL")? })
    }
}
