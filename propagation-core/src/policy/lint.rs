//! Warnings about rules that are legal and probably a mistake.

use std::{collections::HashSet, fmt};

use super::{
    BaggageSource, InboundRule, Policy,
    coverage::Coverage,
    key_rule::KeyRule,
    peer_pattern::{HTTP, PeerPattern, Peers, RuleTransport},
};
use crate::{Direction, EscapedText, Transport, model};

/// Something in a policy that is legal and probably a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyWarning {
    /// The direction of the rule.
    pub direction: Direction,
    /// The rule, and the peer or key of it.
    pub location: RuleLocation,
    /// The mistake.
    pub kind: PolicyWarningKind,
}

/// A rule of a policy, or a peer or key of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleLocation {
    /// The rule's place among those of its direction, from 0.
    pub rule: usize,
    /// The rule's name.
    pub name: String,
    /// The part of the rule.
    pub part: RulePart,
}

/// A part of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RulePart {
    /// The rule itself.
    Rule,
    /// One of its peers, from 0.
    Peer(usize),
    /// One of its keys, from 0.
    Key(usize),
    /// One of its headers and claims that become baggage, from 0.
    Source(usize),
}

/// A probable mistake in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyWarningKind {
    /// A rule before this one takes every such peer.
    UnreachablePeer {
        /// The peer.
        peer: String,
        /// The name of the rule before it.
        by: String,
    },
    /// No peer can have that name.
    ImpossiblePeer {
        /// The peer.
        peer: String,
        /// The reason, and the remedy where there is one.
        why: &'static str,
    },
    /// The key is not a token, and no baggage can have it.
    IllegalKey(String),
    /// The key allows all baggage.
    AllowsEverything(String),
    /// The words of the key are those of personal data or of a secret.
    PersonalKey(String),
    /// A key before this one in the rule takes it.
    UnreachableKey {
        /// The key.
        key: String,
        /// The key before it.
        by: String,
    },
    /// The rule's keys go to every host on the internet.
    EveryHost,
    /// Every caller chooses the value of a header that becomes baggage.
    HeaderOfEveryCaller(String),
    /// The header or claim, by its words, holds personal data or a secret, and becomes baggage.
    PersonalSource(String),
}

impl fmt::Display for PolicyWarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnreachablePeer { peer, by } => {
                write!(
                    f,
                    "{} can never match: {:?} before it takes every such peer",
                    EscapedText::new(peer),
                    EscapedText::new(by)
                )
            }
            Self::ImpossiblePeer { peer, why } => {
                write!(f, "{} can never match: {}", EscapedText::new(peer), EscapedText::new(why))
            }
            Self::IllegalKey(key) => {
                write!(
                    f,
                    "the key {:?} can never match: keys are letters, digits and !#$%&'*+-.^_`|~",
                    EscapedText::new(key)
                )
            }
            Self::AllowsEverything(key) => write!(f, "the key {:?} allows everything", EscapedText::new(key)),
            Self::PersonalKey(key) => write!(f, "the key {:?} looks personal", EscapedText::new(key)),
            Self::UnreachableKey { key, by } => write!(
                f,
                "the key {:?} can never match: {:?} before it takes it",
                EscapedText::new(key),
                EscapedText::new(by)
            ),
            Self::HeaderOfEveryCaller(header) => write!(
                f,
                "every caller can choose {}, which becomes baggage; write a rule for the peers that set it",
                EscapedText::new(header)
            ),
            Self::PersonalSource(source) => {
                write!(f, "{} looks personal or secret, and becomes baggage", EscapedText::new(source))
            }
            Self::EveryHost => f.write_str("its keys go to every host, also to hosts of third parties"),
        }
    }
}

impl fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule {:?}: {}", self.direction.as_str(), EscapedText::new(&self.location.name), self.kind)
    }
}

/// Takes a warning about a part of a rule.
type Warn<'a> = dyn FnMut(RulePart, PolicyWarningKind) + 'a;

impl Policy {
    /// Returns warnings for rules, peers and keys that can never match, for keys that look personal, and for globs that allow everything.
    #[must_use]
    pub fn lint(&self) -> Vec<PolicyWarning> {
        let mut warnings = Vec::new();
        let inbound: Vec<_> =
            self.inbound.iter().map(|rule| (rule.name(), rule.peer_patterns(), rule.keys())).collect();
        let outbound: Vec<_> =
            self.outbound.iter().map(|rule| (rule.name(), rule.peer_patterns(), rule.keys())).collect();
        for (direction, rules) in [(Direction::Inbound, inbound), (Direction::Outbound, outbound)] {
            let mut before = Coverage::default();
            for (rule, (name, peers, keys)) in rules.iter().enumerate() {
                let mut warn = |part, kind| {
                    let location = RuleLocation { rule, name: name.to_string(), part };
                    warnings.push(PolicyWarning { direction, location, kind });
                };
                for (at, pattern) in peers.iter().enumerate() {
                    let by = before.first_covering(pattern).and_then(|by| rules.get(by));
                    if let Some((by, ..)) = by {
                        let (peer, by) = (pattern.describe(), by.to_string());
                        warn(RulePart::Peer(at), PolicyWarningKind::UnreachablePeer { peer, by });
                    }
                }
                impossible(peers, direction, &mut warn);
                keys_of(keys, &mut warn);
                if direction == Direction::Outbound && !keys.is_empty() && peers.iter().any(PeerPattern::is_any_host) {
                    warn(RulePart::Rule, PolicyWarningKind::EveryHost);
                }
                before.add(rule, peers);
            }
        }
        for (rule, inbound) in self.inbound.iter().enumerate() {
            sources(inbound, &mut |part, kind| {
                let location = RuleLocation { rule, name: inbound.name().to_string(), part };
                warnings.push(PolicyWarning { direction: Direction::Inbound, location, kind });
            });
        }
        warnings
    }
}

