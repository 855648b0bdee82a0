//! The peers that the service's own outbound rules name. Telemetry may name these, too.

use super::Policy;
use crate::Peer;

/// How outbound rules name a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerNaming {
    /// By its own name.
    Exact,
    /// By a pattern or a range.
    Pattern,
}

impl Policy {
    /// Returns how the outbound rules name a peer; `None` if none of them does, patterns for every name (`*`, `http:*`) apart.
    ///
    /// A peer that a rule names is one that the service knows, unlike a host that a caller has chosen.
    ///
    /// ```
    /// use propagation_core::{OutboundRule, Peer, Policy, policy::PeerNaming};
    ///
    /// let rules = OutboundRule::peers(["http:api.example.com", "http:*.internal", "*"]);
    /// let policy = Policy::builder().outbound(rules).build()?;
    /// assert_eq!(policy.peer_naming(&Peer::http("api.example.com")), Some(PeerNaming::Exact));
    /// assert_eq!(policy.peer_naming(&Peer::http("stock.internal")), Some(PeerNaming::Pattern));
    /// assert_eq!(policy.peer_naming(&Peer::http("hooks.example.org")), None);
    /// # Ok::<(), propagation_core::policy::PolicyError>(())
    /// ```
    #[must_use]
    pub fn peer_naming(&self, peer: &Peer<'_>) -> Option<PeerNaming> {
        self.outbound_index.naming(peer)
    }
}
