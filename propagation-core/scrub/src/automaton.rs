//! A table that reads a byte in five instructions: finds where something *may* be, for all detectors at once.
//!
//! [`Automaton::new`] turns patterns into a deterministic automaton by the subset construction. Nothing is captured and no
//! match is told from another: the automaton only says at which byte some pattern is complete, so that the exact and dearer
//! checks run there and nowhere else.
//!
//! It is built once in a process, in about two milliseconds. Letting the compiler build it costs eight seconds in each
//! compilation.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::class::{before, from, is_alnum};

/// One place of a pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// What may stand here.
    pub(super) bytes: Bytes,
    pub(super) times: Times,
}

/// How often a place may be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    OnceOrMore,
    OnceOrNever,
}

/// States are kept as where their row begins in the table, so this is also what the table can hold.
const ROOM: usize = 1 << 16;

/// The row of the state that stays once a pattern is complete.
pub(super) const COMPLETE: u16 = 0;

pub(super) struct Automaton {
    /// Bytes that no pattern tells apart share a column.
    columns: [u8; 256],
    rows: Box<[u16; ROOM]>,
    /// The state after a letter or digit that no pattern began with.
    inside: u16,
    /// The state after anything else, or nothing.
    outside: u16,
}

impl Automaton {
    /// The automaton for all of `patterns`, which may have 256 places in all.
    pub(super) fn new(patterns: &[&[Place]]) -> Self {
        Builder::new(patterns).build()
    }

    /// The index of the first byte from `start` on that completes a pattern. What is before `start` counts only as a letter
    /// or digit, or not.
    #[inline]
    pub(super) fn find(&self, bytes: &[u8], start: usize) -> Option<usize> {
        self.walk(self.at(bytes, start), bytes, start)
    }

    /// The state after letters or digits that no pattern began with.
    pub(super) fn inside(&self) -> u16 {
        self.inside
    }

    /// The state after anything else, or nothing.
    pub(super) fn outside(&self) -> u16 {
        self.outside
    }

    /// The state before the byte at `start`.
    #[inline(always)]
    pub(super) fn at(&self, bytes: &[u8], start: usize) -> u16 {
        if is_alnum(before(bytes, start)) { self.inside } else { self.outside }
    }

    #[inline(always)]
    fn walk(&self, mut state: u16, bytes: &[u8], start: usize) -> Option<usize> {
        let mut index = start;
        // COMPLETE stays, so it is enough to look at every eighth byte.
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

    /// The state after one more byte.
    #[inline(always)]
    pub(super) fn next(&self, state: u16, byte: u8) -> u16 {
        let column = self.columns.get(usize::from(byte)).copied().unwrap_or(0);
        let cell = state.wrapping_add(u16::from(column));
        self.rows.get(usize::from(cell)).copied().unwrap_or(COMPLETE)
    }
}

/// Up to 256 of anything, as bits.
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

    pub(super) const fn and(self, other: Self) -> Self {
        let (Self([a, b, c, d]), Self([e, f, g, h])) = (self, other);
        Self([a & e, b & f, c & g, d & h])
    }

    pub(super) const fn not(self) -> Self {
        let Self([a, b, c, d]) = self;
        Self([!a, !b, !c, !d])
    }

    fn insert(&mut self, member: usize) {
        if let Some(bits) = self.0.get_mut(member / 64) {
            *bits |= 1 << (member % 64);
        }
    }

    fn contains(&self, member: usize) -> bool {
        self.0.get(member / 64).is_some_and(|bits| bits >> (member % 64) & 1 != 0)
    }
}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self([a, b, c, d]) = self;
        hasher.write_u64(a ^ b.rotate_left(17) ^ c.rotate_left(31) ^ d.rotate_left(47));
    }
}

/// Fibonacci hashing: what is hashed are our own patterns, so nobody can choose collisions.
#[derive(Default)]
struct Fibonacci(u64);

impl Hasher for Fibonacci {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let product = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ product >> 32;
    }
}

/// Sets of places are of the same shape as sets of bytes.
type Places = Bytes;

