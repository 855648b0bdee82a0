//! Whether escaped text may have a match once it is decoded, checked without decoding it.
//!
//! One pass runs the automaton over the raw and over the decoded text. A percent-encoded byte ends with a letter or digit, so after it
//! the raw text has begun no pattern: bytes that then complete a pattern of the raw text complete one of the decoded text as well, if not
//! sooner.

use super::automaton::{Automaton, COMPLETE};
use super::class::{at, before};
use super::decode::{self, Unescape};
use super::trigger::REACH;

/// The decoded view of a text up to an index.
#[derive(Clone, Copy)]
pub(super) enum Decoded {
    /// The text had neither an escape nor a trigger so far.
    NoEscape,
    /// The decoded text has no match so far, and its automaton is in this state.
    Clean(u32),
    /// The decoded text may have a match.
    MayMatch,
}

/// The automaton over both views of a text.
struct Views<'t, 'b> {
    triggers: &'t Automaton,
    bytes: &'b [u8],
    index: usize,
    /// The index after the last escape, or the letter of one with a backslash.
    done: usize,
    /// The state of the decoded text; of the raw text, once the decoded text may have a match.
    state: u32,
    is_suspect: bool,
    is_escaped: bool,
}

impl Decoded {
    /// Continues from the escape at `index` to the next trigger of the raw text that is not an escape. Returns the end of that trigger, the
    /// end of the last escape, and whether any escape changes the text.
    pub(super) fn find(&mut self, triggers: &Automaton, bytes: &[u8], index: usize) -> (Option<usize>, usize, bool) {
        let state = match *self {
            Self::Clean(state) => state,
            Self::MayMatch => triggers.outside(),
            Self::NoEscape => {
                let start = index.saturating_sub(REACH);
                let head = bytes.get(start..index).unwrap_or(&[]);
                head.iter().fold(triggers.at(bytes, start), |state, byte| triggers.next(state, *byte))
            }
        };
        let is_suspect = matches!(self, Self::MayMatch) || state == COMPLETE;
        let mut views = Views { triggers, bytes, index, done: index, state, is_suspect, is_escaped: false };
        let trigger = views.find();
        *self = if views.is_suspect { Self::MayMatch } else { Self::Clean(views.state) };
        (trigger, views.done, views.is_escaped)
    }
}

impl Views<'_, '_> {
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

    /// Walks plain text and escapes of one plain byte each, up to another escape or the end of a trigger.
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

    /// Returns the end of the trigger that was just walked, unless only the decoded text has it.
    fn trigger(&mut self) -> Option<usize> {
        let last = self.index - 1;
        if !self.is_suspect {
            let since = self.bytes.get(self.done..self.index).unwrap_or(&[]);
            let raw = since
                .iter()
                .fold(self.triggers.at(self.bytes, self.done), |state, byte| self.triggers.next(state, *byte));
            if raw != COMPLETE {
                self.is_suspect = true;
                self.state = raw;
                return None;
            }
        }
        if at(self.bytes, last) < 0x80 || decode::is_folded(self.bytes, last) {
            return Some(last);
        }
        // The character only looks like one with a plainer form: a quotation mark, mostly.
        self.done = self.index;
        self.state = self.triggers.outside();
        None
    }

    /// Walks a percent-encoded byte that is part of another escape or of a longer character.
    fn percent(&mut self) -> Option<usize> {
        let (byte, end) = Unescape::at(self.bytes, self.index).read();
        // The character may be escaped in part.
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

    /// Walks a backslash and a letter.
    fn backslash(&mut self) -> Option<usize> {
        let (byte, end) = Unescape::at(self.bytes, self.index).read();
        self.done = self.index + 1;
        self.index += 2;
        // The letter may begin a pattern of the raw text.
        let raw = self.triggers.next(self.triggers.outside(), at(self.bytes, self.done));
        if end < self.index {
            // The backslash escapes nothing.
            self.state = raw;
            return None;
        }
        self.is_escaped = true;
        self.read(byte);
        self.apart(raw, end)
    }

    #[inline(always)]
    fn read(&mut self, byte: Option<u8>) {
        if let Some(byte) = byte {
            self.state = self.triggers.next(self.state, byte);
            self.is_suspect |= self.state == COMPLETE;
        }
    }

    /// Walks the rest of an escape, which only the raw text has, up to `end`; its automaton is in the state `raw`. Then walks both
    /// views until their states are equal. Returns the end of a trigger of the raw text.
    fn apart(&mut self, mut raw: u32, end: usize) -> Option<usize> {
        while raw != COMPLETE && self.index < end {
            if decode::is_percent(self.bytes, self.index) {
                raw = self.triggers.inside();
                self.index += 3;
                self.done = self.index;
            } else {
                raw = self.triggers.next(raw, at(self.bytes, self.index));
                self.index += 1;
            }
        }
        while raw != COMPLETE && !self.is_suspect && raw != self.state {
            let byte = at(self.bytes, self.index);
            if matches!(byte, b'%' | b'\\') || self.index >= self.bytes.len() {
                return None;
            }
            raw = self.triggers.next(raw, byte);
            self.read(Some(byte));
            self.index += 1;
        }
        if raw == COMPLETE {
            self.is_suspect = true;
            return Some(self.index - 1);
        }
        self.state = raw;
        None
    }
}

/// Whether a backslash and this letter may be an escape.
const fn is_letter(byte: u8) -> bool {
    matches!(byte, b'n' | b'r' | b't' | b'u')
}
