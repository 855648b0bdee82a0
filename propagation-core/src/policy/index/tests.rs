//! The index against the definition: the first rule of which any pattern matches.

use std::net::IpAddr;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{NameIndex, PeerIndex};
use crate::{
    Direction, Glob, Peer, Transport,
    policy::{
        PeerNaming, host,
        peer_pattern::{PeerPattern, Peers},
    },
};

const MQTT: Transport = Transport::from_static("mqtt");
const NATS: Transport = Transport::from_static("nats");

/// Few letters, so that names and patterns often match.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab.]{0,6}",
        2 => select(vec!["a.internal", "b.a.internal", "internal", "A.Internal.", "localhost", "127.0.0.1", "10.1.2.3"])
            .prop_map(str::to_owned),
        1 => select(vec!["[::1]", "::ffff:10.1.2.3", "fe80::1", "0x7f000001", "grün"]).prop_map(str::to_owned),
    ]
}

fn glob() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ab.]{1,4}",
        3 => "[ab.]{0,3}\\*[ab.]{0,3}",
        2 => "[ab*.]{1,6}",
        1 => select(vec!["*", "**", "*.internal", "*internal", "a.*.internal", "*a*"]).prop_map(str::to_owned),
    ]
}

fn pattern() -> impl Strategy<Value = String> {
    let transport = select(vec!["http", "http", "amqp", "kafka", "nats", "*", "identity", "amqp:queue/"]);
    let named = (transport, glob()).prop_map(|(transport, glob)| {
        let colon = if transport.ends_with('/') { "" } else { ":" };
        format!("{transport}{colon}{glob}")
    });
    let network = select(vec!["10.0.0.0", "10.1.0.0", "10.1.2.3", "127.0.0.0", "::1", "fe80::", "::ffff:10.1.0.0"]);
    let range = (select(vec!["address", "http"]), network, 0_u8..=128).prop_map(|(kind, network, bits)| {
        let address: IpAddr = network.parse().unwrap();
        let bits = match address {
            IpAddr::V4(_) => bits % 33,
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => 96 + bits % 33,
            IpAddr::V6(_) => bits,
        };
        format!("{kind}:{network}/{bits}")
    });
    prop_oneof![6 => named, 3 => range, 1 => Just("http:<single-label>".to_owned()), 1 => Just("*".to_owned())]
}

fn address() -> impl Strategy<Value = IpAddr> {
    let known = vec!["10.1.2.3", "10.200.0.1", "127.0.0.1", "::1", "fe80::9", "::ffff:10.1.2.4", "192.0.2.1"];
    prop_oneof![select(known).prop_map(|text| text.parse().unwrap()), any::<u32>().prop_map(|v4| IpAddr::V4(v4.into()))]
}

#[derive(Clone, Debug)]
struct OwnedPeer {
    transport: Option<Transport>,
    name: String,
    identity: Option<String>,
    address: Option<IpAddr>,
}

impl OwnedPeer {
    /// Without a transport, it is a queue behind AMQP's default exchange.
    fn borrow(&self) -> Peer<'_> {
        let peer = self.transport.map_or(Peer::amqp_queue(&self.name), |transport| Peer::new(transport, &self.name));
        Peer { identity: self.identity.as_deref(), address: self.address, ..peer }
    }
}

fn peer() -> impl Strategy<Value = OwnedPeer> {
    let transport = option::weighted(
        0.85,
        select(vec![Transport::HTTP, Transport::HTTP, Transport::AMQP, Transport::KAFKA, NATS, MQTT]),
    );
    let identity = option::of(prop_oneof!["[ab.]{0,3}", Just(" ".to_owned())]);
    (transport, name(), identity, option::of(address())).prop_map(|(transport, name, identity, address)| OwnedPeer {
        transport,
        name,
        identity,
        address,
    })
}

/// How outbound rules name a peer, by trying every pattern.
fn naming(rules: &[Peers], peer: &Peer<'_>) -> Option<PeerNaming> {
    let host = host::canonical(peer.name);
    let peer = &if peer.transport == Transport::HTTP { Peer { name: &host, ..*peer } } else { *peer };
    let mut found = None;
    for pattern in rules.iter().flat_map(Peers::iter) {
        let exact = match pattern {
            PeerPattern::Name { name, .. } | PeerPattern::Queue(name) if name.is_any() => continue,
            PeerPattern::Name { name, .. } | PeerPattern::Queue(name) => name.is_exact(),
            PeerPattern::Identity(_) | PeerPattern::Address { .. } => continue,
            _ => false,
        };
        if pattern.matches(Direction::Outbound, peer) {
            found = Some(PeerNaming::Pattern).filter(|_| !exact).or(Some(PeerNaming::Exact));
            if exact {
                break;
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn index_finds_the_first_rule_that_matches(
        rules in vec(vec(pattern(), 1..4), 0..24),
        peers in vec(peer(), 1..12),
    ) {
        let rules: Vec<Peers> = rules.iter().map(Peers::new).collect();
        for direction in [Direction::Inbound, Direction::Outbound] {
            let index = PeerIndex::new(direction, &rules);
            for peer in &peers {
                let peer = peer.borrow();
                let first = rules.iter().position(|rule| rule.matches(direction, &peer));
                prop_assert_eq!(index.find(direction, &peer), first, "{:?} {:?}", direction, peer);
                if direction == Direction::Outbound {
                    prop_assert_eq!(index.naming(&peer), naming(&rules, &peer), "{:?}", peer);
                }
            }
        }
    }

    #[test]
    fn index_finds_the_first_glob_that_matches(
        globs in vec(glob(), 0..40),
        names in vec(name(), 1..12),
    ) {
        let globs: Vec<Glob> = globs.iter().map(|glob| Glob::new(glob)).collect();
        let mut index = NameIndex::default();
        for (place, glob) in (0..).zip(&globs) {
            index.add(glob, place);
        }
        index.finish();
        for name in &names {
            let first = globs.iter().position(|glob| glob.matches(name));
            prop_assert_eq!(index.find(name.as_bytes()), first, "{}", name);
        }
    }
}

#[test]
fn generated_peers_match_rules_often_enough() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};

    let (mut runner, mut matched) = (TestRunner::deterministic(), 0);
    for _ in 0..1_000 {
        let rule = Peers::new([pattern().new_tree(&mut runner).unwrap().current()]);
        let peer = peer().new_tree(&mut runner).unwrap().current();
        matched += usize::from(rule.matches(Direction::Inbound, &peer.borrow()));
    }
    assert!((100..900).contains(&matched), "{matched}");
}