struct Builder {
    /// For each byte, the places that it may fill.
    fills: Vec<Places>,
    /// For each place, the places that may be filled next.
    follows: Vec<Places>,
    firsts: Places,
    lasts: Places,
    /// The row of each set of places that is a state, and those whose rows are still to be written.
    states: HashMap<Places, u16, BuildHasherDefault<Fibonacci>>,
    open: Vec<(Places, u16)>,
    /// How much of the table is given out, and how long a row is.
    used: usize,
    width: usize,
}

impl Builder {
    fn new(patterns: &[&[Place]]) -> Self {
        let mut it = Self {
            fills: vec![Places::NONE; 256],
            follows: Vec::new(),
            firsts: Places::NONE,
            lasts: Places::NONE,
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

    fn add(&mut self, pattern: &[Place]) {
        let base = self.follows.len();
        self.firsts.insert(base);
        self.lasts.insert(base + pattern.len() - 1);
        for (offset, place) in pattern.iter().enumerate() {
            for (byte, fills) in self.fills.iter_mut().enumerate() {
                if place.bytes.contains(byte) {
                    fills.insert(base + offset);
                }
            }
            let mut follows = Places::NONE;
            if place.times == Times::OnceOrMore {
                follows.insert(base + offset);
            }
            for (further, next) in pattern.iter().enumerate().skip(offset + 1) {
                follows.insert(base + further);
                if next.times != Times::OnceOrNever {
                    break;
                }
            }
            self.follows.push(follows);
        }
    }

    fn build(mut self) -> Automaton {
        let mut columns = [0; 256];
        let mut kinds: Vec<Places> = Vec::new();
        for (column, fills) in columns.iter_mut().zip(&self.fills) {
            let kind = kinds.iter().position(|kind| kind == fills).unwrap_or_else(|| {
                kinds.push(*fills);
                kinds.len() - 1
            });
            *column = u8::try_from(kind).unwrap_or(u8::MAX);
        }
        let mut rows = Box::new([COMPLETE; ROOM]);
        self.width = kinds.len();
        // The first row stays that of COMPLETE, which leads nowhere else.
        self.used = self.width;
        let inside = self.row(Places::NONE);
        let outside = self.row(self.fills.first().map_or(Places::NONE, |nul| nul.and(self.firsts)));
        // What begins with each byte where nothing is begun: mostly, that is all there is.
        let fresh = kinds.iter().map(|kind| self.firsts.and(*kind)).collect::<Vec<_>>();
        let fresh = fresh.into_iter().map(|state| (state, self.row(state))).collect::<Vec<_>>();
        while let Some((state, row)) = self.open.pop() {
            let mut reach = self.firsts;
            for (place, follows) in self.follows.iter().enumerate() {
                if state.contains(place) {
                    reach = reach.or(*follows);
                }
            }
            for (column, (kind, (begun, begun_row))) in kinds.iter().zip(&fresh).enumerate() {
                let next = reach.and(*kind);
                let next = if next == *begun { *begun_row } else { self.row(next) };
                if let Some(cell) = rows.get_mut(usize::from(row) + column) {
                    *cell = next;
                }
            }
        }
        Automaton { columns, rows, inside, outside }
    }

    /// Where the row of a state begins. A state that is new gets the next one.
    fn row(&mut self, state: Places) -> u16 {
        if state.and(self.lasts) != Places::NONE {
            return COMPLETE;
        }
        if let Some(row) = self.states.get(&state) {
            return *row;
        }
        // States for which there is no room count as complete: each costs a closer look, and nothing is missed.
        let row = u16::try_from(self.used).ok().filter(|_| self.used + self.width <= ROOM).unwrap_or(COMPLETE);
        if row != COMPLETE {
            self.used += self.width;
            self.open.push((state, row));
        }
        self.states.insert(state, row);
        row
    }
}

#[cfg(test)]
impl Automaton {
    /// How many more states there is room for, which is none if the patterns are too many.
    pub(super) fn spare(&self) -> usize {
        let width = 1 + usize::from(self.columns.iter().copied().max().unwrap_or(0));
        self.rows.iter().rev().take_while(|row| **row == COMPLETE).count() / width
    }
}
