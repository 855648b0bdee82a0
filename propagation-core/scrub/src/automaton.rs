//! A table-driven matcher: finds the bytes at which some trigger pattern is complete, for all detectors at once.
//!
//! [`Automaton::new`] compiles patterns into a deterministic automaton by the subset construction. Nothing is captured, and matches of
//! different patterns are not distinguished: the automaton only reports the byte at which a pattern is complete. The exact checks, which
//! cost more, run around that byte and nowhere else. Reading a byte takes five instructions.
//!
//! The table is built once in a process, in a few milliseconds. Building it at compile time would cost seconds in every
//! compilation.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::class::{before, from, is_alnum};

/// One place of a pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The bytes that match here.
    pub(super) bytes: Bytes,
    pub(super) times: Times,
}

/// How often a place may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    OnceOrMore,
    OnceOrNever,
}

/// The cells of the table, a power of two so that an index is masked instead of checked. Only pages with rows in use are touched.
const CELLS: usize = 1 << 20;

/// The state once a pattern is complete. No byte leaves it.
pub(super) const COMPLETE: u32 = 0;

pub(super) struct Automaton {
    /// Bytes that no pattern distinguishes share a column.
    columns: [u8; 256],
    /// A state is the index of its row.
    rows: Box<[u32; CELLS]>,
    /// The state after a letter or digit that begins no pattern.
    inside: u32,
    /// The state after any other byte, and at the start.
    outside: u32,
}

impl Automaton {
    /// Compiles `patterns`. Patterns that begin alike share places.
    pub(super) fn new<'p>(patterns: impl IntoIterator<Item = &'p [Place]>) -> Self {
        Builder::new(patterns).build()
    }

    /// Returns the index of the first byte from `start` on that completes a pattern. Of the text before `start` only the last byte
    /// counts, as a letter or digit or as something else.
    #[inline]
    pub(super) fn find(&self, bytes: &[u8], start: usize) -> Option<usize> {
        self.walk(self.at(bytes, start), bytes, start)
    }

    /// Returns the state after letters or digits that begin no pattern.
    pub(super) fn inside(&self) -> u32 {
        self.inside
    }

    /// Returns the state after any other byte, and at the start.
    pub(super) fn outside(&self) -> u32 {
        self.outside
    }

    /// Returns the state before the byte at `start`.
    #[inline(always)]
    pub(super) fn at(&self, bytes: &[u8], start: usize) -> u32 {
        if is_alnum(before(bytes, start)) { self.inside } else { self.outside }
    }

    #[inline(always)]
    fn walk(&self, mut state: u32, bytes: &[u8], start: usize) -> Option<usize> {
        let mut index = start;
        // No byte leaves COMPLETE, so checking every eighth byte is enough.
        let (chunks, _) = from(bytes, start).as_chunks::<8>();
        for chunk in chunks {
            let (head, tail) = chunk.split_at(4);
            let half = head.iter().fold(state, |state, byte| self.next(state, *byte));
            let whole = tail.iter().fold(half, |state, byte| self.next(state, *byte));
            if whole == COMPLETE {
                if half != COMPLETE {
                    state = half;
                    index += 4;
                }
                break;
            }
            state = whole;
            index += 8;
        }
        for (offset, byte) in from(bytes, index).iter().enumerate() {
            state = self.next(state, *byte);
            if state == COMPLETE {
                return Some(index + offset);
            }
        }
        None
    }

    /// Returns the state after one more byte.
    #[inline(always)]
    pub(super) fn next(&self, state: u32, byte: u8) -> u32 {
        let column = self.columns.get(usize::from(byte)).copied().unwrap_or(0);
        let cell = state as usize + usize::from(column);
        self.rows.get(cell % CELLS).copied().unwrap_or(COMPLETE)
    }
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes([u64; 4]);

impl Bytes {
    pub(super) const NONE: Self = Self([0; 4]);

    pub(super) const fn of(mut bytes: &[u8]) -> Self {
        let mut set = Self::NONE;
        while let [byte, rest @ ..] = bytes {
            set = set.or(Self::range(*byte, *byte));
            bytes = rest;
        }
        set
    }

