//! Transports, and the peers that policy rules match.

use std::{fmt, net::IpAddr};

use crate::EscapedText;

/// A transport, by the name that policy rules use.
///
/// The constants are the transports of the adapters in this repository. An adapter of another transport brings its own, and a policy
/// with rules for it declares it: `transports = ["nats"]` in a file, or
/// [`PolicyBuilder::transport`](crate::policy::PolicyBuilder::transport). Without a declaration such a rule is an error, so that a misspelt
/// `kafak:orders` never goes unnoticed; and a peer of an undeclared transport matches only rules for every transport (`*`, `*:name`).
///
/// ```
/// use propagation_core::{OutboundRule, Peer, Policy, Transport};
///
/// const NATS: Transport = Transport::from_static("nats");
///
/// let rule = || OutboundRule::peers(["nats:orders.*"]).allow("tenant.id");
/// let policy = Policy::builder().transport(NATS).outbound(rule()).build()?;
/// assert!(Policy::builder().outbound(rule()).build().is_err());
/// let peer = Peer::new(NATS, "orders.created");
/// # let _ = (policy, peer);
/// # Ok::<(), propagation_core::policy::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transport(&'static str);

impl Transport {
    /// HTTP, any version.
    pub const HTTP: Self = Self("http");
    /// gRPC.
    pub const GRPC: Self = Self("grpc");
    /// Apache Kafka.
    pub const KAFKA: Self = Self("kafka");
    /// AMQP 0-9-1: RabbitMQ.
    pub const AMQP: Self = Self("amqp");
    /// Amazon SQS.
    pub const SQS: Self = Self("sqs");
    /// Another process on this machine, or this one later: environment variables, outbox tables, jobs.
    pub const PROCESS: Self = Self("process");

    /// The transports that every policy knows.
    pub const BUILT_IN: &[Self] = &[Self::HTTP, Self::GRPC, Self::KAFKA, Self::AMQP, Self::SQS, Self::PROCESS];

    /// The maximum length of a name in bytes.
    pub const MAX_BYTES: usize = 32;

    /// Creates the transport of an adapter outside of this repository.
    ///
    /// # Panics
    ///
    /// Panics if the name is invalid: it is a lower-case ASCII letter, then lower-case letters, digits, `-` and `_`, at most
    /// [`MAX_BYTES`](Self::MAX_BYTES), and not `address` or `identity`, which have a meaning of their own in rules. In a `const`, that is
    /// an error of the compiler.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(
            is_transport_name(name),
            "invalid transport name: a lower-case letter, then letters, digits, `-` and `_`"
        );
        Self(name)
    }

    /// Returns the name in policy rules: `http`, `grpc`, `kafka`, `amqp`, `sqs`, `process`, or that of another adapter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// Returns true if rules can name such a transport.
pub(crate) const fn is_transport_name(name: &str) -> bool {
    const RESERVED: [&[u8]; 2] = [b"address", b"identity"];
    let mut rest = name.as_bytes();
    if rest.len() > Transport::MAX_BYTES || equals(rest, RESERVED[0]) || equals(rest, RESERVED[1]) {
        return false;
    }
    let Some((b'a'..=b'z', tail)) = rest.split_first() else { return false };
    rest = tail;
    while let Some((byte, tail)) = rest.split_first() {
        if !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') {
            return false;
        }
        rest = tail;
    }
    true
}

/// Compares bytes in a `const`.
const fn equals(mut one: &[u8], mut other: &[u8]) -> bool {
    while let (Some((a, one_tail)), Some((b, other_tail))) = (one.split_first(), other.split_first()) {
        if *a != *b {
            return false;
        }
        (one, other) = (one_tail, other_tail);
    }
    one.is_empty() && other.is_empty()
}

