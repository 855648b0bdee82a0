//! What a value says once it is decoded, window by window, so that no input needs memory.

use std::ops::ControlFlow;

use super::class::{at, count, from, hex, is_base64};
use super::pass::{Each, Hit, Pass};

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
    let decoder = Unescape { bytes, index: 0 };
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

/// Searches the text that base64 from `start` on says, if it says text. Returns how far that goes.
pub(super) fn base64(bytes: &[u8], start: usize, pass: &Pass<'_>, each: &mut Each<'_>) -> ControlFlow<(), usize> {
    let decoder = Base64 { bytes, index: start, held: 0, bits: 0, awaited: 0 };
    // Chance makes one random triple in twenty look like text; two in a row are worth the search.
    let mut probe = decoder.clone();
    if (0..6).any(|_| probe.next().is_none()) {
        return ControlFlow::Continue(start);
    }
    let mut inner = |_: &Base64<'_>, hit: Hit| {
        // All of it, beyond what decodes to text: what is left of base64 after a part is cut out would make no sense.
        let end = start + count(bytes, start, usize::MAX, is_base64);
        let end = end + count(bytes, end, 2, |byte| byte == b'=');
        each(Hit { start, end, encoded: true, ..hit })
    };
    let last = if count(bytes, start, SMALL_WINDOW + 1, is_base64) <= SMALL_WINDOW {
        windows::<SMALL_WINDOW, _>(decoder, pass, &mut inner)?
    } else {
        windows::<WINDOW, _>(decoder, pass, &mut inner)?
    };
    ControlFlow::Continue(last.position())
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
struct Unescape<'b> {
    bytes: &'b [u8],
    index: usize,
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
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(bytes);
    // A byte that is zero borrows from those above it only: the lowest mark is right.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let marks = (word | zeros(word ^ (ONES * 0x25)) | zeros(word ^ (ONES * 0x5C))) & HIGH;
    marks.trailing_zeros() as usize / 8
}

/// The byte that `%` and two hexadecimal digits at `index` stand for.
#[inline]
fn percent(bytes: &[u8], index: usize) -> Option<u8> {
    let [b'%', high, low] = *from(bytes, index).first_chunk()? else { return None };
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

/// Base64 in either alphabet, as far as it decodes to text.
#[derive(Clone)]
struct Base64<'b> {
    bytes: &'b [u8],
    index: usize,
    held: u32,
    bits: u8,
    /// How many bytes of a UTF-8 character are still to come.
    awaited: u8,
}

impl Decoder for Base64<'_> {
    #[inline]
    fn next(&mut self) -> Option<u8> {
        while self.bits < 8 {
            let digit = base64_digit(at(self.bytes, self.index))?;
            self.held = self.held << 6 | u32::from(digit);
            self.bits += 6;
            self.index += 1;
        }
        self.bits -= 8;
        let byte = (self.held >> self.bits & 0xFF) as u8;
        let awaited = match byte {
            0x20..=0x7E | b'\t' | b'\n' | b'\r' if self.awaited == 0 => 0,
            0x80..=0xBF => self.awaited.checked_sub(1)?,
            0xC2..=0xDF if self.awaited == 0 => 1,
            0xE0..=0xEF if self.awaited == 0 => 2,
            0xF0..=0xF4 if self.awaited == 0 => 3,
            _ => return None,
        };
        self.awaited = awaited;
        Some(byte)
    }

    fn fill(&mut self, room: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            if self.bits == 0 && self.awaited == 0 {
                let whole = quads(from(self.bytes, self.index), rest);
                self.index += 4 * whole;
                filled += 3 * whole;
            }
            let (Some(room), Some(byte)) = (room.get_mut(filled), self.next()) else {
                break;
            };
            *room = byte;
            filled += 1;
        }
        filled
    }

    fn position(&self) -> usize {
        self.index
    }

    /// Whatever is found in base64 stands for all of it.
    fn trace(&mut self, _count: usize) {}
}

/// Decodes four digits to three bytes as long as those are printable ASCII, and returns how often they were.
fn quads(digits: &[u8], room: &mut [u8]) -> usize {
    const TOPS: u64 = 0x80_80_80;
    const BOTH: u64 = TOPS << 32 | TOPS;
    const NONE: u64 = (NO_TRIPLE as u64) << 32 | NO_TRIPLE as u64;
    let mut whole = 0;
    for (&[a, b, c, d, e, f, g, h], room) in digits.as_chunks::<8>().0.iter().zip(room.as_chunks_mut::<6>().0) {
        let first = shifted::<18>(a) | shifted::<12>(b) | shifted::<6>(c) | shifted::<0>(d);
        let second = shifted::<18>(e) | shifted::<12>(f) | shifted::<6>(g) | shifted::<0>(h);
        let both = u64::from(first) << 32 | u64::from(second);
        // No byte has its top bit, and each has it once 0x60 is added: it is from 0x20 to 0x7F.
        let printable = both.wrapping_add(0x60_60_60 << 32 | 0x60_60_60);
        if (both | (!printable & BOTH)) & (BOTH | NONE) != 0 {
            break;
        }
        let [_, _, bytes @ ..] = (u64::from(first) << 24 | u64::from(second)).to_be_bytes();
        *room = bytes;
        whole += 2;
    }
    whole
}

/// What is no digit is marked above the three bytes.
const NO_TRIPLE: u32 = 1 << 31;

/// The six bits of a digit, where they stand in three bytes.
#[inline(always)]
fn shifted<const BY: u32>(digit: u8) -> u32 {
    const {
        let mut digits = [NO_TRIPLE; 256];
        let mut byte = 0;
        while byte < 256 {
            #[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
            if DIGITS[byte] != NO_DIGIT {
                digits[byte] = (DIGITS[byte] as u32) << BY;
            }
            byte += 1;
        }
        &{ digits }
    }
    .get(usize::from(digit))
    .copied()
    .unwrap_or(NO_TRIPLE)
}

/// The six bits of a base64 digit of either alphabet.
#[inline(always)]
pub(super) const fn base64_digit(byte: u8) -> Option<u8> {
    #[expect(clippy::indexing_slicing, reason = "no byte is past the end of 256")]
    let digit = DIGITS[byte as usize];
    if digit == NO_DIGIT { None } else { Some(digit) }
}

const NO_DIGIT: u8 = 64;

#[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut alphabet: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0;
    while let [digit, rest @ ..] = alphabet {
        digits[*digit as usize] = bits;
        bits += 1;
        alphabet = rest;
    }
    // The URL-safe alphabet.
    digits[b'-' as usize] = 62;
    digits[b'_' as usize] = 63;
    digits
};

/// Whether a second digit of base64 leaves the second byte no control, and in ASCII.
#[inline]
pub(super) fn may_be_text(second: u8) -> bool {
    base64_digit(second).is_some_and(|bits| matches!(bits & 15, 2..=7))
}

/// Whether a token decodes to `user:password`.
pub(super) fn is_user_and_password(token: &[u8]) -> bool {
    let mut decoder = Base64 { bytes: token, index: 0, held: 0, bits: 0, awaited: 0 };
    let mut has_colon = false;
    while let Some(byte) = decoder.next() {
        has_colon |= byte == b':';
    }
    // A password may be in Latin-1, which is no text here: the user name up to the colon has to be.
    has_colon && from(token, decoder.index).iter().all(|byte| base64_digit(*byte).is_some())
}
