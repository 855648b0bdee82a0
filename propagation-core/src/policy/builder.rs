use super::{
    ExistingOutsideHops, InboundRule, KeyRule, OutboundRule, Policy, PolicyError, Scrub, UnknownProfile,
    peer_pattern::{PeerPattern, Peers},
};
use crate::{TelemetryLimits, Transport, model::origin::Generation};

/// Collects rules; [`build`](Self::build) checks and compiles them.
#[derive(Clone, Debug, Default)]
pub struct PolicyBuilder {
    policy: Policy,
}

impl PolicyBuilder {
    /// Appends an inbound rule. The first rule that matches decides.
    #[must_use]
    pub fn inbound(mut self, rule: InboundRule) -> Self {
        self.policy.inbound.push(rule);
        self
    }

    /// Appends an outbound rule. The first rule that matches decides.
    #[must_use]
    pub fn outbound(mut self, rule: OutboundRule) -> Self {
        self.policy.outbound.push(rule);
        self
    }

    /// Sets the detectors for personal data and secrets, and their action. By default every detector is on and drops the member.
    #[must_use]
    pub fn scrub(mut self, scrub: Scrub) -> Self {
        self.policy.scrub = scrub;
        self
    }

    /// Sets the treatment of context that an outgoing message already carries outside of any hop that a rule has admitted. It
    /// stays by default: an outbox relay depends on it.
    #[must_use]
    pub fn existing_outside_hops(mut self, treatment: ExistingOutsideHops) -> Self {
        self.policy.existing_outside_hops = treatment;
        self
    }

    /// Declares the transport of an adapter outside of this repository, so that rules can name its peers.
    #[must_use]
    pub fn transport(self, transport: Transport) -> Self {
        self.declare(transport.as_str())
    }

    /// Declares a transport by a valid name. The built-in ones need no declaration, and may have one.
    pub(super) fn declare(mut self, transport: &str) -> Self {
        if !self.policy.transports.iter().any(|known| **known == *transport) {
            self.policy.transports.push(transport.into());
        }
        self
    }

    /// Replaces the bounds of texts from outside in telemetry; see [`TelemetryLimits`] for the defaults.
    #[must_use]
    pub fn telemetry_limits(mut self, limits: TelemetryLimits) -> Self {
        self.policy.telemetry = limits.clamped();
        self
    }

    /// Appends the rules of a profile; see [`Policy::profile`].
    ///
    /// # Errors
    ///
    /// Returns an error if the profile name is unknown.
    pub fn profile(mut self, name: &str) -> Result<Self, UnknownProfile> {
        let profile = Policy::profile(name)?;
        self.policy.inbound.extend(profile.inbound);
        self.policy.outbound.extend(profile.outbound);
        Ok(self)
    }

    /// Checks the rules and returns the policy.
    ///
    /// # Errors
    ///
    /// Returns an error for a rule without peers, an invalid peer pattern, a peer of a transport that is neither built in nor
    /// [declared](Self::transport), an empty key, a header or claim that cannot become baggage, or the action `pseudonymize` without a
    /// key.
    pub fn build(self) -> Result<Policy, PolicyError> {
        // Of several policies from clones of one builder, each has rules of its own.
        let policy = Policy { generation: Generation::next(), ..self.policy };
        for rule in &policy.inbound {
            check(rule.name(), rule.peer_patterns(), rule.keys(), &policy)?;
            super::source::check(rule)?;
        }
        for rule in &policy.outbound {
            check(rule.name(), rule.peer_patterns(), rule.keys(), &policy)?;
        }
        policy.scrub.check(None)?;
        Ok(policy.compiled())
    }
}

impl PolicyBuilder {
    /// Checks a rule before it is added, with the scrubbers and transports that were set so far.
    #[cfg(feature = "policy-file")]
    pub(super) fn check(&self, name: &str, peers: &Peers, keys: &[KeyRule]) -> Result<(), PolicyError> {
        check(name, peers, keys, &self.policy)
    }

    /// Checks one peer.
    #[cfg(feature = "policy-file")]
    pub(super) fn check_peer(&self, peer: &PeerPattern) -> Result<(), PolicyError> {
        check_peer(peer, &self.policy)
    }
}

/// Checks one rule of a policy.
fn check(name: &str, peers: &Peers, keys: &[KeyRule], policy: &Policy) -> Result<(), PolicyError> {
    if peers.iter().len() == 0 {
        return Err(PolicyError::NoPeers { rule: name.to_owned() });
    }
    for peer in peers.iter() {
        check_peer(peer, policy).map_err(|error| error.in_rule(name))?;
    }
    if keys.iter().any(|key| key.key.as_str().is_empty()) {
        return Err(PolicyError::EmptyKey { rule: name.to_owned() });
    }
    keys.iter().try_for_each(|key| policy.scrub.check(key.chosen_action()))
}

/// Returns an error with the expected form if a peer pattern is invalid or its transport is undeclared.
fn check_peer(peer: &PeerPattern, policy: &Policy) -> Result<(), PolicyError> {
    if let Some(transport) = peer.foreign_transport() {
        if policy.transports().any(|known| known == transport) {
            return Ok(());
        }
        let (peer, transport) = (peer.describe(), transport.to_owned());
        let declared = policy.transports().map(str::to_owned).collect();
        return Err(PolicyError::UnknownTransport { rule: None, peer, transport, declared });
    }
    let PeerPattern::Unreadable(text) = peer else { return Ok(()) };
    let expected = match text.split_once(':') {
        Some((kind, "")) => format!("no name after the colon; {kind}:* matches every name"),
        Some(("http", range)) if range.contains('/') => "not a range of addresses such as http:10.0.0.0/8".to_owned(),
        Some(("amqp", "queue/")) => "the queue has no name; amqp:queue/* matches every queue".to_owned(),
        Some(("address", _)) => "not an address, nor a range such as address:10.0.0.0/8".to_owned(),
        _ => {
            let transports: Vec<&str> = Transport::BUILT_IN.iter().map(|transport| transport.as_str()).collect();
            format!(
                "expected {}, a declared transport, address or identity, then a colon and a name; or * for every peer",
                transports.join(", ")
            )
        }
    };
    Err(PolicyError::InvalidPeer { rule: None, peer: text.to_string(), expected })
}
