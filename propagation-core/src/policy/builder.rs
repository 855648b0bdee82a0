use std::fmt;

use super::{InboundRule, KeyRule, OutboundRule, Policy, rule::PeerPattern, rule::Peers};

/// Collects rules; [`build`](Self::build) checks and compiles them.
#[derive(Clone, Debug, Default)]
pub struct PolicyBuilder {
    policy: Policy,
}

impl PolicyBuilder {
    /// Adds an inbound rule behind those before: the first that matches decides.
    #[must_use]
    pub fn inbound(mut self, rule: InboundRule) -> Self {
        self.policy.inbound.push(rule);
        self
    }

    /// Adds an outbound rule behind those before: the first that matches decides.
    #[must_use]
    pub fn outbound(mut self, rule: OutboundRule) -> Self {
        self.policy.outbound.push(rule);
        self
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// Refuses a rule without peers, a peer pattern that can't be read, an empty key.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let inbound = self.policy.inbound.iter().map(InboundRule::checked_parts);
        let outbound = self.policy.outbound.iter().map(OutboundRule::checked_parts);
        for (name, peers, keys) in inbound.chain(outbound) {
            check(name, peers, keys)?;
        }
        Ok(self.policy)
    }
}

fn check(name: &str, peers: &Peers, keys: &[KeyRule]) -> Result<(), PolicyError> {
    if peers.iter().len() == 0 {
        return Err(PolicyError(format!("rule {name:?} has no peers")));
    }
    for peer in peers.iter() {
        if let PeerPattern::Unreadable(text) = peer {
            return Err(PolicyError(format!(
                "rule {name:?}: {text:?} is not a peer (http, grpc, kafka, amqp, sqs, process, address or identity, then a colon and a name)"
            )));
        }
    }
    if keys.iter().any(|key| key.key.as_str().is_empty()) {
        return Err(PolicyError(format!("rule {name:?} allows an empty key")));
    }
    Ok(())
}

/// A policy could not be built; the text says which rule and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError(String);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PolicyError {}
