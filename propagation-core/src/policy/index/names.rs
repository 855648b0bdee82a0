//! Globs, by their literal beginnings and ends.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use smallvec::SmallVec;

use super::{NONE, Place};
use crate::Glob;

/// Globs with their places. The first one that matches a name is found without trying the others.
#[derive(Clone, Debug)]
pub(in crate::policy) struct NameIndex {
    /// The smallest place of all.
    first: Place,
    any: Place,
    exact: HashMap<Box<[u8]>, Place, BuildHasherDefault<NameHasher>>,
    /// `orders.*`, and other globs whose literal beginning is longer than their end.
    prefixes: Affixes,
    /// `*.internal`, and the like, written backwards.
    suffixes: Affixes,
    /// Globs that begin and end with a `*`, in order.
    others: Vec<(Place, Glob)>,
}

impl Default for NameIndex {
    fn default() -> Self {
        Self {
            first: NONE,
            any: NONE,
            exact: HashMap::default(),
            prefixes: Affixes::default(),
            suffixes: Affixes::default(),
            others: Vec::new(),
        }
    }
}

impl NameIndex {
    /// Adds a glob. Of several globs, the smallest place counts, in whatever order they are added.
    pub(in crate::policy) fn add(&mut self, glob: &Glob, place: Place) {
        self.first = self.first.min(place);
        if glob.is_any() {
            self.any = self.any.min(place);
        } else if glob.is_exact() {
            let known = self.exact.entry(glob.as_str().as_bytes().into()).or_insert(place);
            *known = place.min(*known);
        } else {
            let (head, tail) = glob.literal_ends();
            // A glob with one `*` is decided by its end alone.
            let rest = (head.len() + tail.len() + 1 != glob.as_str().len() || !head.is_empty() && !tail.is_empty())
                .then(|| glob.clone());
            if head.is_empty() && tail.is_empty() {
                self.others.push((place, glob.clone()));
            } else if head.len() >= tail.len() {
                self.prefixes.add(head.as_bytes().into(), place, rest);
            } else {
                self.suffixes.add(tail.bytes().rev().collect(), place, rest);
            }
        }
    }

    /// Sorts the globs. Must be called after the last one was added.
    pub(in crate::policy) fn finish(&mut self) {
        self.prefixes.finish();
        self.suffixes.finish();
        self.others.sort_by_key(|(place, _)| *place);
    }

    /// Returns the place of the first glob that matches.
    pub(in crate::policy) fn find(&self, name: &[u8]) -> Option<usize> {
        let first = self.find_before(NONE, name);
        usize::try_from(first).ok().filter(|_| first != NONE)
    }

    /// Returns the place of the first glob before `limit` that matches, or `limit`.
    pub(super) fn find_before(&self, limit: Place, name: &[u8]) -> Place {
        if self.first >= limit {
            return limit;
        }
        let mut first = limit.min(self.any);
        if !self.exact.is_empty()
            && let Some(place) = self.exact.get(name)
        {
            first = first.min(*place);
        }
        self.find_pattern_before(first, name)
    }

    fn find_pattern_before(&self, limit: Place, name: &[u8]) -> Place {
        let mut first = self.prefixes.find_before(limit, name, name);
        if self.suffixes.first < first {
            let mut reversed: SmallVec<[u8; 128]> = SmallVec::from_slice(name);
            reversed.reverse();
            first = self.suffixes.find_before(first, &reversed, name);
        }
        first_of(&self.others, first, name)
    }

    /// Returns true if a glob without a `*` matches.
    pub(super) fn has_exact(&self, name: &[u8]) -> bool {
        self.exact.contains_key(name)
    }

    /// Returns true if a glob matches that has a `*` and is not for every name.
    pub(super) fn has_pattern(&self, name: &[u8]) -> bool {
        self.find_pattern_before(NONE, name) != NONE
    }
}

/// Returns the place of the first glob of a sorted list that matches and is before `limit`, or `limit`.
fn first_of(globs: &[(Place, Glob)], limit: Place, name: &[u8]) -> Place {
    let mut before = globs.iter().take_while(|(place, _)| *place < limit);
    before.find(|(_, glob)| glob.matches(name)).map_or(limit, |(place, _)| *place)
}

/// Prefixes, sorted, each with the longest other one that it begins with.
///
/// All prefixes of a name are the longest one and its chain of parents. The longest is found from the last one that sorts before the name: no
/// prefix of the name can lie between the two.
#[derive(Clone, Debug)]
struct Affixes {
    first: Place,
    sorted: Vec<Affix>,
}

