//! The peers that a rule is for.

use std::net::IpAddr;

use super::host;
use crate::{Direction, Glob, Peer, Transport, peer::is_transport_name};

/// The peers of a rule.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    patterns: Vec<PeerPattern>,
}

/// The transport that a rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RuleTransport {
    BuiltIn(Transport),
    /// The transport of an adapter outside of this repository: an error unless the policy declares it.
    Foreign(Box<str>),
}

pub(super) const HTTP: RuleTransport = RuleTransport::BuiltIn(Transport::HTTP);

impl RuleTransport {
    /// Returns `None` for a word that can't name a transport.
    fn new(name: &str) -> Option<Self> {
        match Transport::BUILT_IN.iter().find(|known| known.as_str() == name) {
            Some(known) => Some(Self::BuiltIn(*known)),
            None => is_transport_name(name).then(|| Self::Foreign(name.into())),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::BuiltIn(transport) => transport.as_str(),
            Self::Foreign(name) => name,
        }
    }

    pub(super) fn is(&self, transport: Transport) -> bool {
        match self {
            Self::BuiltIn(known) => *known == transport,
            Self::Foreign(name) => **name == *transport.as_str(),
        }
    }
}

/// One peer of a rule, as it is written: `transport:name`, `identity:…`, `address:…`.
#[derive(Clone, Debug)]
pub(super) enum PeerPattern {
    Name {
        /// `None` for every transport.
        transport: Option<RuleTransport>,
        name: Glob,
        /// The canonical form of `name`, for the hosts among the peers of every transport.
        host: Option<Box<Glob>>,
    },
    /// `amqp:queue/NAME`: a queue that is reached through the default exchange.
    Queue(Glob),
    /// `http:10.0.0.0/8`: hosts that are written as an address of a range.
    HostRange {
        network: IpAddr,
        bits: u8,
    },
    /// `http:<single-label>`: hosts without a dot.
    SingleLabel,
    Identity(Glob),
    Address {
        network: IpAddr,
        bits: u8,
    },
    /// Reported when the policy is built.
    Unreadable(Box<str>),
}

/// The prefix of a queue's name in AMQP rules. A caller that names a queue can't reach a rule that names an exchange.
const QUEUE: &str = "queue/";

/// The name of [`PeerPattern::SingleLabel`] in rules: `<` can't be part of a host.
const SINGLE_LABEL: &str = "<single-label>";

impl Peers {
    pub(super) fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(peers: I) -> Self {
        Self { patterns: peers.into_iter().map(|peer| PeerPattern::new(peer.as_ref())).collect() }
    }

    /// Returns true if a pattern matches: the definition that the index of a policy is tested against.
    #[cfg(test)]
    pub(super) fn matches(&self, direction: Direction, peer: &Peer<'_>) -> bool {
        let canonical = host::canonical(peer.name);
        let peer = &if peer.transport == Transport::HTTP { Peer { name: &canonical, ..*peer } } else { *peer };
        self.patterns.iter().any(|pattern| pattern.matches(direction, peer))
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &PeerPattern> {
        self.patterns.iter()
    }

    pub(super) fn describe(&self) -> String {
        self.patterns.iter().map(PeerPattern::describe).collect::<Vec<_>>().join(" ")
    }
}

impl PeerPattern {
    pub(super) fn new(text: &str) -> Self {
        let unreadable = || Self::Unreadable(text.into());
        match text.split_once(':') {
            _ if text == "*" => Self::named(None, "*"),
            Some((_, "")) | None => unreadable(),
            Some(("identity", identity)) => Self::Identity(Glob::new(identity)),
            Some(("address", range)) => {
                range_of(range).map_or_else(unreadable, |(network, bits)| Self::Address { network, bits })
            }
            Some(("http", SINGLE_LABEL)) => Self::SingleLabel,
            Some(("http", range)) if starts_with_an_address(range) => {
                range_of(range).map_or_else(unreadable, |(network, bits)| Self::HostRange { network, bits })
            }
            Some(("amqp", name)) if name.starts_with(QUEUE) => match name.strip_prefix(QUEUE) {
                Some(queue) if !queue.is_empty() => Self::Queue(Glob::new(queue)),
                _ => unreadable(),
            },
            Some(("*", name)) => Self::named(None, name),
            Some((transport, name)) => match RuleTransport::new(transport) {
                Some(transport) => Self::named(Some(transport), name),
                None => unreadable(),
            },
        }
    }

    fn named(transport: Option<RuleTransport>, name: &str) -> Self {
        let host = host::canonical(name);
        match transport {
            Some(HTTP) => Self::Name { transport, name: Glob::new(&host), host: None },
            None if host != name => {
                Self::Name { transport, name: Glob::new(name), host: Some(Box::new(Glob::new(&host))) }
            }
            _ => Self::Name { transport, name: Glob::new(name), host: None },
        }
    }

