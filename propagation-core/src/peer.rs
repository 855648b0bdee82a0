//! Who is on the other side.

use std::{fmt, net::IpAddr};

use crate::EscapedText;

/// The transports that policy rules can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// HTTP, any version.
    Http,
    /// gRPC.
    Grpc,
    /// Apache Kafka.
    Kafka,
    /// AMQP 0-9-1: RabbitMQ.
    Amqp,
    /// Amazon SQS.
    Sqs,
    /// Another process on this machine, or this one later: environment variables, outbox tables, jobs.
    Process,
}

impl Transport {
    /// Every transport.
    pub const ALL: &[Self] = &[Self::Http, Self::Grpc, Self::Kafka, Self::Amqp, Self::Sqs, Self::Process];

    /// The name in policy rules: `http`, `grpc`, `kafka`, `amqp`, `sqs`, `process`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Kafka => "kafka",
            Self::Amqp => "amqp",
            Self::Sqs => "sqs",
            Self::Process => "process",
        }
    }
}

/// The other side of a hop, as policy rules match it: a transport and a name, and inbound also an address or an identity.
///
/// Outbound the name is the destination: host, `package.Service`, topic, exchange, queue. Inbound HTTP and gRPC callers have no name
/// (a name that a caller claims proves nothing); for messages it is the topic or queue that they were received from.
///
/// ```
/// use propagation_core::{Peer, Transport};
///
/// let caller = Peer::caller(Transport::Http).with_address([10, 0, 0, 7].into());
/// assert_eq!(Peer::kafka("orders").to_string(), "kafka:orders");
/// # let _ = caller;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer<'a> {
    /// How it is reached.
    pub transport: Transport,
    /// What it is called; empty if that is not known.
    pub name: &'a str,
    /// The address the connection comes from, or that a trusted proxy vouches for.
    pub address: Option<IpAddr>,
    /// Who it is, as the application has established it: a client certificate's name, an API key's owner.
    pub identity: Option<&'a str>,
    /// Whether an AMQP name is that of a queue that is reached through the default exchange.
    pub(crate) is_queue: bool,
}

impl<'a> Peer<'a> {
    /// A peer of a transport.
    #[must_use]
    pub const fn new(transport: Transport, name: &'a str) -> Self {
        Self { transport, name, address: None, identity: None, is_queue: false }
    }

    /// An inbound caller of a transport, which has no name: rules match its address or identity.
    #[must_use]
    pub const fn caller(transport: Transport) -> Self {
        Self::new(transport, "")
    }

    /// An HTTP host, without the port.
    #[must_use]
    pub const fn http(host: &'a str) -> Self {
        Self::new(Transport::Http, host)
    }

    /// A gRPC service (`package.Service`) or host; empty for an unknown host.
    #[must_use]
    pub const fn grpc(service: &'a str) -> Self {
        Self::new(Transport::Grpc, service)
    }

    /// A Kafka topic.
    #[must_use]
    pub const fn kafka(topic: &'a str) -> Self {
        Self::new(Transport::Kafka, topic)
    }

    /// A RabbitMQ exchange that a message is published to, or the queue that it was received from.
    #[must_use]
    pub const fn amqp(name: &'a str) -> Self {
        Self::new(Transport::Amqp, name)
    }

    /// A RabbitMQ queue that a message is published to, through the default exchange. Rules name it `amqp:queue/NAME`: a publisher
    /// chooses such a name with `reply_to`, and a rule for the exchange of that name must not cover it.
    #[must_use]
    pub const fn amqp_queue(name: &'a str) -> Self {
        let mut peer = Self::new(Transport::Amqp, name);
        peer.is_queue = true;
        peer
    }

    /// An SQS queue, by its name alone: queues of this name in other accounts and regions are the same peer.
    #[must_use]
    pub const fn sqs(queue: &'a str) -> Self {
        Self::new(Transport::Sqs, queue)
    }

    /// A program, table or job.
    #[must_use]
    pub const fn process(name: &'a str) -> Self {
        Self::new(Transport::Process, name)
    }

    /// The same, with the address of the connection.
    #[must_use]
    pub const fn with_address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// The same, with an identity that the application has established.
    #[must_use]
    pub const fn with_identity(mut self, identity: &'a str) -> Self {
        self.identity = Some(identity);
        self
    }
}

impl fmt::Display for Peer<'_> {
    /// As a rule would name it: `kafka:orders`. The name is escaped and cut: a caller may have chosen it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = if self.is_queue { "queue/" } else { "" };
        write!(f, "{}:{queue}{}", self.transport.as_str(), EscapedText::new(self.name))
    }
}
