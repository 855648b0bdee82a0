//! What a value says once it is decoded, window by window, so that no input needs memory.

mod base64;

use std::ops::ControlFlow;

use super::class::{at, from, hex};
use super::pass::{Each, Hit, Pass};

pub(super) use base64::{base64_digit, is_user_and_password, may_be_text, search as base64};

/// Decoded text is searched in windows of this many bytes …
const WINDOW: usize = 4096;
/// … of which the last ones are searched again with what follows. What is recognised as a whole is shorter.
const OVERLAP: usize = 512;
/// The window for short input, which is nearly all input: clearing the large one would cost more than the search.
const SMALL_WINDOW: usize = 256;

/// Bytes that come out of other bytes.
trait Decoder: Clone {
    fn next(&mut self) -> Option<u8>;
    /// Fills `room` from its start, and returns how much of it: all, unless the decoder is at its end.
    fn fill(&mut self, room: &mut [u8]) -> usize;
    /// How far the decoder has read.
    fn position(&self) -> usize;
    /// Goes on by `count` bytes, if anybody asks where bytes come from.
    fn trace(&mut self, count: usize);
}

/// Searches what `bytes` say once their escapes are resolved: percent-encoding of any depth, the escapes of JSON,
/// full-width forms, the typographic spaces and dashes.
pub(super) fn unescaped(bytes: &[u8], pass: &Pass<'_>, each: &mut Each<'_>) -> ControlFlow<()> {
    let decoder = Unescape::at(bytes, 0);
    let mut inner = |origin: &Unescape<'_>, hit: Hit| {
        let mut walk = origin.clone();
        walk.trace(hit.start);
        // What is dropped, like a soft hyphen, belongs to what follows it.
        let start = walk.position();
        walk.trace(hit.end - hit.start);
        let end = walk.position();
        let encoded = hit.encoded || end - start != hit.end - hit.start;
        each(Hit { start, end, encoded, ..hit })
    };
    if bytes.len() <= SMALL_WINDOW {
        windows::<SMALL_WINDOW, _>(decoder, pass, &mut inner)?;
    } else {
        windows::<WINDOW, _>(decoder, pass, &mut inner)?;
    }
    ControlFlow::Continue(())
}

/// Searches what `decoder` gives, and returns it as it is at its end. Hits come with the decoder as it was before the first
/// byte that they count from.
fn windows<const SIZE: usize, D: Decoder>(
    mut decoder: D,
    pass: &Pass<'_>,
    each: &mut dyn FnMut(&D, Hit) -> ControlFlow<()>,
) -> ControlFlow<(), D> {
    let mut window = [0; SIZE];
    // Where in this window the next one begins.
    let advance = SIZE - OVERLAP.min(SIZE / 4);
    let mut kept = 0;
    let mut origin = decoder.clone();
    loop {
        let mut filled = kept + decoder.fill(window.get_mut(kept..advance).unwrap_or(&mut []));
        let next = decoder.clone();
        if filled == advance {
            filled += decoder.fill(window.get_mut(advance..).unwrap_or(&mut []));
        }
        pass.over(window.get(..filled).unwrap_or(&[]), &mut |hit| each(&origin, hit))?;
        if filled < SIZE {
            return ControlFlow::Continue(decoder);
        }
        origin = next;
        window.copy_within(advance.., 0);
        kept = SIZE - advance;
    }
}

#[derive(Clone)]
pub(super) struct Unescape<'b> {
    bytes: &'b [u8],
    index: usize,
}

impl<'b> Unescape<'b> {
    pub(super) const fn at(bytes: &'b [u8], index: usize) -> Self {
        Self { bytes, index }
    }

    /// The next byte, and the index after what stands for it.
    pub(super) fn read(mut self) -> (Option<u8>, usize) {
        (self.next(), self.index)
    }
}

impl Decoder for Unescape<'_> {
    #[inline]
    fn next(&mut self) -> Option<u8> {
        loop {
            if self.index >= self.bytes.len() {
                return None;
            }
            let (byte, next) = unpercent(self.bytes, self.index);
            if byte < 0x80 {
                let (byte, next) = if byte == b'\\' { unslash(self.bytes, next) } else { (byte, next) };
                self.index = next;
                return Some(byte);
            }
            let (folded, next) = fold(self.bytes, byte, next);
            self.index = next;
            if let Some(folded) = folded {
                return Some(folded);
            }
        }
    }

    fn fill(&mut self, room: &mut [u8]) -> usize {
        let mut filled = 0;
        loop {
            // What is neither escaped nor foldable is copied as it is, eight bytes at a time.
            while at(self.bytes, self.index) != b'%'
                && let Some(word) = from(self.bytes, self.index).first_chunk()
                && let Some(slot) = room.get_mut(filled..).and_then(<[u8]>::first_chunk_mut)
            {
                *slot = *word;
                let plain = plain(*word);
                self.index += plain;
                filled += plain;
                if plain < word.len() {
                    break;
                }
            }
            // Most escapes stand for a byte that is neither, and few backslashes are escapes.
            let (byte, length) = match *from(self.bytes, self.index) {
                [b'%', high, low, ..] => (hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low), 3),
                [b'\\', next, ..] if !matches!(next, b'n' | b'r' | b't' | b'u') => (Some(b'\\'), 1),
                _ => (None, 0),
            };
            if let Some(byte @ 0..0x80) = byte
                && byte != b'%'
                && let Some(slot) = room.get_mut(filled)
                && (byte != b'\\' || length == 1)
            {
                *slot = byte;
                self.index += length;
                filled += 1;
                continue;
            }
            let Some(slot) = room.get_mut(filled) else { break };
            let Some(byte) = self.next() else { break };
            *slot = byte;
            filled += 1;
        }
        filled
    }

    fn position(&self) -> usize {
        self.index
    }

    fn trace(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }
}

