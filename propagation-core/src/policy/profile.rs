//! Ready-made policies.

use std::fmt;

use super::{InboundRule, KeyRule, OutboundRule, Policy, TraceStateRule, TraceTrust};
use crate::EscapedText;

impl Policy {
    /// Returns a policy for services that untrusted callers reach: over HTTP and gRPC every trace is restarted and linked to the
    /// caller's, and inbound baggage is dropped. Outbound rules are the default.
    #[must_use]
    pub fn edge() -> Self {
        Self { inbound: vec![restart("edge")], ..Self::default() }.compiled()
    }

    /// Returns a policy for services on a network of their own: callers are trusted, and these keys travel to hosts under `.internal`,
    /// `.local` (and so `.cluster.local`) and `.svc`, to this machine (`localhost`, `127.0.0.0/8`, `::1`), to hosts without a dot
    /// (`orders`, as in Compose and Kubernetes), to gRPC services, topics, exchanges, queues and processes.
    ///
    /// Names are compared as text; nothing is resolved.
    #[must_use]
    pub fn internal<I: IntoIterator<Item = K>, K: Into<KeyRule>>(keys: I) -> Self {
        let inbound = InboundRule::peers(["*"]).profile("internal");
        let outbound = OutboundRule::peers(INTERNAL_PEERS).profile("internal");
        let (inbound, outbound) = keys
            .into_iter()
            .map(Into::into)
            .fold((inbound, outbound), |(inbound, outbound), key| (inbound.allow(key.clone()), outbound.allow(key)));
        Self { inbound: vec![inbound], outbound: vec![outbound], ..Self::default() }.compiled()
    }

    /// Returns a policy for services that talk to third-party systems: inbound as [`edge`](Self::edge); outbound, every peer
    /// receives the ids, without tracestate and baggage.
    #[must_use]
    pub fn third_party() -> Self {
        let outbound = OutboundRule::peers(["*"]).tracestate(TraceStateRule::None).profile("third-party");
        Self { inbound: vec![restart("third-party")], outbound: vec![outbound], ..Self::default() }.compiled()
    }

    /// Returns a profile by its name: `internal` (with no keys), `edge`, `third-party`.
    ///
    /// # Errors
    ///
    /// Returns an error if the profile name is unknown.
    pub fn profile(name: &str) -> Result<Self, UnknownProfile> {
        match name {
            "internal" => Ok(Self::internal([""; 0])),
            "edge" => Ok(Self::edge()),
            "third-party" => Ok(Self::third_party()),
            _ => Err(UnknownProfile(name.into())),
        }
    }
}

/// Names that can't belong to a host outside of the network, and all destinations of the other transports.
const INTERNAL_PEERS: [&str; 13] = [
    "http:*.internal",
    "http:*.local",
    "http:*.svc",
    "http:localhost",
    "http:*.localhost",
    "http:127.0.0.0/8",
    "http:::1",
    "http:<single-label>",
    "grpc:*",
    "kafka:*",
    "amqp:*",
    "sqs:*",
    "process:*",
];

fn restart(name: &'static str) -> InboundRule {
    InboundRule::peers(["http:*", "grpc:*"]).trust(TraceTrust::RestartWithLink).profile(name)
}

/// The profile name is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProfile(Box<str>);

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown profile {:?}; expected one of: internal, edge, third-party", EscapedText::new(&self.0))
    }
}

impl std::error::Error for UnknownProfile {}
