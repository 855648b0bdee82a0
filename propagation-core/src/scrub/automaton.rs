//! A table that reads a byte in five instructions: finds where something *may* be, for all detectors at once.
//!
//! [`Automaton::new`] turns patterns into a deterministic automaton by the subset construction. Nothing is captured and no
//! match is told from another: the automaton only says at which byte some pattern is complete, so that the exact and dearer
//! checks run there and nowhere else.

use std::collections::HashMap;

/// One place of a pattern.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The bytes that may stand here.
    pub(super) accepts: fn(u8) -> bool,
    pub(super) times: Times,
}

/// How often a place may be filled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    OnceOrMore,
    OnceOrNever,
}

/// Sets of places of all patterns, as bits.
type Places = [u64; 4];

/// States are kept as where their row begins in the table, so this is also what the table can hold.
const ROOM: usize = 1 << 16;

/// The row of the state that stays once a pattern is complete.
const COMPLETE: u16 = 0;

pub(super) struct Automaton {
    /// Bytes that no pattern tells apart share a column.
    columns: [u8; 256],
    rows: Box<[u16; ROOM]>,
    /// The states after a letter or digit, and after anything else or nothing.
    inside: u16,
    outside: u16,
}

impl Automaton {
    /// The automaton for all of `patterns`. At most 256 places in all.
    pub(super) fn new(patterns: &[Vec<Place>]) -> Self {
        Builder::new(patterns).build()
    }

    /// The index of the first byte from `start` on that completes a pattern which begins at `start` or later, or one before
    /// if that is no letter or digit.
    #[inline]
    pub(super) fn find(&self, bytes: &[u8], start: usize) -> Option<usize> {
        let is_inside = start > 0 && super::class::is_alnum(super::class::before(bytes, start));
        let mut state = if is_inside { self.inside } else { self.outside };
        let mut index = start;
        let (chunks, rest) = super::class::from(bytes, start).as_chunks::<8>();
        for chunk in chunks {
            let mut reached = state;
            for byte in chunk {
                reached = self.next(reached, *byte);
            }
            if reached == COMPLETE {
                break;
            }
            state = reached;
            index += 8;
        }
        let rest = if index + rest.len() == bytes.len() { rest } else { super::class::from(bytes, index) };
        for (offset, byte) in rest.iter().enumerate() {
            state = self.next(state, *byte);
            if state == COMPLETE {
                return Some(index + offset);
            }
        }
        None
    }

    #[inline(always)]
    fn next(&self, state: u16, byte: u8) -> u16 {
        let column = self.columns.get(usize::from(byte)).copied().unwrap_or(0);
        let cell = state.wrapping_add(u16::from(column));
        self.rows.get(usize::from(cell)).copied().unwrap_or(COMPLETE)
    }
}

impl std::fmt::Debug for Automaton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Automaton").finish_non_exhaustive()
    }
}

struct Builder {
    /// For each byte, the places that it may fill.
    fills: Vec<Places>,
    /// For each place, the places that may be filled next.
    follows: Vec<Places>,
    firsts: Places,
    lasts: Places,
}

impl Builder {
    fn new(patterns: &[Vec<Place>]) -> Self {
        let mut it = Self { fills: vec![[0; 4]; 256], follows: Vec::new(), firsts: [0; 4], lasts: [0; 4] };
        for pattern in patterns {
            let base = it.follows.len();
            insert(&mut it.firsts, base);
            insert(&mut it.lasts, base + pattern.len() - 1);
            for (offset, place) in pattern.iter().enumerate() {
                for (byte, fills) in (0..=u8::MAX).zip(&mut it.fills) {
                    if (place.accepts)(byte) {
                        insert(fills, base + offset);
                    }
                }
                let mut follows = [0; 4];
                if place.times == Times::OnceOrMore {
                    insert(&mut follows, base + offset);
                }
                for (further, next) in pattern.iter().enumerate().skip(offset + 1) {
                    insert(&mut follows, base + further);
                    if next.times != Times::OnceOrNever {
                        break;
                    }
                }
                it.follows.push(follows);
            }
        }
        it
    }

    fn build(&self) -> Automaton {
        let mut columns = [0; 256];
        let mut kinds: Vec<Places> = Vec::new();
        for (column, fills) in columns.iter_mut().zip(&self.fills) {
            let kind = kinds.iter().position(|kind| kind == fills).unwrap_or_else(|| {
                kinds.push(*fills);
                kinds.len() - 1
            });
            *column = u8::try_from(kind).unwrap_or(u8::MAX);
        }
        let width = kinds.len();
        // What does not fit would stay at COMPLETE: slower, but nothing is missed. A test sees to it that all fits.
        let mut rows: Box<[u16; ROOM]> =
            vec![COMPLETE; ROOM].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([COMPLETE; ROOM]));
        let mut known: HashMap<Places, u16> = HashMap::new();
        let mut open: Vec<(Places, u16)> = Vec::new();
        let mut used = width;
        let mut row_of = |state: Places, open: &mut Vec<(Places, u16)>| {
            if intersects(&state, &self.lasts) {
                return COMPLETE;
            }
            *known.entry(state).or_insert_with(|| match u16::try_from(used) {
                Ok(row) if used + width <= ROOM => {
                    used += width;
                    open.push((state, row));
                    row
                }
                _ => COMPLETE,
            })
        };
        let start = |byte: usize| both(&self.firsts, self.fills.get(byte).unwrap_or(&[0; 4]));
        // `G` stands for letters and digits, NUL for anything else: no pattern that goes on after either needs to know which.
        let inside = row_of([0; 4], &mut open);
        let outside = row_of(start(0), &mut open);
        while let Some((state, row)) = open.pop() {
            let mut reach = self.firsts;
            for (place, follows) in self.follows.iter().enumerate() {
                if contains(&state, place) {
                    reach = either(&reach, follows);
                }
            }
            for (column, kind) in kinds.iter().enumerate() {
                let next = row_of(both(&reach, kind), &mut open);
                if let Some(cell) = rows.get_mut(usize::from(row) + column) {
                    *cell = next;
                }
            }
        }
        Automaton { columns, rows, inside, outside }
    }
}

fn insert(places: &mut Places, place: usize) {
    if let Some(bits) = places.get_mut(place / 64) {
        *bits |= 1 << (place % 64);
    }
}

fn contains(places: &Places, place: usize) -> bool {
    places.get(place / 64).is_some_and(|bits| bits >> (place % 64) & 1 != 0)
}

fn intersects(a: &Places, b: &Places) -> bool {
    both(a, b) != [0; 4]
}

fn both(a: &Places, b: &Places) -> Places {
    let ([a, b, c, d], [e, f, g, h]) = (*a, *b);
    [a & e, b & f, c & g, d & h]
}

fn either(a: &Places, b: &Places) -> Places {
    let ([a, b, c, d], [e, f, g, h]) = (*a, *b);
    [a | e, b | f, c | g, d | h]
}

#[cfg(test)]
impl Automaton {
    /// How much of the table is in use, from 0 to 1.
    pub(super) fn fill(&self) -> f64 {
        let last = self.rows.iter().rposition(|row| *row != COMPLETE).unwrap_or(0);
        last as f64 / ROOM as f64
    }
}
