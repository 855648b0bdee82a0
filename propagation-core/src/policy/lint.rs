//! What is legal in a policy and still looks wrong.

use std::fmt;

use super::{Policy, key_rule::KeyRule, rule::Peers};

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
    /// What is odd.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule {:?}: {}", self.direction, self.rule, self.text)
    }
}

impl Policy {
    /// Looks for rules that can never match, keys allowed that look personal, and globs that allow everything.
    #[must_use]
    pub fn lint(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let inbound =
            self.inbound.iter().map(|rule| (rule.name(), rule.peer_patterns(), rule.keys())).collect::<Vec<_>>();
        let outbound =
            self.outbound.iter().map(|rule| (rule.name(), rule.peer_patterns(), rule.keys())).collect::<Vec<_>>();
        for (direction, rules) in [("inbound", inbound), ("outbound", outbound)] {
            let mut warn = |index: usize, rule: &str, text: String| {
                warnings.push(Warning { direction, index, rule: rule.to_owned(), text });
            };
            for (index, (name, peers, keys)) in rules.iter().enumerate() {
                unreachable(&rules, index, peers, &mut |text| warn(index, name, text));
                keys_of(keys, peers, direction, &mut |text| warn(index, name, text));
            }
        }
        warnings
    }
}

fn unreachable(rules: &[(&str, &Peers, &[KeyRule])], index: usize, peers: &Peers, warn: &mut dyn FnMut(String)) {
    let before = rules.get(..index).unwrap_or_default();
    for pattern in peers.iter() {
        if let Some((name, ..)) =
            before.iter().find(|(_, earlier, _)| earlier.iter().any(|other| other.covers(pattern)))
        {
            warn(format!("{} can never match: {name:?} before it takes every such peer", pattern.describe()));
        }
    }
}

fn keys_of(keys: &[KeyRule], peers: &Peers, direction: &str, warn: &mut dyn FnMut(String)) {
    for (at, key) in keys.iter().enumerate() {
        let text = key.key.as_str();
        if text.bytes().all(|byte| byte == b'*') {
            warn(format!("the key {text:?} allows everything"));
        } else if looks_personal(text) {
            warn(format!("the key {text:?} looks personal"));
        }
        let covered = keys.get(..at).unwrap_or_default().iter().find(|earlier| earlier.key.covers(&key.key));
        if let Some(earlier) = covered {
            warn(format!("the key {text:?} can never match: {:?} before it takes it", earlier.key.as_str()));
        }
    }
    let everyone =
        direction == "outbound" && !keys.is_empty() && peers.iter().any(super::rule::PeerPattern::is_any_host);
    if everyone {
        warn("its keys go to every host, those of others too".to_owned());
    }
}

/// Whether a key, by its words, holds something about a person or a secret.
fn looks_personal(key: &str) -> bool {
    const WORDS: [&str; 26] = [
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
        "secret",
        "token",
        "credential",
        "apikey",
    ];
    let lower = key.to_ascii_lowercase();
    let mut words = lower.split(|letter: char| !letter.is_ascii_alphanumeric());
    let joined: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    words.any(|word| WORDS.contains(&word)) || WORDS.iter().any(|word| word.len() >= 7 && joined.contains(word))
}
