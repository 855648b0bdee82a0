//! One pass over a value: split it into runs of letters and digits, and hand each run to the few detectors it could concern.

mod glance;

use std::ops::ControlFlow;

use super::automaton::Automaton;
use super::class::{self, ALNUM, BASE64_EXTRA, BEYOND_HEX, DIGIT, MARK, at, before};
use super::key::Key;
use super::reading::Reading;
use super::trigger::TRIGGERS;
use super::{Detector, Detectors};
use super::{address, card, decode, email, iban, number, secret, token};
use glance::Glance;

/// What a detector found, in the bytes of the pass that found it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) detector: Detector,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) encoded: bool,
}

/// Who is told of hits, and may stop the pass.
pub(super) type Each<'a> = dyn FnMut(Hit) -> ControlFlow<()> + 'a;

/// The settings of a pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass<'k> {
    pub(super) set: Detectors,
    pub(super) key: &'k Key<'k>,
    /// How many more wrappings may be looked through.
    pub(super) depth: u8,
}

/// A recognised stretch: the detector, its first byte and the byte after its last.
pub(super) type Stretch = (Detector, usize, usize);

impl<'k> Pass<'k> {
    pub(super) fn has(&self, detector: Detector) -> bool {
        self.set.contains(detector)
    }

    fn deeper(&self) -> Option<Self> {
        Some(Self { depth: self.depth.checked_sub(1)?, ..*self })
    }

    /// Searches `bytes`, then what they say once their escapes are resolved.
    pub(super) fn over(&self, bytes: &[u8], each: &mut Each<'_>) -> ControlFlow<()> {
        let triggers: &Automaton = &TRIGGERS;
        let Some(first) = triggers.find(bytes, 0) else {
            return ControlFlow::Continue(());
        };
        self.closely(bytes, triggers, first, each)
    }

