//! What is legal in a policy and still looks wrong.

use std::fmt;

use super::{
    Policy,
    key_rule::KeyRule,
    peer_pattern::{PeerPattern, Peers},
};
use crate::{Transport, baggage};

/// Something in a policy that deserves a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// `inbound` or `outbound`.
    pub direction: &'static str,
    /// The rule's place among those of its direction, from 0.
    pub index: usize,
    /// The rule's name.
    pub rule: String,
    /// The peer or the key that is odd, as the policy has it; empty if the rule is.
    pub word: String,
    /// What is odd.
    pub text: String,
}

/// What is told of a rule: the word that it is about, and what is odd.
type Warn<'a> = dyn FnMut(&str, String) + 'a;

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule {:?}: {}", self.direction, self.rule, self.text)
    }
}

impl Policy {
    /// Looks for rules, peers and keys that can never match, keys allowed that look personal, and globs that allow everything.
    #[must_use]
    pub fn lint(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let inbound =
            self.inbound.iter().map(|rule| (rule.name(), rule.peer_patterns(), rule.keys())).collect::<Vec<_>>();
        let outbound =
            self.outbound.iter().map(|rule| (rule.name(), rule.peer_patterns(), rule.keys())).collect::<Vec<_>>();
        for (direction, rules) in [("inbound", inbound), ("outbound", outbound)] {
            let mut warn = |index: usize, rule: &str, word: &str, text: String| {
                warnings.push(Warning { direction, index, rule: rule.to_owned(), word: word.to_owned(), text });
            };
            for (index, (name, peers, keys)) in rules.iter().enumerate() {
                unreachable(&rules, index, peers, &mut |word, text| warn(index, name, word, text));
                nobody(peers, direction, &mut |word, text| warn(index, name, word, text));
                keys_of(keys, peers, direction, &mut |word, text| warn(index, name, word, text));
            }
        }
        warnings
    }
}

fn unreachable(rules: &[(&str, &Peers, &[KeyRule])], index: usize, peers: &Peers, warn: &mut Warn<'_>) {
    let before = rules.get(..index).unwrap_or_default();
    for pattern in peers.iter() {
        if let Some((name, ..)) =
            before.iter().find(|(_, earlier, _)| earlier.iter().any(|other| other.covers(pattern)))
        {
            let peer = pattern.describe();
            warn(&peer, format!("{peer} can never match: {name:?} before it takes every such peer"));
        }
    }
}

/// Looks for peers that nobody is called.
fn nobody(peers: &Peers, direction: &str, warn: &mut Warn<'_>) {
    for pattern in peers.iter() {
        let why = match pattern {
            PeerPattern::Identity(_) | PeerPattern::Address { .. } if direction == "outbound" => {
                Some("only callers have an address or an identity")
            }
            PeerPattern::HostRange { .. } | PeerPattern::SingleLabel if direction == "inbound" => {
                Some("callers have no name; go by address: or identity:")
            }
            PeerPattern::Name { transport: Some(Transport::Http | Transport::Grpc), name, .. }
                if direction == "inbound" && !name.matches("") =>
            {
                Some("callers have no name; go by address: or identity:")
            }
            PeerPattern::Name { transport: Some(Transport::Http), name, .. } => no_host(name.as_str()),
            _ => None,
        };
        if let Some(why) = why {
            let peer = pattern.describe();
            warn(&peer, format!("{peer} can never match: {why}"));
        }
    }
}

/// Why no host can be called that.
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

fn keys_of(keys: &[KeyRule], peers: &Peers, direction: &str, warn: &mut Warn<'_>) {
    for (at, key) in keys.iter().enumerate() {
        let text = key.key.as_str();
        if !baggage::is_token(text.as_bytes()) {
            warn(text, format!("the key {text:?} can never match: keys are letters, digits and !#$%&'*+-.^_`|~"));
        }
        if text.bytes().all(|byte| byte == b'*') {
            warn(text, format!("the key {text:?} allows everything"));
        } else if looks_personal(text) {
            warn(text, format!("the key {text:?} looks personal"));
        }
        let covered = keys.get(..at).unwrap_or_default().iter().find(|earlier| earlier.key.covers(&key.key));
        if let Some(earlier) = covered {
            warn(text, format!("the key {text:?} can never match: {:?} before it takes it", earlier.key.as_str()));
        }
    }
    let everyone = direction == "outbound" && !keys.is_empty() && peers.iter().any(PeerPattern::is_any_host);
    if everyone {
        warn("", "its keys go to every host, those of others too".to_owned());
    }
}

/// Whether a key, by its words, holds something about a person or a secret.
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