/// How many of eight bytes come before one that is not ASCII, a `%` or a backslash.
#[inline]
fn plain(bytes: [u8; 8]) -> usize {
    let word = u64::from_le_bytes(bytes);
    ((word | signs(word)) & HIGH).trailing_zeros() as usize / 8
}

const ONES: u64 = u64::MAX / 0xFF;
const HIGH: u64 = ONES << 7;

/// Marks the first `%` and the first backslash at their top bits.
#[inline]
const fn signs(word: u64) -> u64 {
    // A byte that is zero borrows from those above it only: the lowest mark is right.
    zeros(word ^ (ONES * 0x25)) | zeros(word ^ (ONES * 0x5C))
}

#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

/// The byte that `%` and two hexadecimal digits at `index` stand for.
#[inline]
pub(super) fn percent(bytes: &[u8], index: usize) -> Option<u8> {
    let [b'%', high, low] = *from(bytes, index).first_chunk()? else { return None };
    pair(high, low)
}

/// The byte that two hexadecimal digits stand for.
#[inline(always)]
pub(super) fn pair(high: u8, low: u8) -> Option<u8> {
    Some(hex(high)? << 4 | hex(low)?)
}

/// Whether a byte is percent-encoded at `index`.
#[inline]
pub(super) fn is_percent(bytes: &[u8], index: usize) -> bool {
    percent(bytes, index).is_some()
}

/// The byte that is written at `index`, however often it was percent-encoded, and the index after it.
#[inline]
fn unpercent(bytes: &[u8], index: usize) -> (u8, usize) {
    let mut byte = at(bytes, index);
    let mut next = index + 1;
    while byte == b'%' {
        let (Some(high), Some(low)) = (hex(at(bytes, next)), hex(at(bytes, next + 1))) else {
            break;
        };
        byte = high << 4 | low;
        next += 2;
    }
    (byte, next)
}

/// What a backslash makes of what follows at `index`, as in JSON and in most languages, and the index after it.
fn unslash(bytes: &[u8], index: usize) -> (u8, usize) {
    match at(bytes, index) {
        b'n' => (b'\n', index + 1),
        b'r' => (b'\r', index + 1),
        b't' => (b'\t', index + 1),
        b'u' => {
            let code = (1..5).try_fold(0, |code, place| Some(code << 4 | u16::from(hex(at(bytes, index + place))?)));
            // Full-width forms are their plain ones, 0xFEE0 further on.
            match code.map(|code| u8::try_from(code).or_else(|_| u8::try_from(code.wrapping_sub(0xFEE0)))) {
                Some(Ok(plain)) if plain.is_ascii() => (plain, index + 5),
                _ => (b'\\', index),
            }
        }
        _ => (b'\\', index),
    }
}

/// Whether the character at `index` has a plainer form.
pub(super) fn folds(bytes: &[u8], index: usize) -> bool {
    let first = at(bytes, index);
    fold(bytes, first, index + 1) != (Some(first), index + 1)
}

/// Whether the character has a plainer form whose second byte is at `last`, or its third if it is the ideographic space.
pub(super) fn is_folded(bytes: &[u8], last: usize) -> bool {
    let back = if bytes.get(..=last).is_some_and(|head| head.ends_with(&[0xE3, 0x80, 0x80])) { 2 } else { 1 };
    last.checked_sub(back).is_some_and(|first| folds(bytes, first))
}

/// The plain form of the character that begins with `first` and goes on at `index`, and the index after it: full-width
/// forms, digits of other scripts, typographic spaces and dashes. `None` for what has no width; the byte itself for all else.
fn fold(bytes: &[u8], first: u8, index: usize) -> (Option<u8>, usize) {
    let (second, after_second) = unpercent(bytes, index);
    let two = match (first, second) {
        (0xC2, 0xA0) => Some(Some(b' ')),
        (0xC2, 0xAD) => Some(None),
        (0xD9, 0xA0..=0xA9) => Some(Some(second - 0xA0 + b'0')),
        (0xDB, 0xB0..=0xB9) => Some(Some(second - 0xB0 + b'0')),
        _ => None,
    };
    if let Some(plain) = two {
        return (plain, after_second);
    }
    let (third, after_third) = unpercent(bytes, after_second);
    let three = match (first, second, third) {
        (0xEF, 0xBC, 0x81..=0xBF) => Some(Some(third - 0x80 + 0x20)),
        (0xEF, 0xBD, 0x80..=0x9E) => Some(Some(third - 0x80 + 0x60)),
        (0xE3, 0x80, 0x80) | (0xE2, 0x80, 0x80..=0x8A | 0xAF) => Some(Some(b' ')),
        (0xE2, 0x80, 0x90..=0x95) | (0xE2, 0x88, 0x92) => Some(Some(b'-')),
        (0xE2, 0x80, 0x8B..=0x8F) | (0xE2, 0x81, 0xA0) | (0xEF, 0xBB, 0xBF) => Some(None),
        _ => None,
    };
    if let Some(plain) = three {
        return (plain, after_third);
    }
    if (first, second, third) == (0xF0, 0x9D, 0x9F) {
        let (fourth, after_fourth) = unpercent(bytes, after_third);
        if (0x8E..=0xBF).contains(&fourth) {
            return (Some((fourth - 0x8E) % 10 + b'0'), after_fourth);
        }
    }
    (Some(first), index)
}
