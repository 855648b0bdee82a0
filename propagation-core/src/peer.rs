//! Who is on the other side.

use std::{fmt, net::IpAddr};

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
/// Outbound the name is where a message goes: host, `package.Service`, topic, `exchange:routing_key`, queue. Inbound it is
/// where it was received: for HTTP and gRPC there is none (whatever a caller says of itself proves nothing), for
/// messages it is the topic or queue.
///
/// ```
/// use propagation_core::Peer;
///
/// let caller = Peer::http("").with_address([10, 0, 0, 7].into());
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
}

impl<'a> Peer<'a> {
    /// A peer of a transport.
    #[must_use]
    pub const fn new(transport: Transport, name: &'a str) -> Self {
        Self { transport, name, address: None, identity: None }
    }

    /// An HTTP host, without the port; empty for a caller.
    #[must_use]
    pub const fn http(host: &'a str) -> Self {
        Self::new(Transport::Http, host)
    }

    /// A gRPC service (`package.Service`) or host; empty for a caller.
    #[must_use]
    pub const fn grpc(service: &'a str) -> Self {
        Self::new(Transport::Grpc, service)
    }

    /// A Kafka topic.
    #[must_use]
    pub const fn kafka(topic: &'a str) -> Self {
        Self::new(Transport::Kafka, topic)
    }

    /// A RabbitMQ destination: an exchange, or a queue where the default exchange is used or a message is received.
    #[must_use]
    pub const fn amqp(destination: &'a str) -> Self {
        Self::new(Transport::Amqp, destination)
    }

    /// An SQS queue name.
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
    /// As a rule would name it: `kafka:orders`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.as_str(), self.name)
    }
}
