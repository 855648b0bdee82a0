//! The common part of the five transports in a journey: an address, a sender, a receiver.

use std::sync::Arc;

use propagation_testkit::fault::MalformedValue;

use crate::{
    Failure, kafka, rabbitmq,
    service::{Service, Stop},
    sqs, web,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    Grpc,
    Kafka,
    RabbitMq,
    Sqs,
}

/// Where to send: a topic, a queue, a URL.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) by: Transport,
    pub(crate) name: String,
}

/// A sender to one address.
#[allow(clippy::large_enum_variant, reason = "a test has a handful of them")]
pub(crate) enum Sender {
    Http(web::HttpSender),
    Grpc(web::GrpcSender),
    Kafka(kafka::KafkaSender),
    RabbitMq(rabbitmq::RabbitMqSender),
    Sqs(sqs::SqsSender),
}

impl Transport {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Kafka => "kafka",
            Self::RabbitMq => "amqp",
            Self::Sqs => "sqs",
        }
    }

    /// Whether its spans are those of a producer and a consumer.
    pub(crate) const fn is_messaging(self) -> bool {
        matches!(self, Self::Kafka | Self::RabbitMq | Self::Sqs)
    }

    /// Creates the topic or queue of this name, before any receiver.
    pub(crate) async fn declare(self, name: String) -> Result<Address, Failure> {
        match self {
            Self::Http | Self::Grpc => return Err("nothing waits over HTTP".into()),
            Self::Kafka => kafka::create_topic(&name).await?,
            Self::RabbitMq => rabbitmq::declare(&name).await?,
            Self::Sqs => {
                sqs::create_queue(&sqs::plain(), &name).await?;
            }
        }
        Ok(Address { by: self, name })
    }

    /// Waits until every queue that is declared survives the death of its broker; `name` is for a further queue.
    ///
    /// Kafka and ElasticMQ acknowledge no topic or queue before that.
    pub(crate) async fn persisted(self, name: String) -> Result<(), Failure> {
        match self {
            Self::RabbitMq => rabbitmq::flush_declarations(&name).await,
            _ => Ok(()),
        }
    }

    /// Receives until the test's runtime ends; `name` is for transports that need one.
    pub(crate) async fn listen(self, stop: Stop, name: String) -> Result<Address, Failure> {
        let stop = Arc::new(stop);
        let name = match self {
            Self::Http => web::listen_http(stop).await?,
            Self::Grpc => web::listen_grpc(stop).await?,
            Self::Kafka => kafka::listen(stop, name).await?,
            Self::RabbitMq => rabbitmq::listen(stop, name).await?,
            Self::Sqs => sqs::listen(stop, name).await?,
        };
        Ok(Address { by: self, name })
    }
}

impl Address {
    /// Sends a message just as it is, by the broker's own client and without any propagation.
    pub(crate) async fn put(&self, body: &str, fields: &[(String, MalformedValue)]) -> Result<(), Failure> {
        match self.by {
            Transport::Http | Transport::Grpc => Err("not a broker".into()),
            Transport::Kafka => kafka::put(&self.name, body, fields).await,
            Transport::RabbitMq => rabbitmq::put(&self.name, body, fields).await,
            Transport::Sqs => sqs::put(&self.name, body, fields).await,
        }
    }
}

impl Sender {
    pub(crate) async fn open(service: &Service, to: &Address) -> Result<Self, Failure> {
        Ok(match to.by {
            Transport::Http => Self::Http(web::HttpSender::open(service, to)?),
            Transport::Grpc => Self::Grpc(web::GrpcSender::open(service, to)?),
            Transport::Kafka => Self::Kafka(kafka::KafkaSender::open(service, to)?),
            Transport::RabbitMq => Self::RabbitMq(rabbitmq::RabbitMqSender::open(service, to)),
            Transport::Sqs => Self::Sqs(sqs::SqsSender::open(service, to).await?),
        })
    }

    /// Sends in the context that is current.
    pub(crate) async fn send(&self, body: &str) -> Result<(), Failure> {
        match self {
            Self::Http(sender) => sender.send(body).await,
            Self::Grpc(sender) => sender.send(body).await,
            Self::Kafka(sender) => sender.send(body).await,
            Self::RabbitMq(sender) => sender.send(body).await,
            Self::Sqs(sender) => sender.send(body).await,
        }
    }
}
