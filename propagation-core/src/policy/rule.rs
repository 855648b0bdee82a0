use std::net::IpAddr;

use super::{glob::Glob, judge::Judge, key_rule::KeyRule, scrubbing::Scrub};
use crate::{Peer, Transport};

/// How far a caller's trace context is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Ids, sampling, tracestate: all of it.
    #[default]
    Trust,
    /// The ids; we decide about sampling ourselves.
    AcceptIds,
    /// A new trace, linked to the caller's.
    RestartAndLink,
    /// A new trace.
    Restart,
    /// As if the caller had sent no trace. Baggage has its rule's own allow-list, as everywhere.
    Ignore,
}

/// What may come in from some peers. Without more than its peers, a rule believes their trace context and lets no baggage in.
///
/// ```
/// use propagation_core::{InboundRule, KeyRule, Policy, Trust};
///
/// let policy = Policy::builder()
///     .inbound(InboundRule::peers(["kafka:*", "address:10.20.0.0/16"]).allow("tenant.id"))
///     .inbound(
///         InboundRule::peers(["identity:partner-*"])
///             .named("partners")
///             .trust(Trust::AcceptIds)
///             .allow(KeyRule::new("plan").values(["free", "pro"])),
///     )
///     .profile("edge")?
///     .build()?;
/// # let _ = policy;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct InboundRule {
    name: Box<str>,
    peers: Peers,
    trust: Trust,
    keys: Vec<KeyRule>,
    report: bool,
}

impl InboundRule {
    /// A rule for peers: `transport:name`, where `*` stands for any run of characters; `address:10.0.0.0/8` for callers from a
    /// range; `identity:…` for callers whose identity the application has established.
    #[must_use]
    pub fn peers<I: IntoIterator<Item = S>, S: AsRef<str>>(peers: I) -> Self {
        let peers = Peers::new(peers);
        Self { name: peers.describe(), peers, trust: Trust::Trust, keys: Vec::new(), report: false }
    }

    /// What reports call the rule; without it, its peers.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// How far the trace context is believed.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Lets a baggage key in.
    #[must_use]
    pub fn allow(mut self, key: impl Into<KeyRule>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Lets every key pass and says what it would have stopped: for the first days of a policy.
    #[must_use]
    pub fn report(mut self) -> Self {
        self.report = true;
        self
    }

    pub(super) fn trust_level(&self) -> Trust {
        self.trust
    }
}

/// Which part of `tracestate` goes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateRule {
    /// All of it.
    #[default]
    All,
    /// None of it.
    None,
    /// The members of these keys.
    Keys(Vec<String>),
}

/// What some peers may learn. Without more than its peers, a rule lets them have trace context and tracestate, and no baggage.
///
/// ```
/// use propagation_core::{OutboundRule, Policy, StateRule};
///
/// let policy = Policy::builder()
///     .outbound(OutboundRule::peers(["http:*.internal", "kafka:orders"]).allow("tenant.id").allow("feature.*"))
///     .outbound(OutboundRule::peers(["http:api.example.com"]).trace_context(false))
///     .outbound(OutboundRule::peers(["*"]).tracestate(StateRule::None))
///     .build()?;
/// # let _ = policy;
/// # Ok::<(), propagation_core::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OutboundRule {
    name: Box<str>,
    peers: Peers,
    trace_context: bool,
    state: StateRule,
    keys: Vec<KeyRule>,
    report: bool,
}

impl OutboundRule {
    /// A rule for peers: `transport:name`, where `*` stands for any run of characters.
    #[must_use]
    pub fn peers<I: IntoIterator<Item = S>, S: AsRef<str>>(peers: I) -> Self {
        let peers = Peers::new(peers);
        Self {
            name: peers.describe(),
            peers,
            trace_context: true,
            state: StateRule::All,
            keys: Vec::new(),
            report: false,
        }
    }

    /// What reports call the rule; without it, its peers.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Whether they get the trace context at all.
    #[must_use]
    pub fn trace_context(mut self, released: bool) -> Self {
        self.trace_context = released;
        self
    }

    /// Which members of tracestate they get.
    #[must_use]
    pub fn tracestate(mut self, state: StateRule) -> Self {
        self.state = state;
        self
    }

    /// Lets a baggage key out.
    #[must_use]
    pub fn allow(mut self, key: impl Into<KeyRule>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Lets every key pass and says what it would have stopped: for the first days of a policy.
    #[must_use]
    pub fn report(mut self) -> Self {
        self.report = true;
        self
    }

    pub(super) fn releases_trace(&self) -> bool {
        self.trace_context
    }

    pub(super) fn state(&self) -> &StateRule {
        &self.state
    }
}

macro_rules! shared {
    ($rule:ty) => {
        impl $rule {
            pub(super) fn matches(&self, peer: &Peer<'_>) -> bool {
                self.peers.matches(peer)
            }

            pub(super) fn name(&self) -> &str {
                &self.name
            }

            pub(super) fn peer_patterns(&self) -> &Peers {
                &self.peers
            }

            pub(super) fn keys(&self) -> &[KeyRule] {
                &self.keys
            }

            pub(super) fn judge<'a>(&'a self, scrub: Option<&'a Scrub>) -> Judge<'a> {
                Judge { rule: &self.name, keys: &self.keys, report: self.report, scrub }
            }
        }
    };
}

shared!(InboundRule);
shared!(OutboundRule);

/// The peers of a rule.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    patterns: Vec<PeerPattern>,
    /// Whether one of them is `*`: then none need be tried.
    everyone: bool,
}