    /// Looks closely around the trigger at `first` and around all that follow.
    #[inline(never)]
    fn closely(&self, bytes: &[u8], triggers: &Automaton, first: usize, each: &mut Each<'_>) -> ControlFlow<()> {
        let mut walk = Walk {
            pass: self,
            bytes,
            escaped: false,
            reading: Reading::Unread,
            base64_done: 0,
            tokens: token::Seen::default(),
            secrets: secret::Judged::default(),
            chain: card::Chain::default(),
        };
        // Before this, all that can be told was told.
        let mut done = 0;
        let mut trigger = Some(first);
        while let Some(last) = trigger {
            if walk.is_version(last) {
                walk.reading = Reading::Suspect;
                done = last + 1;
                trigger = triggers.find(bytes, done);
                continue;
            }
            if walk.is_unissued(last) {
                walk.reading = Reading::Suspect;
                trigger = triggers.find(bytes, last + 1);
                continue;
            }
            if let Some(begin) = walk.escape(last) {
                let is_escaped;
                (trigger, done, is_escaped) = walk.reading.find(triggers, bytes, begin);
                walk.escaped |= is_escaped;
                continue;
            }
            if at(bytes, last) >= 0x80 {
                walk.fold(last);
                done = last + 1;
                trigger = triggers.find(bytes, done);
                continue;
            }
            walk.reading = Reading::Suspect;
            done = match walk.glance(last) {
                Glance::Nothing => {
                    trigger = triggers.find(bytes, last + 1);
                    continue;
                }
                Glance::From(begin) => {
                    let end = walk.from(done.max(begin), last, each)?;
                    card::beyond_numbers(bytes, end)
                }
            };
            trigger = triggers.find(bytes, done);
        }
        match self.deeper() {
            Some(pass) if walk.escaped && !matches!(walk.reading, Reading::Clean(_)) => {
                decode::unescaped(bytes, &pass, each)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// No detector asks how much longer a run of letters and digits is.
const LONG: usize = 64;

/// The end of the run of letters and digits that goes on at `index`, and the classes in it.
#[inline(always)]
fn run(bytes: &[u8], mut index: usize, mut seen: u8) -> (usize, u8) {
    // Four at a time: ids and digests are long runs, and the bounds check is then one for four.
    while let Some([a, b, c, d]) = class::from(bytes, index).first_chunk::<4>() {
        let class = class::of(*a);
        if class & ALNUM == 0 {
            return (index, seen);
        }
        seen |= class;
        let class = class::of(*b);
        if class & ALNUM == 0 {
            return (index + 1, seen);
        }
        seen |= class;
        let class = class::of(*c);
        if class & ALNUM == 0 {
            return (index + 2, seen);
        }
        seen |= class;
        let class = class::of(*d);
        if class & ALNUM == 0 {
            return (index + 3, seen);
        }
        seen |= class;
        index += 4;
    }
    while let Some(&byte) = bytes.get(index) {
        let class = class::of(byte);
        if class & ALNUM == 0 {
            break;
        }
        seen |= class;
        index += 1;
    }
    (index, seen)
}

struct Walk<'p, 'k, 'b> {
    pass: &'p Pass<'k>,
    bytes: &'b [u8],
    /// Whether anything is percent-encoded or has a plainer form.
    escaped: bool,
    /// Of what is escaped, how it reads.
    reading: Reading,
    /// Before this, base64 was looked through already.
    base64_done: usize,
    tokens: token::Seen,
    secrets: secret::Judged,
    chain: card::Chain,
}

impl Walk<'_, '_, '_> {
    /// Hands over all that begins from `index` to `last`, and returns where to go on.
    fn from(&mut self, mut index: usize, last: usize, each: &mut Each<'_>) -> ControlFlow<(), usize> {
        let bytes = self.bytes;
        if class::is_alnum(before(bytes, index)) {
            index += class::count(bytes, index, usize::MAX, class::is_alnum);
        }
        while index <= last {
            let byte = at(bytes, index);
            let class = class::of(byte);
            let found = if class & ALNUM != 0 {
                let start = index;
                let seen;
                (index, seen) = run(bytes.get(..start + LONG).unwrap_or(bytes), start + 1, class);
                let found = if self.concerns(start, index, byte, seen) {
                    let found = self.run(start, index, seen, each)?;
                    index = self.beyond_base64(start, index);
                    found
                } else {
                    None
                };
                if index >= start + LONG && class::is_alnum(before(bytes, index)) {
                    index = run(bytes, index, 0).0;
                }
                found
            } else {
                index += 1;
                if class & MARK == 0 {
                    continue;
                }
                self.mark(index - 1, byte)
            };
            if let Some((detector, start, end)) = found {
                each(Hit { detector, start, end, encoded: false })?;
                index = index.max(end);
            }
        }
        // A sign whose name was walked is no trigger any more.
        let sign = index + usize::from(matches!(at(bytes, index), b'"' | b'\''));
        if matches!(at(bytes, sign), b':' | b'=')
            && self.pass.has(Detector::Secret)
            && let Some((start, end)) = self.secrets.pair(bytes, sign)
        {
            each(Hit { detector: Detector::Secret, start, end, encoded: false })?;
            index = end;
        }
        ControlFlow::Continue(index)
    }

    /// Whether a run can concern any detector: most words of clean text stop here.
    #[inline(always)]
    fn concerns(&self, start: usize, end: usize, first: u8, seen: u8) -> bool {
        let (second, next) = (at(self.bytes, start + 1), at(self.bytes, end));
        let heads = token::heads(first);
        let length = end - start;
        let is_grouped = match next {
            // Nothing but a card goes on so, unless a social security number does.
            b' ' | b'+' | b'_' | b'/' if seen == ALNUM | DIGIT => length == 3 || card::is_issuer_start(first, second),
            b' ' | b'-' | b'.' | b'+' | b'_' | b'/' | b':' => true,
            _ => false,
        };
        (if seen == ALNUM | DIGIT {
            is_grouped || length >= 9
        } else {
            seen & DIGIT != 0 && (is_grouped || length > 4)
        }) || heads >> (second & 31) & 1 != 0
            || (is_grouped && seen & BEYOND_HEX == 0 && length <= 4)
            || (heads & token::BASE64_HEAD != 0 && (length >= 8 || class::of(next) & BASE64_EXTRA != 0))
    }

    fn run(&mut self, start: usize, end: usize, seen: u8, each: &mut Each<'_>) -> ControlFlow<(), Option<Stretch>> {
        let (pass, bytes) = (self.pass, self.bytes);
        let found = if seen == ALNUM | DIGIT {
            number::digits(pass, &mut self.chain, bytes, start, end)
        } else if seen & DIGIT != 0 && end - start >= 4 && pass.has(Detector::Iban) {
            iban::iban(bytes, start).map(|end| (Detector::Iban, start, end))
        } else {
            None
        };
        let found = found
            .or_else(|| {
                if seen & BEYOND_HEX != 0 || end - start > 4 {
                    return None;
                }
                address::grouped(pass, bytes, start, end)
            })
            .or_else(|| {
                let named = token::heads(at(bytes, start)) >> (at(bytes, start + 1) & 31) & 1 != 0;
                if named { token::token(pass, &mut self.tokens, bytes, start, end) } else { None }
            });
        if found.is_some() {
            return ControlFlow::Continue(found);
        }
        self.base64(start, end, each)?;
        ControlFlow::Continue(None)
    }

    /// Looks through base64 that begins here, if it does.
    #[inline]
    fn base64(&mut self, start: usize, end: usize, each: &mut Each<'_>) -> ControlFlow<()> {
        if start < self.base64_done
            || token::heads(at(self.bytes, start)) & token::BASE64_HEAD == 0
            || (end - start < 8 && class::of(at(self.bytes, end)) & BASE64_EXTRA == 0)
        {
            return ControlFlow::Continue(());
        }
        let Some(pass) = self.pass.deeper() else {
            return ControlFlow::Continue(());
        };
        self.base64_done = decode::base64(self.bytes, start, &pass, each)?;
        ControlFlow::Continue(())
    }

    /// Where to go on after the run from `start` to `end`: what decoded to text for long is nothing else, too. The last bytes are
    /// walked, because the decoder may have taken some that belong to what follows.
    #[inline]
    fn beyond_base64(&self, start: usize, end: usize) -> usize {
        const WALKED: usize = 32;
        let index = self.base64_done.saturating_sub(WALKED);
        if start >= self.base64_done || index <= end {
            return end;
        }
        index + class::count(self.bytes, index, usize::MAX, class::is_alnum)
    }

    fn mark(&mut self, index: usize, byte: u8) -> Option<Stretch> {
        let (pass, bytes) = (self.pass, self.bytes);
        match byte {
            b'@' => self.sign(index),
            b'+' if pass.has(Detector::Phone) => number::phone(bytes, index).map(|end| (Detector::Phone, index, end)),
            b':' if at(bytes, index + 1) == b':' && !class::is_alnum(before(bytes, index)) => {
                address::grouped(pass, bytes, index, index)
            }
            b':' | b'=' if pass.has(Detector::Secret) => {
                self.secrets.pair(bytes, index).map(|(start, end)| (Detector::Secret, start, end))
            }
            b'%' => {
                self.escaped |=
                    class::hex(at(bytes, index + 1)).is_some() && class::hex(at(bytes, index + 2)).is_some();
                None
            }
            0x80.. => {
                self.escaped |= self.escaped || decode::folds(bytes, index);
                None
            }
            _ => None,
        }
    }

    /// What the `@` at `index` belongs to.
    fn sign(&self, index: usize) -> Option<Stretch> {
        let (pass, bytes) = (self.pass, self.bytes);
        token::user_info(bytes, index)
            .filter(|_| pass.has(Detector::Basic))
            .map(|start| (Detector::Basic, start, index))
            .or_else(|| {
                let (start, end) = email::email(bytes, index).filter(|_| pass.has(Detector::Email))?;
                Some((Detector::Email, start, end))
            })
    }
}
