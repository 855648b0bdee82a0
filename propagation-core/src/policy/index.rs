//! The look-up of the first rule for a peer, at a cost that does not depend on the number of rules.
//!
//! The definition is linear: the first rule of which any peer pattern matches decides. The index finds the same rule. Exact names are
//! hashed, prefixes and suffixes are sorted, ranges of addresses are sorted, and each holds the smallest index of the rules that have it.

mod names;
mod ranges;
#[cfg(test)]
mod tests;

pub(super) use self::names::NameIndex;
use self::ranges::RangeIndex;
use super::{
    PeerNaming, host,
    peer_pattern::{HTTP, PeerPattern, Peers, RuleTransport},
};
use crate::{Direction, Peer, Transport};

/// The place of a rule or key in its list. Smaller ones are tried first.
type Place = u32;

/// Greater than every place.
const NONE: Place = Place::MAX;

/// The rules of one direction, by their peers.
#[derive(Clone, Debug)]
pub(super) struct PeerIndex {
    /// The first rule for every peer.
    everyone: Place,
    /// The first rule of all others. If `everyone` is before it, no peer needs to be looked up.
    first_of_others: Place,
    /// HTTP hosts in canonical form.
    hosts: NameIndex,
    host_ranges: RangeIndex,
    single_label: Place,
    /// Names of the other transports that rules name.
    transports: Vec<(RuleTransport, NameIndex)>,
    /// Names on every transport but HTTP, whose names have a canonical form.
    all_transports: NameIndex,
    /// Outbound, the queues that are reached through AMQP's default exchange.
    queues: NameIndex,
    identities: NameIndex,
    addresses: RangeIndex,
}

impl Default for PeerIndex {
    fn default() -> Self {
        Self {
            everyone: NONE,
            first_of_others: NONE,
            hosts: NameIndex::default(),
            host_ranges: RangeIndex::default(),
            single_label: NONE,
            transports: Vec::new(),
            all_transports: NameIndex::default(),
            queues: NameIndex::default(),
            identities: NameIndex::default(),
            addresses: RangeIndex::default(),
        }
    }
}

impl PeerIndex {
    pub(super) fn new<'r>(direction: Direction, rules: impl IntoIterator<Item = &'r Peers>) -> Self {
        let mut index = Self::default();
        for (place, peers) in rules.into_iter().enumerate() {
            let Ok(place) = Place::try_from(place) else { break };
            for pattern in peers.iter() {
                index.add(direction, pattern, place);
            }
        }
        index.hosts.finish();
        index.host_ranges.finish();
        index.transports.iter_mut().for_each(|(_, names)| names.finish());
        index.all_transports.finish();
        index.queues.finish();
        index.identities.finish();
        index.addresses.finish();
        index
    }

    fn add(&mut self, direction: Direction, pattern: &PeerPattern, place: Place) {
        if pattern.is_everyone() {
            self.everyone = self.everyone.min(place);
            return;
        }
        self.first_of_others = self.first_of_others.min(place);
        match pattern {
            PeerPattern::Name { transport: Some(HTTP), name, .. } => self.hosts.add(name, place),
            PeerPattern::Name { transport: None, name, host } => {
                self.hosts.add(host.as_deref().unwrap_or(name), place);
                self.all_transports.add(name, place);
            }
            PeerPattern::Name { transport: Some(transport), name, .. } => {
                if *transport == AMQP && name.is_any() {
                    self.queues.add(name, place);
                }
                self.names_of(transport).add(name, place);
            }
            // Every inbound AMQP peer is a queue.
            PeerPattern::Queue(name) if direction == Direction::Inbound => self.names_of(&AMQP).add(name, place),
            PeerPattern::Queue(name) => self.queues.add(name, place),
            PeerPattern::HostRange { network, bits } => self.host_ranges.add(*network, *bits, place),
            PeerPattern::SingleLabel => self.single_label = self.single_label.min(place),
            PeerPattern::Identity(name) => self.identities.add(name, place),
            PeerPattern::Address { network, bits } => self.addresses.add(*network, *bits, place),
            PeerPattern::Unreadable(_) => {}
        }
    }

    fn names_of(&mut self, transport: &RuleTransport) -> &mut NameIndex {
        let known = self.transports.iter().position(|(known, _)| known == transport);
        let at = known.unwrap_or_else(|| {
            self.transports.push((transport.clone(), NameIndex::default()));
            self.transports.len() - 1
        });
        // The position was just found.
        #[expect(clippy::indexing_slicing, reason = "the place was found or made above")]
        &mut self.transports[at].1
    }

    /// Returns the place of the first rule that matches a peer.
    pub(super) fn find(&self, direction: Direction, peer: &Peer<'_>) -> Option<usize> {
        let mut first = self.everyone;
        if self.first_of_others < first {
            first = self.find_before(first, direction, peer);
        }
        usize::try_from(first).ok().filter(|_| first != NONE)
    }

    /// Returns the place of the first rule before `limit` that matches a peer, or `limit`. Out of line: a rule for everyone skips it.
    #[inline(never)]
    fn find_before(&self, limit: Place, direction: Direction, peer: &Peer<'_>) -> Place {
        let mut first = limit;
        if peer.transport == Transport::HTTP {
            first = self.find_host(first, &host::canonical(peer.name));
        } else if peer.is_queue && direction == Direction::Outbound {
            first = self.queues.find_before(first, peer.name.as_bytes());
        } else {
            first = self.all_transports.find_before(first, peer.name.as_bytes());
            if let Some((_, names)) = self.transports.iter().find(|(transport, _)| transport.is(peer.transport)) {
                first = names.find_before(first, peer.name.as_bytes());
            }
        }
        // An empty or blank identity is the absence of one.
        if let Some(identity) = peer.identity.filter(|identity| !identity.trim().is_empty()) {
            first = self.identities.find_before(first, identity.as_bytes());
        }
        if let Some(address) = peer.address {
            first = self.addresses.find_before(first, address);
        }
        first
    }

    fn find_host(&self, limit: Place, host: &str) -> Place {
        let mut first = self.hosts.find_before(limit, host.as_bytes());
        if self.single_label < first && host::is_single_label(host) {
            first = self.single_label;
        }
        if self.host_ranges.starts_before(first)
            && let Ok(address) = host.parse()
        {
            first = self.host_ranges.find_before(first, address);
        }
        first
    }

    /// Returns how the rules name an outbound peer, patterns for every name apart.
    pub(super) fn naming(&self, peer: &Peer<'_>) -> Option<PeerNaming> {
        let host = host::canonical(peer.name);
        let is_http = peer.transport == Transport::HTTP;
        let names = self.transports.iter().find(|(transport, _)| transport.is(peer.transport));
        let lists: [Option<&NameIndex>; 2] = match () {
            () if is_http => [Some(&self.hosts), None],
            () if peer.is_queue => [Some(&self.queues), None],
            () => [Some(&self.all_transports), names.map(|(_, names)| names)],
        };
        let name = if is_http { &*host } else { peer.name };
        let lists = || lists.into_iter().flatten();
        if lists().any(|names| names.has_exact(name.as_bytes())) {
            return Some(PeerNaming::Exact);
        }
        let by_range = |address| self.host_ranges.find_before(NONE, address) != NONE;
        let by_pattern = lists().any(|names| names.has_pattern(name.as_bytes()))
            || is_http && self.single_label != NONE && host::is_single_label(name)
            || is_http && name.parse().is_ok_and(by_range);
        by_pattern.then_some(PeerNaming::Pattern)
    }
}

const AMQP: RuleTransport = RuleTransport::BuiltIn(Transport::AMQP);