#[derive(Clone, Debug)]
pub(super) enum PeerPattern {
    Name {
        /// `None` for every transport.
        transport: Option<Transport>,
        name: Glob,
    },
    Identity(Glob),
    Address {
        network: IpAddr,
        bits: u8,
    },
    /// Reported when the policy is built.
    Unreadable(Box<str>),
}

impl Peers {
    fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(peers: I) -> Self {
        let patterns: Vec<_> = peers.into_iter().map(|peer| PeerPattern::new(peer.as_ref())).collect();
        Self { everyone: patterns.iter().any(PeerPattern::is_everyone), patterns }
    }

    fn matches(&self, peer: &Peer<'_>) -> bool {
        self.everyone || self.any_matches(peer)
    }

    /// Kept apart: a rule for everyone must not pay for it.
    #[inline(never)]
    fn any_matches(&self, peer: &Peer<'_>) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(peer))
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &PeerPattern> {
        self.patterns.iter()
    }

    fn describe(&self) -> Box<str> {
        self.patterns.iter().map(PeerPattern::describe).collect::<Vec<_>>().join(" ").into()
    }
}

impl PeerPattern {
    fn new(text: &str) -> Self {
        let unreadable = || Self::Unreadable(text.into());
        match text.split_once(':') {
            _ if text == "*" => Self::Name { transport: None, name: Glob::new("*") },
            Some((_, "")) | None => unreadable(),
            Some(("identity", identity)) => Self::Identity(Glob::new(identity)),
            Some(("address", range)) => Self::address(range).unwrap_or_else(unreadable),
            Some(("*", name)) => Self::Name { transport: None, name: Glob::new(name) },
            Some((transport, name)) => match Transport::ALL.iter().find(|known| known.as_str() == transport) {
                Some(transport) => Self::Name { transport: Some(*transport), name: Glob::new(name) },
                None => unreadable(),
            },
        }
    }

    fn address(range: &str) -> Option<Self> {
        let (network, bits) = range.split_once('/').map_or((range, None), |(network, bits)| (network, Some(bits)));
        let network: IpAddr = network.parse().ok()?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            // A sign is no digit.
            Some(bits) => bits.parse().ok().filter(|_| bits.bytes().all(|byte| byte.is_ascii_digit()))?,
        };
        // Callers are compared in their plainest form: one of IPv4 in IPv6's clothes is one of IPv4.
        let network_of_4 = network.to_canonical();
        let (network, bits) =
            if network_of_4 == network { (network, bits) } else { (network_of_4, u8::checked_sub(bits, 96)?) };
        let width = if network.is_ipv4() { 32 } else { 128 };
        (bits <= width).then_some(Self::Address { network, bits })
    }

    fn matches(&self, peer: &Peer<'_>) -> bool {
        match self {
            Self::Name { transport, name } => {
                transport.is_none_or(|transport| transport == peer.transport) && name.matches(peer.name)
            }
            Self::Identity(identity) => peer.identity.is_some_and(|found| identity.matches(found)),
            Self::Address { network, bits } => peer.address.is_some_and(|address| within(address, *network, *bits)),
            Self::Unreadable(_) => false,
        }
    }

    /// Whether every peer of `other` is one of this pattern, too. Says no where it can't tell.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name { transport, name }, Self::Name { transport: other_transport, name: other_name }) => {
                (transport.is_none() || transport == other_transport) && name.covers(other_name)
            }
            (Self::Identity(identity), Self::Identity(other)) => identity.covers(other),
            (Self::Address { network, bits }, Self::Address { network: other, bits: other_bits }) => {
                bits <= other_bits && within(*other, *network, *bits)
            }
            // Every caller has a transport, whatever its address or identity.
            (Self::Name { transport, name }, Self::Identity(_) | Self::Address { .. }) => {
                transport.is_none() && name.is_any()
            }
            _ => false,
        }
    }

    fn is_everyone(&self) -> bool {
        matches!(self, Self::Name { transport: None, name } if name.is_any())
    }

    /// Whether it stands for every HTTP host.
    pub(super) fn is_any_host(&self) -> bool {
        matches!(self, Self::Name { transport: None | Some(Transport::Http), name } if name.is_any())
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Name { transport: None, name } if name.is_any() => "*".to_owned(),
            Self::Name { transport: None, name } => format!("*:{}", name.as_str()),
            Self::Name { transport: Some(transport), name } => format!("{}:{}", transport.as_str(), name.as_str()),
            Self::Identity(identity) => format!("identity:{}", identity.as_str()),
            Self::Address { network, bits } => format!("address:{network}/{bits}"),
            Self::Unreadable(text) => text.to_string(),
        }
    }
}

/// Kept apart from the loop over patterns: few are addresses, and none of the others should pay for them.
#[inline(never)]
fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let shift = 32 - u32::from(bits.min(32));
            u32::from(address).checked_shr(shift) == u32::from(network).checked_shr(shift)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let shift = 128 - u32::from(bits.min(128));
            u128::from(address).checked_shr(shift) == u128::from(network).checked_shr(shift)
        }
        _ => false,
    }
}