/// The other side of a hop, as policy rules match it: a transport and a name, and inbound also an address or an identity.
///
/// Outbound the name is the destination: host, `package.Service`, topic, exchange, queue. Inbound HTTP and gRPC callers have no name
/// (a name that a caller claims proves nothing); for messages it is the topic or queue that they were received from.
///
/// ```
/// use propagation_core::{Peer, Transport};
///
/// let caller = Peer::caller(Transport::HTTP).with_address([10, 0, 0, 7].into());
/// assert_eq!(Peer::kafka("orders").to_string(), "kafka:orders");
/// # let _ = caller;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer<'a> {
    /// The transport.
    pub transport: Transport,
    /// The name; empty for a caller, and for a destination whose name is unknown.
    pub name: &'a str,
    /// The address of the connection, or the one that a trusted proxy reports.
    pub address: Option<IpAddr>,
    /// The identity that the application has established: the name of a client certificate, the owner of an API key.
    pub identity: Option<&'a str>,
    /// Whether an AMQP name is that of a queue that is reached through the default exchange.
    pub(crate) is_queue: bool,
}

impl<'a> Peer<'a> {
    /// Creates a peer of a transport.
    #[must_use]
    pub const fn new(transport: Transport, name: &'a str) -> Self {
        Self { transport, name, address: None, identity: None, is_queue: false }
    }

    /// Creates an inbound caller of a transport. It has no name: rules match its address or identity.
    #[must_use]
    pub const fn caller(transport: Transport) -> Self {
        Self::new(transport, "")
    }

    /// Creates a peer for an HTTP host, without the port.
    #[must_use]
    pub const fn http(host: &'a str) -> Self {
        Self::new(Transport::HTTP, host)
    }

    /// Creates a peer for a gRPC service (`package.Service`) or host.
    #[must_use]
    pub const fn grpc(service: &'a str) -> Self {
        Self::new(Transport::GRPC, service)
    }

    /// Creates a peer for a Kafka topic.
    #[must_use]
    pub const fn kafka(topic: &'a str) -> Self {
        Self::new(Transport::KAFKA, topic)
    }

    /// Creates a peer for a RabbitMQ exchange that a message is published to, or the queue that it was received from.
    #[must_use]
    pub const fn amqp(name: &'a str) -> Self {
        Self::new(Transport::AMQP, name)
    }

    /// Creates a peer for a RabbitMQ queue that a message is published to, through the default exchange.
    ///
    /// Rules name it `amqp:queue/NAME`: a publisher chooses such a name with `reply_to`, and a rule for the exchange of that name must not
    /// cover it.
    #[must_use]
    pub const fn amqp_queue(name: &'a str) -> Self {
        let mut peer = Self::new(Transport::AMQP, name);
        peer.is_queue = true;
        peer
    }

    /// Creates a peer for an SQS queue, by its name alone: queues of this name in other accounts and regions are the same peer.
    #[must_use]
    pub const fn sqs(queue: &'a str) -> Self {
        Self::new(Transport::SQS, queue)
    }

    /// Creates a peer for a program, table or job.
    #[must_use]
    pub const fn process(name: &'a str) -> Self {
        Self::new(Transport::PROCESS, name)
    }

    /// Sets the address of the connection.
    #[must_use]
    pub const fn with_address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets an identity that the application has established.
    #[must_use]
    pub const fn with_identity(mut self, identity: &'a str) -> Self {
        self.identity = Some(identity);
        self
    }
}

impl fmt::Display for Peer<'_> {
    /// Writes the peer as a rule names it: `kafka:orders`. The name is escaped and cut, because a caller may have chosen it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = if self.is_queue { "queue/" } else { "" };
        write!(f, "{}:{queue}{}", self.transport, EscapedText::new(self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transport_names_are_checked() {
        for name in ["nats", "n", "aws-sns", "mqtt5", "a_b", &"a".repeat(32)] {
            assert!(is_transport_name(name), "{name}");
        }
        for name in ["", "Nats", "5nats", "na ts", "nats:", "*", "nä", "-a", "address", "identity", &"a".repeat(33)] {
            assert!(!is_transport_name(name), "{name}");
        }
        assert!(Transport::BUILT_IN.iter().all(|transport| is_transport_name(transport.as_str())));
    }
}
