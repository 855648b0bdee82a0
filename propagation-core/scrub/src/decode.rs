//! Decoding: escaped text and base64 are decoded window by window and searched again, so that no input needs memory.

mod base64;
mod fold;

use std::ops::ControlFlow;

use super::class::{at, from, hex};
use super::scan::{Hit, Report, Search};

pub(super) use base64::{base64_digit, is_user_and_password, may_be_text, search as base64};
pub(super) use fold::{DIGITS_OF_THREE, fold, folds, is_folded};

/// Decoded text is searched in windows of this many bytes.
const WINDOW: usize = 4096;
/// The end of a window that is searched again with the next one. Every match is shorter.
const OVERLAP: usize = 512;
/// The window for short input: clearing the large one would cost more than the search.
const SMALL_WINDOW: usize = 256;

/// A decoder of bytes.
trait Decoder: Clone {
    fn next(&mut self) -> Option<u8>;
    /// Fills `room` from its start, and returns how much of it: all, unless the decoder is at its end.
    fn fill(&mut self, room: &mut [u8]) -> usize;
    /// Returns the index up to which the decoder has read.
    fn position(&self) -> usize;
    /// Advances by `count` bytes, if positions matter.
    fn trace(&mut self, count: usize);
}

/// Searches `bytes` with their escapes resolved: percent-encoding of any depth, the escapes of JSON, full-width forms, digits of other
/// scripts, typographic spaces and dashes.
pub(super) fn unescaped(bytes: &[u8], search: &Search<'_>, report: &mut Report<'_>) -> ControlFlow<()> {
    let decoder = Unescape::at(bytes, 0);
    let mut inner = |origin: &Unescape<'_>, hit: Hit| {
        let mut walk = origin.clone();
        walk.trace(hit.start);
        // Characters without width, like a soft hyphen, belong to the next one.
        let start = walk.position();
        walk.trace(hit.end - hit.start);
        let end = walk.position();
        let encoded = hit.encoded || end - start != hit.end - hit.start;
        report(Hit { start, end, encoded, ..hit })
    };
    if bytes.len() <= SMALL_WINDOW {
        windows::<SMALL_WINDOW, _>(decoder, search, &mut inner)?;
    } else {
        windows::<WINDOW, _>(decoder, search, &mut inner)?;
    }
    ControlFlow::Continue(())
}

/// Searches the output of `decoder`, and returns the decoder at its end. A hit is reported with the decoder as it was at the start of
/// the window.
fn windows<const SIZE: usize, D: Decoder>(
    mut decoder: D,
    search: &Search<'_>,
    report: &mut dyn FnMut(&D, Hit) -> ControlFlow<()>,
) -> ControlFlow<(), D> {
    let mut window = [0; SIZE];
    // The place in this window at which the next one begins.
    let advance = SIZE - OVERLAP.min(SIZE / 4);
    let mut kept = 0;
    let mut origin = decoder.clone();
    loop {
        let mut filled = kept + decoder.fill(window.get_mut(kept..advance).unwrap_or(&mut []));
        let next = decoder.clone();
        if filled == advance {
            filled += decoder.fill(window.get_mut(advance..).unwrap_or(&mut []));
        }
        search.over(window.get(..filled).unwrap_or(&[]), &mut |hit| report(&origin, hit))?;
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

    /// Returns the next byte, and the index after its encoded form.
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
            // Plain bytes are copied, eight at a time.
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
            // Most escapes encode a plain byte, and few backslashes are escapes.
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

/// Returns the count of bytes before the first that is not ASCII, a `%` or a backslash.
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
    // A zero byte borrows from those above it only, so the lowest mark is exact.
    zeros(word ^ (ONES * 0x25)) | zeros(word ^ (ONES * 0x5C))
}

#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

/// Returns the byte that `%` and two hexadecimal digits at `index` encode.
#[inline]
pub(super) fn percent(bytes: &[u8], index: usize) -> Option<u8> {
    let [b'%', high, low] = *from(bytes, index).first_chunk()? else { return None };
    pair(high, low)
}

/// Returns the byte of two hexadecimal digits.
#[inline(always)]
pub(super) fn pair(high: u8, low: u8) -> Option<u8> {
    Some(hex(high)? << 4 | hex(low)?)
}

/// Whether a byte is percent-encoded at `index`.
#[inline]
pub(super) fn is_percent(bytes: &[u8], index: usize) -> bool {
    percent(bytes, index).is_some()
}

/// Returns the byte at `index`, however often it was percent-encoded, and the index after it.
#[inline]
pub(super) fn unpercent(bytes: &[u8], index: usize) -> (u8, usize) {
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

/// Returns the byte of the escape whose backslash is before `index`, as in JSON and most languages, and the index after it.
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
