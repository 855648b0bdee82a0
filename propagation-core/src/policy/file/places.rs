//! The positions of rules, peers and keys in a policy file.

use std::ops::Range;

use toml::Spanned;

use super::shapes::AllowedKey;
use crate::{
    Direction,
    policy::{RuleLocation, RulePart},
};

/// The positions of a file's rules, for lint warnings.
#[derive(Default)]
pub(super) struct Places {
    pub(super) inbound: Vec<RulePlaces>,
    pub(super) outbound: Vec<RulePlaces>,
    pub(super) profile: Range<usize>,
}

/// The positions of a rule, its peers and its keys.
pub(super) struct RulePlaces {
    rule: Range<usize>,
    peers: Vec<Range<usize>>,
    keys: Vec<Range<usize>>,
    sources: Vec<Range<usize>>,
}

impl Places {
    /// Returns the span of a rule, or of its peer or key. Rules past the file's own are the profile's.
    pub(super) fn of(&self, direction: Direction, location: &RuleLocation) -> Range<usize> {
        let rules = if direction == Direction::Inbound { &self.inbound } else { &self.outbound };
        let Some(rule) = rules.get(location.rule) else { return self.profile.clone() };
        let part = match location.part {
            RulePart::Peer(at) => rule.peers.get(at),
            RulePart::Key(at) => rule.keys.get(at),
            RulePart::Source(at) => rule.sources.get(at),
            RulePart::Rule => None,
        };
        part.unwrap_or(&rule.rule).clone()
    }
}

impl RulePlaces {
    pub(super) fn of(rule: &Range<usize>, peers: &[Spanned<String>], keys: &[Spanned<AllowedKey>]) -> Self {
        let key = |key: &Spanned<AllowedKey>| match key.get_ref() {
            AllowedKey::Name(_) => key.span(),
            AllowedKey::Rule(detailed) => detailed.key.span(),
        };
        Self {
            rule: rule.clone(),
            peers: peers.iter().map(Spanned::span).collect(),
            keys: keys.iter().map(key).collect(),
            sources: Vec::new(),
        }
    }

    /// Adds the positions of headers and claims that become baggage.
    pub(super) fn with_sources<'k>(mut self, keys: impl Iterator<Item = &'k Spanned<AllowedKey>>) -> Self {
        self.sources.extend(keys.map(Spanned::span));
        self
    }
}