#[derive(Clone, Debug)]
struct Affix {
    text: Box<[u8]>,
    /// The first place that needs no more than this prefix, or one of its parents.
    place: Place,
    /// The globs that begin with this prefix and go on, in order.
    globs: Vec<(Place, Glob)>,
    /// The first place of the globs here and at the parents.
    first_glob: Place,
    parent: Option<usize>,
}

impl Default for Affixes {
    fn default() -> Self {
        Self { first: NONE, sorted: Vec::new() }
    }
}

impl Affixes {
    fn add(&mut self, text: Box<[u8]>, place: Place, glob: Option<Glob>) {
        self.first = self.first.min(place);
        let affix = match glob {
            Some(glob) => Affix { text, place: NONE, globs: vec![(place, glob)], first_glob: place, parent: None },
            None => Affix { text, place, globs: Vec::new(), first_glob: NONE, parent: None },
        };
        self.sorted.push(affix);
    }

    fn finish(&mut self) {
        self.sorted.sort_by(|one, other| one.text.cmp(&other.text));
        self.sorted.dedup_by(|same, first| {
            let is_same = same.text == first.text;
            if is_same {
                first.place = first.place.min(same.place);
                first.first_glob = first.first_glob.min(same.first_glob);
                first.globs.append(&mut same.globs);
            }
            is_same
        });
        // The prefixes of the current one, the longest last.
        let mut parents: Vec<(usize, Place, Place)> = Vec::new();
        let mut texts: Vec<Box<[u8]>> = Vec::new();
        for (at, affix) in self.sorted.iter_mut().enumerate() {
            affix.globs.sort_by_key(|(place, _)| *place);
            while texts.last().is_some_and(|parent| !affix.text.starts_with(parent)) {
                texts.pop();
                parents.pop();
            }
            if let Some((parent, place, first_glob)) = parents.last() {
                affix.parent = Some(*parent);
                affix.place = affix.place.min(*place);
                affix.first_glob = affix.first_glob.min(*first_glob);
            }
            parents.push((at, affix.place, affix.first_glob));
            texts.push(affix.text.clone());
        }
    }

    /// Returns the place of the first glob before `limit` whose prefix `text` begins with and that matches `name`, or `limit`.
    fn find_before(&self, limit: Place, text: &[u8], name: &[u8]) -> Place {
        if self.first >= limit {
            return limit;
        }
        let mut first = limit;
        let after = self.sorted.partition_point(|affix| *affix.text <= *text);
        let mut next = after.checked_sub(1);
        while let Some(affix) = next.and_then(|at| self.sorted.get(at)) {
            next = affix.parent;
            if text.starts_with(&affix.text) {
                first = first.min(affix.place);
                if affix.first_glob >= first {
                    break;
                }
                first = first_of(&affix.globs, first, name);
            }
        }
        first
    }
}

/// Hashes names, eight bytes at a time. The names in the map are the policy's own, so that no caller can make them collide.
#[derive(Clone, Copy, Debug)]
struct NameHasher(u64);

impl Default for NameHasher {
    fn default() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }
}

impl NameHasher {
    /// Multiplies to 128 bits and folds the halves: each bit of the word counts in each bit of the hash.
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let [low, high] =
            [product, product >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default());
        self.0 = low ^ high;
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
            self.mix(u64::from_le_bytes(*chunk));
            rest = tail;
        }
        if !rest.is_empty() {
            self.mix(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_usize(&mut self, length: usize) {
        self.mix(length as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::Hasher};

    use super::*;

    #[test]
    fn names_that_differ_in_one_place_spread_over_the_table() {
        for make in [|at: usize| format!("key.{at:04}"), |at| format!("{at:04}.orders.internal"), |at| format!("t{at}")]
        {
            let hash = |at| {
                let mut hasher = NameHasher::default();
                hasher.write_usize(make(at).len());
                hasher.write(make(at).as_bytes());
                hasher.finish()
            };
            // The bits that a table of 4,096 places uses, and the seven bits by which it distinguishes entries.
            let (places, tags): (HashSet<u64>, HashSet<u64>) =
                (0..4096).map(|at| (hash(at) & 4095, hash(at) >> 57)).unzip();
            // Of as many random places, a share of 1 - 1/e is taken.
            assert!(places.len() > 2_300 && tags.len() > 120, "{} {}", places.len(), tags.len());
        }
    }
}
