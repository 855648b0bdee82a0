//! The policy: trust in callers, and the context that each peer may receive. Evaluation only; a policy never sees a carrier.

mod admit;
mod builder;
mod compare;
mod coverage;
mod error;
mod evaluate;
mod explain;
#[cfg(feature = "policy-file")]
pub(crate) mod file;
mod forward;
mod host;
mod index;
mod key_rule;
mod lint;
mod loosening;
mod naming;
mod pattern;
mod peer_pattern;
mod profile;
mod pseudonym;
mod release;
mod rule;
mod scrubbing;
mod sink;
mod source;
mod telemetry;

pub use admit::Admission;
pub use builder::PolicyBuilder;
pub use error::PolicyError;
pub use explain::{Decision, ExplainedField, Explanation};
#[cfg(feature = "policy-file")]
pub use file::{PolicyFileError, PolicyFileErrorKind, PolicyFileWarning};
pub use forward::ExistingOutsideHops;
pub(crate) use forward::Forwarded;
pub use key_rule::KeyRule;
pub use lint::{PolicyWarning, PolicyWarningKind, RuleLocation, RulePart};
pub use loosening::Loosening;
pub use naming::PeerNaming;
pub use profile::UnknownProfile;
pub use pseudonym::Pseudonymizer;
pub use release::Release;
pub use rule::{InboundRule, OutboundRule, TraceStateRule, TraceTrust};
pub use scrubbing::{Scrub, ScrubAction};
pub use sink::PolicySink;
pub use source::BaggageSource;
pub(crate) use source::SourceRule;

use self::index::PeerIndex;
use crate::{Direction, Peer, TelemetryLimits, model::origin::Generation};

/// Compiled rules for inbound and outbound context.
///
/// Rules are tried in order; the first one that matches the peer decides. A peer that no rule matches gets the defaults:
/// inbound its trace context is trusted and its baggage is not; outbound it gets trace context and no baggage.
///
/// `Policy::default()` is those defaults alone. A service that faces the internet chooses [`Policy::edge`].
///
/// ```
/// use propagation_core::{InboundRule, OutboundRule, Policy};
///
/// let policy = Policy::builder()
///     .inbound(InboundRule::peers(["kafka:*"]).allow("tenant.id"))
///     .outbound(OutboundRule::peers(["http:*.internal", "kafka:orders"]).allow("tenant.id").allow("feature.*"))
///     .build()?;
/// # let _ = policy;
/// # Ok::<(), propagation_core::policy::PolicyError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Policy {
    inbound: Vec<InboundRule>,
    outbound: Vec<OutboundRule>,
    inbound_index: PeerIndex,
    outbound_index: PeerIndex,
    scrub: Scrub,
    existing_outside_hops: ExistingOutsideHops,
    generation: Generation,
    /// Whether a rule copies baggage to every span.
    every_span: bool,
    /// Whether a rule takes values of the application's own as baggage.
    has_sources: bool,
    telemetry: TelemetryLimits,
    /// The declared transports.
    transports: Vec<Box<str>>,
}

impl Policy {
    /// Returns a builder for custom rules.
    #[must_use]
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// Returns the names of the transports that were declared, beside those that are [built in](crate::Transport::BUILT_IN).
    pub fn transports(&self) -> impl Iterator<Item = &str> {
        self.transports.iter().map(|transport| &**transport)
    }

    /// Returns the peers that outbound rules are for, as rules name them, in order.
    pub fn outbound_peers(&self) -> impl Iterator<Item = String> {
        self.outbound.iter().flat_map(|rule| rule.peer_patterns().iter().map(peer_pattern::PeerPattern::describe))
    }

    /// Builds the look-ups of rules and keys. Must be called after the last change of a rule.
    fn compiled(mut self) -> Self {
        self.inbound.iter_mut().for_each(InboundRule::compile);
        self.outbound.iter_mut().for_each(OutboundRule::compile);
        self.every_span = self.inbound.iter().flat_map(InboundRule::keys).any(|key| key.every_span);
        self.has_sources = self.inbound.iter().any(|rule| !rule.sources().is_empty());
        self.inbound_index = PeerIndex::new(Direction::Inbound, self.inbound.iter().map(InboundRule::peer_patterns));
        self.outbound_index =
            PeerIndex::new(Direction::Outbound, self.outbound.iter().map(OutboundRule::peer_patterns));
        self
    }

    /// Returns the identity of the policy within the process; clones share it.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    fn inbound_rule(&self, peer: &Peer<'_>) -> Option<&InboundRule> {
        self.inbound_rule_at(peer).map(|(_, rule)| rule)
    }

    /// Returns the rule for a peer, with its index.
    fn inbound_rule_at(&self, peer: &Peer<'_>) -> Option<(usize, &InboundRule)> {
        let place = self.inbound_index.find(Direction::Inbound, peer)?;
        self.inbound.get(place).map(|rule| (place, rule))
    }

    fn outbound_rule(&self, peer: &Peer<'_>) -> Option<&OutboundRule> {
        self.outbound.get(self.outbound_index.find(Direction::Outbound, peer)?)
    }
}
