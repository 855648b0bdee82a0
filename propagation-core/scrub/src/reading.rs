//! How escaped text reads, told without decoding it: whether anything may be in it at all.
//!
//! One walk tells that of the text as it reads and of the text as it stands. After a percent-encoded byte, which ends with a letter
//! or digit, no pattern is begun as the text stands: what then completes one does so as it reads, too, if not sooner.

use super::automaton::{Automaton, COMPLETE};
use super::class::{at, before};
use super::decode::{self, Unescape};
use super::trigger::REACH;

/// How a text reads once its escapes are resolved.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    /// There was no escape so far, and nothing else to look at.
    Unread,
    /// Nothing may be in it so far: the automaton is in this state.
    Clean(u16),
    /// Something may be in it.
    Suspect,
}

struct Walk<'t, 'b> {
    triggers: &'t Automaton,
    bytes: &'b [u8],
    index: usize,
    /// After the last escape, or at the letter of one with a backslash.
    done: usize,
    /// The state as the text reads; as it stands, once something may be in what it reads.
    state: u16,
    is_suspect: bool,
    is_escaped: bool,
}

impl Reading {
    /// Goes on from the escape at `index` to the next trigger that is no escape, as the text stands. Returns where that ends, and
    /// where the last escape does, and whether any stands for something else.
    pub(super) fn find(&mut self, triggers: &Automaton, bytes: &[u8], index: usize) -> (Option<usize>, usize, bool) {
        let state = match *self {
            Self::Clean(state) => state,
            Self::Suspect => triggers.outside(),
            Self::Unread => {
                let start = index.saturating_sub(REACH);
                let head = bytes.get(start..index).unwrap_or(&[]);
                head.iter().fold(triggers.at(bytes, start), |state, byte| triggers.next(state, *byte))
            }
        };
        let is_suspect = matches!(self, Self::Suspect) || state == COMPLETE;
        let mut walk = Walk { triggers, bytes, index, done: index, state, is_suspect, is_escaped: false };
        let trigger = walk.find();
        *self = if walk.is_suspect { Self::Suspect } else { Self::Clean(walk.state) };
        (trigger, walk.done, walk.is_escaped)
    }
}

impl Walk<'_, '_> {
    fn find(&mut self) -> Option<usize> {
        loop {
            self.stretch();
            if self.state == COMPLETE {
                if let Some(trigger) = self.trigger() {
                    return Some(trigger);
                }
                continue;
            }
            let trigger = match at(self.bytes, self.index) {
                b'%' => self.percent(),
                b'\\' => self.backslash(),
                _ => return None,
            };
            if trigger.is_some() {
                return trigger;
            }
        }
    }

    /// Walks what is no escape, and escapes of one plain byte each, up to any other escape or the end of a trigger.
    #[inline(always)]
    fn stretch(&mut self) {
        let inside = self.triggers.inside();
        let (mut state, mut index) = (self.state, self.index);
        while let Some(&byte) = self.bytes.get(index)
            && state != COMPLETE
        {
            if byte == b'%'
                && let Some(byte) = decode::percent(self.bytes, index)
            {
                if !byte.is_ascii() || matches!(byte, b'%' | b'\\') {
                    break;
                }
                state = if self.is_suspect { inside } else { self.triggers.next(state, byte) };
                if state == COMPLETE {
                    self.is_suspect = true;
                    state = inside;
                }
                index += 3;
                self.done = index;
                self.is_escaped = true;
                continue;
            }
            if byte == b'\\' && is_letter(at(self.bytes, index + 1)) {
                break;
            }
            state = self.triggers.next(state, byte);
            index += 1;
        }
        self.state = state;
        self.index = index;
    }

    /// The end of the trigger that was just walked, unless it is one only as the text reads.
    fn trigger(&mut self) -> Option<usize> {
        let last = self.index - 1;
        if !self.is_suspect {
            let since = self.bytes.get(self.done..self.index).unwrap_or(&[]);
            let stands = since
                .iter()
                .fold(self.triggers.at(self.bytes, self.done), |state, byte| self.triggers.next(state, *byte));
            if stands != COMPLETE {
                self.is_suspect = true;
                self.state = stands;
                return None;
            }
        }
        if at(self.bytes, last) < 0x80 || decode::is_folded(self.bytes, last) {
            return Some(last);
        }
        // It only looks like a character with a plainer form: a quotation mark, mostly.
        self.done = self.index;
        self.state = self.triggers.outside();
        None
    }

    /// Passes a percent-encoded byte that is part of another escape or of a longer character.
    fn percent(&mut self) -> Option<usize> {
        let (byte, end) = Unescape::at(self.bytes, self.index).read();
        // The end of a character that is escaped in part.
        self.is_suspect |= before(self.bytes, self.index) >= 0x80;
        self.is_escaped = true;
        self.read(byte);
        self.index += 3;
        self.done = self.index;
        if self.index < end || self.is_suspect {
            return self.apart(self.triggers.inside(), end);
        }
        None
    }

    /// Passes a backslash and a letter.
    fn backslash(&mut self) -> Option<usize> {
        let (byte, end) = Unescape::at(self.bytes, self.index).read();
        self.done = self.index + 1;
        self.index += 2;
        // What the letter begins may matter as it stands, too.
        let stands = self.triggers.next(self.triggers.outside(), at(self.bytes, self.done));
        if end < self.index {
            // It escapes nothing.
            self.state = stands;
            return None;
        }
        self.is_escaped = true;
        self.read(byte);
        self.apart(stands, end)
    }

    #[inline(always)]
    fn read(&mut self, byte: Option<u8>) {
        if let Some(byte) = byte {
            self.state = self.triggers.next(self.state, byte);
            self.is_suspect |= self.state == COMPLETE;
        }
    }

    /// Walks the rest of an escape, which only stands, up to `end`. Then walks both the text as it stands, of which the automaton is
    /// in the state `stands`, and as it reads, until both are the same. Returns the end of a trigger as the text stands.
    fn apart(&mut self, mut stands: u16, end: usize) -> Option<usize> {
        while stands != COMPLETE && self.index < end {
            if decode::is_percent(self.bytes, self.index) {
                stands = self.triggers.inside();
                self.index += 3;
                self.done = self.index;
            } else {
                stands = self.triggers.next(stands, at(self.bytes, self.index));
                self.index += 1;
            }
        }
        while stands != COMPLETE && !self.is_suspect && stands != self.state {
            let byte = at(self.bytes, self.index);
            if matches!(byte, b'%' | b'\\') || self.index >= self.bytes.len() {
                return None;
            }
            stands = self.triggers.next(stands, byte);
            self.read(Some(byte));
            self.index += 1;
        }
        if stands == COMPLETE {
            self.is_suspect = true;
            return Some(self.index - 1);
        }
        self.state = stands;
        None
    }
}

/// Whether a backslash and this letter may escape something.
const fn is_letter(byte: u8) -> bool {
    matches!(byte, b'n' | b'r' | b't' | b'u')
}