    pub(super) const fn range(first: u8, last: u8) -> Self {
        let upto = u128::MAX >> (127 - last % 128);
        let from = u128::MAX << (first % 128);
        let (low, high) = match (first < 128, last < 128) {
            (true, true) => (upto & from, 0),
            (true, false) => (from, upto),
            (false, _) => (0, upto & from),
        };
        Self::halves(low, high)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the other half follows")]
    const fn halves(low: u128, high: u128) -> Self {
        Self([low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64])
    }

    pub(super) const fn or(self, other: Self) -> Self {
        let (Self([a, b, c, d]), Self([e, f, g, h])) = (self, other);
        Self([a | e, b | f, c | g, d | h])
    }

    pub(super) const fn not(self) -> Self {
        let Self([a, b, c, d]) = self;
        Self([!a, !b, !c, !d])
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte / 64)).is_some_and(|bits| bits >> (byte % 64) & 1 != 0)
    }
}

/// A hasher for keys that are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A set of places of patterns. Sets are compared by their [`fingerprint`]s.
type Places = Vec<u16>;

/// Returns the fingerprint of one place (SplitMix64). That of a set is the exclusive or of its places'.
const fn fingerprint(place: u16) -> u64 {
    let z = (place as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

fn fingerprint_of(places: &[u16]) -> u64 {
    places.iter().fold(0, |sum, place| sum ^ fingerprint(*place))
}

/// One place of the compiled patterns.
struct Node {
    /// The bytes that match here, or none for a place that patterns do not share.
    shared: Bytes,
    bytes: Bytes,
    follows: Places,
    is_last: bool,
}

struct Builder {
    nodes: Vec<Node>,
    firsts: Places,
    /// The state of each set of places, and those whose rows are still to be written.
    states: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    open: Vec<(Places, u32)>,
    /// How many cells are in use, and how long a row is.
    used: usize,
    width: usize,
}

impl Builder {
    fn new<'p>(patterns: impl IntoIterator<Item = &'p [Place]>) -> Self {
        let mut it = Self {
            nodes: Vec::new(),
            firsts: Vec::new(),
            states: HashMap::default(),
            open: Vec::new(),
            used: 0,
            width: 0,
        };
        for pattern in patterns {
            it.add(pattern);
        }
        it
    }

    fn node(&self, place: u16) -> Option<&Node> {
        self.nodes.get(usize::from(place))
    }

    /// Adds a pattern, of which the places at its start may be those of another.
    fn add(&mut self, pattern: &[Place]) {
        let mut last = None;
        let mut rest = pattern;
        // Optional and repeated places, and the place before an optional one, belong to one pattern alone.
        while let [place, after @ ..] = rest
            && let [next, ..] = after
            && place.times == Times::Once
            && next.times == Times::Once
        {
            let follows = last.and_then(|last| self.node(last)).map_or(&self.firsts, |node| &node.follows);
            let is_same = |node: &Node| node.shared == place.bytes && !node.is_last;
            let Some(same) = follows.iter().copied().find(|same| self.node(*same).is_some_and(is_same)) else { break };
            last = Some(same);
            rest = after;
        }
        let base = self.nodes.len();
        let place = |offset: usize| u16::try_from(base + offset).unwrap_or(u16::MAX);
        match last.and_then(|last| self.nodes.get_mut(usize::from(last))) {
            None => self.firsts.push(place(0)),
            Some(node) => node.follows.push(place(0)),
        }
        for (offset, here) in rest.iter().enumerate() {
            let mut follows = Vec::new();
            if here.times == Times::OnceOrMore {
                follows.push(place(offset));
            }
            for (further, next) in rest.iter().enumerate().skip(offset + 1) {
                follows.push(place(further));
                if next.times != Times::OnceOrNever {
                    break;
                }
            }
            let shared = if here.times == Times::Once { here.bytes } else { Bytes::NONE };
            self.nodes.push(Node { shared, bytes: here.bytes, follows, is_last: offset + 1 == rest.len() });
        }
    }

    fn build(mut self) -> Automaton {
        let mut columns = [0; 256];
        // The places that match each kind of byte, and the kinds that match each place.
        let mut kinds: Vec<Places> = Vec::new();
        let mut kinds_of: Vec<Vec<u8>> = vec![Vec::new(); self.nodes.len()];
        let mut known: HashMap<u64, u8, BuildHasherDefault<Identity>> = HashMap::default();
        for (byte, column) in (0..=u8::MAX).zip(columns.iter_mut()) {
            let matching = (0..).zip(&self.nodes).filter(|(_, node)| node.bytes.contains(byte));
            let places: Places = matching.map(|(place, _)| place).collect();
            *column = *known.entry(fingerprint_of(&places)).or_insert_with(|| {
                let kind = u8::try_from(kinds.len()).unwrap_or(u8::MAX);
                for place in &places {
                    kinds_of.get_mut(usize::from(*place)).into_iter().for_each(|kinds| kinds.push(kind));
                }
                kinds.push(places);
                kind
            });
        }
        let mut rows = vec![COMPLETE; CELLS].into_boxed_slice();
        self.width = kinds.len();
        // The first row is that of COMPLETE: every byte leads to COMPLETE.
        self.used = self.width;
        // The states in which a pattern has just begun. Most bytes lead to one of these.
        let begun = |kind: &Places| kind.iter().copied().filter(|place| self.firsts.contains(place)).collect();
        let fresh: Vec<Places> = kinds.iter().map(begun).collect();
        let is_last = |place: &u16| self.nodes.get(usize::from(*place)).is_some_and(|node| node.is_last);
        let fresh_ends: Vec<bool> = fresh.iter().map(|places| places.iter().any(is_last)).collect();
        let lasts: Vec<bool> = self.nodes.iter().map(|node| node.is_last).collect();
        let inside = self.row(0, false, Vec::new);
        let begun: Vec<(u64, bool, u32)> = fresh
            .iter()
            .zip(fresh_ends)
            .map(|(places, is_end)| {
                let sum = fingerprint_of(places);
                (sum, is_end, self.row(sum, is_end, || places.clone()))
            })
            .collect();
        let outside = begun.first().map_or(inside, |(_, _, row)| *row);
        // For each kind of byte, the fingerprint of the places that are continued, and whether one of them is the last of a pattern.
        let mut continued = vec![(0, false); kinds.len()];
        while let Some((state, row)) = self.open.pop() {
            let follows =
                state.iter().filter_map(|place| self.nodes.get(usize::from(*place))).flat_map(|node| &node.follows);
            let mut reach: Places = follows.copied().collect();
            reach.sort_unstable();
            reach.dedup();
            for place in &reach {
                let is_last = lasts.get(usize::from(*place)).copied().unwrap_or(false);
                for kind in kinds_of.get(usize::from(*place)).into_iter().flatten() {
                    if let Some((sum, is_end)) = continued.get_mut(usize::from(*kind)) {
                        *sum ^= fingerprint(*place);
                        *is_end |= is_last;
                    }
                }
            }
            for (column, (continued, (begun, begun_ends, begun_row))) in continued.iter_mut().zip(&begun).enumerate() {
                let (sum, is_end) = std::mem::take(continued);
                let next = if sum == 0 {
                    *begun_row
                } else {
                    self.row(sum ^ begun, is_end || *begun_ends, || {
                        let is_here = |place: &u16| {
                            kinds_of
                                .get(usize::from(*place))
                                .is_some_and(|kinds| kinds.iter().any(|kind| usize::from(*kind) == column))
                        };
                        reach
                            .iter()
                            .copied()
                            .filter(is_here)
                            .chain(fresh.get(column).into_iter().flatten().copied())
                            .collect()
                    })
                };
                if let Some(cell) = rows.get_mut(row as usize + column) {
                    *cell = next;
                }
            }
        }
        let rows = rows.try_into().unwrap_or_else(|_| Box::new([COMPLETE; CELLS]));
        Automaton { columns, rows, inside, outside }
    }

    /// Returns the state of the set of places with this fingerprint; `is_end` if one of them is the last of a pattern. A new set gets
    /// the next free row.
    fn row(&mut self, fingerprint: u64, is_end: bool, places: impl FnOnce() -> Places) -> u32 {
        if is_end {
            return COMPLETE;
        }
        if let Some(row) = self.states.get(&fingerprint) {
            return *row;
        }
        // A state for which the table has no room counts as complete: it costs a closer look, and nothing is missed.
        let row = u32::try_from(self.used).ok().filter(|_| self.used + self.width <= CELLS).unwrap_or(COMPLETE);
        if row != COMPLETE {
            self.used += self.width;
            self.open.push((places(), row));
        }
        self.states.insert(fingerprint, row);
        row
    }
}

#[cfg(test)]
impl Automaton {
    /// Returns the cells that no state uses: none if there are too many patterns.
    pub(super) fn spare(&self) -> usize {
        self.rows.iter().rev().take_while(|row| **row == COMPLETE).count()
    }
}