/// Warns about headers and claims that become baggage.
fn sources(rule: &InboundRule, warn: &mut Warn<'_>) {
    let everyone = rule.peer_patterns().iter().any(PeerPattern::is_any_host);
    for (at, entry) in rule.sources().iter().enumerate() {
        let (source, key) = (entry.source(), entry.key.key.as_str());
        if everyone && entry.header().is_some() {
            warn(RulePart::Source(at), PolicyWarningKind::HeaderOfEveryCaller(source.to_string()));
        }
        let (BaggageSource::Header(name) | BaggageSource::Claim(name)) = source;
        if looks_personal(name) {
            warn(RulePart::Source(at), PolicyWarningKind::PersonalSource(source.to_string()));
        } else if looks_personal(key) {
            warn(RulePart::Source(at), PolicyWarningKind::PersonalKey(key.to_owned()));
        }
    }
}

/// Warns about peer patterns that can never match.
fn impossible(peers: &Peers, direction: Direction, warn: &mut Warn<'_>) {
    const NAMELESS: &str = "callers have no name; go by address: or identity:";
    for (at, pattern) in peers.iter().enumerate() {
        let why = match pattern {
            PeerPattern::Identity(_) | PeerPattern::Address { .. } if direction == Direction::Outbound => {
                Some("only callers have an address or an identity")
            }
            PeerPattern::HostRange { .. } | PeerPattern::SingleLabel if direction == Direction::Inbound => {
                Some(NAMELESS)
            }
            PeerPattern::Name {
                transport: Some(RuleTransport::BuiltIn(Transport::HTTP | Transport::GRPC)),
                name,
                ..
            } if direction == Direction::Inbound && !name.matches("") => Some(NAMELESS),
            PeerPattern::Name { transport: Some(HTTP), name, .. } => no_host(name.as_str()),
            _ => None,
        };
        if let Some(why) = why {
            warn(RulePart::Peer(at), PolicyWarningKind::ImpossiblePeer { peer: pattern.describe(), why });
        }
    }
}

/// Returns the reason for which no host can match a pattern.
fn no_host(name: &str) -> Option<&'static str> {
    let port = name.rsplit_once(':').is_some_and(|(host, _)| host.ends_with(']') || !host.contains(':'));
    if name.starts_with("//") {
        Some("hosts are named without a scheme: http:api.example.com")
    } else if name.contains(['/', '?', '#', '@']) {
        Some("a host alone, without a path or a user")
    } else if port {
        Some("hosts are named without a port")
    } else if name.ends_with("*.") {
        Some("no host ends in a dot: http:* matches every host")
    } else {
        None
    }
}

fn keys_of(keys: &[KeyRule], warn: &mut Warn<'_>) {
    let (mut exact, mut globs): (HashSet<&str>, Vec<&KeyRule>) = Default::default();
    for (at, key) in keys.iter().enumerate() {
        let text = key.key.as_str();
        let mut warn = |kind| warn(RulePart::Key(at), kind);
        if !model::is_token(text.as_bytes()) {
            warn(PolicyWarningKind::IllegalKey(text.to_owned()));
        }
        if text.bytes().all(|byte| byte == b'*') {
            warn(PolicyWarningKind::AllowsEverything(text.to_owned()));
        } else if looks_personal(text) {
            warn(PolicyWarningKind::PersonalKey(text.to_owned()));
        }
        let by = exact.get(text).copied();
        let by = by.or_else(|| globs.iter().find(|glob| glob.key.covers(&key.key)).map(|glob| glob.key.as_str()));
        if let Some(by) = by {
            warn(PolicyWarningKind::UnreachableKey { key: text.to_owned(), by: by.to_owned() });
        }
        if key.key.is_exact() {
            exact.insert(text);
        } else {
            globs.push(key);
        }
    }
}

/// Returns true if a word of the key suggests personal data or a secret.
fn looks_personal(key: &str) -> bool {
    const WORDS: [&str; 30] = [
        "email",
        "mail",
        "phone",
        "mobile",
        "ssn",
        "iban",
        "card",
        "pan",
        "cvv",
        "address",
        "street",
        "zip",
        "birth",
        "dob",
        "firstname",
        "lastname",
        "fullname",
        "username",
        "surname",
        "ip",
        "password",
        "passwd",
        "pwd",
        "passport",
        "secret",
        "token",
        "credential",
        "apikey",
        "authorization",
        "cookie",
    ];
    let joined: String = key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    words(key).any(|word| WORDS.contains(&&*word)) || WORDS.iter().any(|word| word.len() >= 7 && joined.contains(word))
}

/// The words of a key, in lower case, however they are set apart: `user.email`, `user_email`, `userEmail`.
fn words(key: &str) -> impl Iterator<Item = String> {
    let mut spaced = String::with_capacity(key.len() + 8);
    let mut after_lower = false;
    for letter in key.chars() {
        if after_lower && letter.is_ascii_uppercase() {
            spaced.push(' ');
        }
        after_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        spaced.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { ' ' });
    }
    spaced.split(' ').map(str::to_owned).collect::<Vec<_>>().into_iter()
}