    /// Returns true if the pattern matches a peer whose host is [canonical](host::canonical).
    pub(super) fn matches(&self, direction: Direction, peer: &Peer<'_>) -> bool {
        match self {
            Self::Name { transport, name, host } => {
                transport.as_ref().is_none_or(|transport| transport.is(peer.transport))
                    && match host {
                        Some(host) if peer.transport == Transport::HTTP => host.matches(peer.name),
                        _ => name.matches(peer.name),
                    }
                    // Every inbound AMQP peer is a queue; outbound a name is an exchange's.
                    && (!peer.is_queue || direction == Direction::Inbound || name.is_any())
            }
            Self::Queue(name) => {
                peer.transport == Transport::AMQP
                    && (peer.is_queue || direction == Direction::Inbound)
                    && name.matches(peer.name)
            }
            Self::HostRange { network, bits } => {
                peer.transport == Transport::HTTP
                    && peer.name.parse().is_ok_and(|address| within(address, *network, *bits))
            }
            Self::SingleLabel => peer.transport == Transport::HTTP && host::is_single_label(peer.name),
            // An empty or blank identity is the absence of one.
            Self::Identity(identity) => {
                peer.identity.is_some_and(|found| !found.trim().is_empty() && identity.matches(found))
            }
            Self::Address { network, bits } => peer.address.is_some_and(|address| within(address, *network, *bits)),
            Self::Unreadable(_) => false,
        }
    }

    /// Returns the transport if it is one that a policy must declare.
    pub(super) fn foreign_transport(&self) -> Option<&str> {
        match self {
            Self::Name { transport: Some(RuleTransport::Foreign(name)), .. } => Some(name),
            _ => None,
        }
    }

    /// Whether every peer of `other` is also a peer of this pattern. Returns `false` where that can't be decided.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Name { transport, name, host },
                Self::Name { transport: other_transport, name: other_name, host: other_host },
            ) => match (transport, other_transport) {
                (None, Some(HTTP)) => host.as_deref().unwrap_or(name).covers(other_name),
                (None, None) => {
                    name.covers(other_name)
                        && host.as_deref().unwrap_or(name).covers(other_host.as_deref().unwrap_or(other_name))
                }
                (None, Some(_)) => name.covers(other_name),
                (Some(_), _) => transport == other_transport && name.covers(other_name),
            },
            (Self::Identity(identity), Self::Identity(other)) => identity.covers(other),
            (Self::Queue(name), Self::Queue(other)) => name.covers(other),
            (Self::SingleLabel, Self::SingleLabel) => true,
            (Self::Address { network, bits }, Self::Address { network: other, bits: other_bits })
            | (Self::HostRange { network, bits }, Self::HostRange { network: other, bits: other_bits }) => {
                bits <= other_bits && within(*other, *network, *bits)
            }
            (Self::HostRange { .. } | Self::SingleLabel, Self::Name { transport: Some(HTTP), name, .. }) => {
                name.is_exact() && self.matches(Direction::Outbound, &Peer::http(name.as_str()))
            }
            (Self::Name { transport, name, .. }, Self::HostRange { .. } | Self::SingleLabel) => {
                matches!(transport, None | Some(HTTP)) && name.is_any()
            }
            (Self::Name { transport, name, .. }, Self::Queue(_)) => {
                matches!(transport, None | Some(RuleTransport::BuiltIn(Transport::AMQP))) && name.is_any()
            }
            // Every caller has a transport, whatever its address or identity.
            (Self::Name { transport, name, .. }, Self::Identity(_) | Self::Address { .. }) => {
                transport.is_none() && name.is_any()
            }
            _ => false,
        }
    }

    /// Whether it is the name of one peer, without a `*`.
    pub(super) fn is_one_name(&self) -> bool {
        match self {
            Self::Name { transport, name, .. } => transport.is_some() && name.is_exact(),
            Self::Queue(name) | Self::Identity(name) => name.is_exact(),
            _ => false,
        }
    }

    pub(super) fn is_everyone(&self) -> bool {
        matches!(self, Self::Name { transport: None, name, .. } if name.is_any())
    }

    /// Whether it matches every HTTP host.
    pub(super) fn is_any_host(&self) -> bool {
        matches!(self, Self::Name { transport: None | Some(HTTP), name, .. } if name.is_any())
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Name { transport: None, name, .. } if name.is_any() => "*".to_owned(),
            Self::Name { transport: None, name, .. } => format!("*:{}", name.as_str()),
            Self::Name { transport: Some(transport), name, .. } => format!("{}:{}", transport.as_str(), name.as_str()),
            Self::Queue(name) => format!("amqp:{QUEUE}{}", name.as_str()),
            Self::HostRange { network, bits } => format!("http:{network}/{bits}"),
            Self::SingleLabel => format!("http:{SINGLE_LABEL}"),
            Self::Identity(identity) => format!("identity:{}", identity.as_str()),
            Self::Address { network, bits } => format!("address:{network}/{bits}"),
            Self::Unreadable(text) => text.to_string(),
        }
    }
}

/// Whether a text is an address and a slash, as a range is, and not a host's name.
fn starts_with_an_address(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok())
}

fn range_of(range: &str) -> Option<(IpAddr, u8)> {
    let (network, bits) = range.split_once('/').map_or((range, None), |(network, bits)| (network, Some(bits)));
    let network: IpAddr = network.parse().ok()?;
    let width = if network.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => width,
        // A sign is no digit.
        Some(bits) => bits.parse().ok().filter(|_| bits.bytes().all(|byte| byte.is_ascii_digit()))?,
    };
    // Addresses are compared in canonical form: an IPv4-mapped IPv6 address equals the IPv4 address.
    let canonical = network.to_canonical();
    let (network, bits) = if canonical == network { (network, bits) } else { (canonical, u8::checked_sub(bits, 96)?) };
    let width = if network.is_ipv4() { 32 } else { 128 };
    (bits <= width).then_some((network, bits))
}

/// Out of line: few patterns are addresses, and the others skip it.
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
