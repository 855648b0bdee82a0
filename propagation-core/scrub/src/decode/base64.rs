//! Base64, decoded as far as it is text.

use std::ops::ControlFlow;

use super::{Decoder, SMALL_WINDOW, WINDOW, windows};
use crate::class::{at, count, from, is_base64};
use crate::scan::{Hit, Report, Search};

/// Searches the text that base64 from `start` on encodes, and returns its end: `start` if it does not encode text.
pub(crate) fn search(
    bytes: &[u8],
    start: usize,
    settings: &Search<'_>,
    report: &mut Report<'_>,
) -> ControlFlow<(), usize> {
    let decoder = Base64 { bytes, index: start, held: 0, bits: 0, awaited: 0 };
    // One random triple in twenty looks like text; two in a row are worth the search.
    let mut probe = decoder.clone();
    if (0..6).any(|_| probe.next().is_none()) {
        return ControlFlow::Continue(start);
    }
    let mut inner = |_: &Base64<'_>, hit: Hit| {
        // The whole token: base64 with a part cut out makes no sense.
        let end = start + count(bytes, start, usize::MAX, is_base64);
        let end = end + count(bytes, end, 2, |byte| byte == b'=');
        report(Hit { start, end, encoded: true, ..hit })
    };
    let last = if count(bytes, start, SMALL_WINDOW + 1, is_base64) <= SMALL_WINDOW {
        windows::<SMALL_WINDOW, _>(decoder, settings, &mut inner)?
    } else {
        windows::<WINDOW, _>(decoder, settings, &mut inner)?
    };
    ControlFlow::Continue(last.position())
}

/// Base64 in either alphabet, as far as it decodes to text.
#[derive(Clone)]
struct Base64<'b> {
    bytes: &'b [u8],
    index: usize,
    held: u32,
    bits: u8,
    /// The bytes of a UTF-8 character that are missing.
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

    /// A hit in base64 covers the whole token, so positions do not matter.
    fn trace(&mut self, _count: usize) {}
}

/// Decodes groups of four digits while they are printable ASCII, and returns the count of groups.
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

/// Marks a byte that is not a digit, above the three bytes.
const NO_TRIPLE: u32 = 1 << 31;

/// Returns the six bits of a digit at their place in three bytes.
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

/// Returns the six bits of a base64 digit of either alphabet.
#[inline(always)]
pub(crate) const fn base64_digit(byte: u8) -> Option<u8> {
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

/// Whether after this second digit the second byte may be printable ASCII.
#[inline]
pub(crate) fn may_be_text(second: u8) -> bool {
    base64_digit(second).is_some_and(|bits| matches!(bits & 15, 2..=7))
}

/// Whether a token decodes to `user:password`.
pub(crate) fn is_user_and_password(token: &[u8]) -> bool {
    let mut decoder = Base64 { bytes: token, index: 0, held: 0, bits: 0, awaited: 0 };
    let mut has_colon = false;
    while let Some(byte) = decoder.next() {
        has_colon |= byte == b':';
    }
    // A password may be in Latin-1, which is not text here; the user name up to the colon must be.
    has_colon && from(token, decoder.index).iter().all(|byte| base64_digit(*byte).is_some())
}
