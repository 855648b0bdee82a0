//! The look-up of the first rule that covers a peer pattern.

use std::collections::HashMap;

use super::peer_pattern::{PeerPattern, Peers};

/// Rules by their peers: peers without a `*` are looked up, and only the others are compared one by one.
#[derive(Default)]
pub(super) struct Coverage<'r> {
    exact: HashMap<String, usize>,
    others: Vec<(&'r PeerPattern, usize)>,
}

impl<'r> Coverage<'r> {
    pub(super) fn of(rules: impl IntoIterator<Item = &'r Peers>) -> Self {
        let mut coverage = Self::default();
        for (index, peers) in rules.into_iter().enumerate() {
            coverage.add(index, peers);
        }
        coverage
    }

    /// Adds a rule behind those before.
    pub(super) fn add(&mut self, index: usize, peers: &'r Peers) {
        for pattern in peers.iter() {
            if pattern.is_one_name() {
                self.exact.entry(pattern.describe()).or_insert(index);
            } else {
                self.others.push((pattern, index));
            }
        }
    }

    /// Returns the index of the first rule that covers every peer of a pattern.
    pub(super) fn first_covering(&self, pattern: &PeerPattern) -> Option<usize> {
        let exact = if pattern.is_one_name() { self.exact.get(&pattern.describe()).copied() } else { None };
        // In order of the rules: the first that covers is the first of all.
        let other = self.others.iter().find(|(other, _)| other.covers(pattern)).map(|(_, index)| *index);
        exact.into_iter().chain(other).min()
    }
}
