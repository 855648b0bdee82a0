//! Lower-case hex, eight characters at a time.
//!
//! The integer parsers of the standard library accept a sign, upper case and short input; the Trace Context grammar
//! (`HEXDIGLC`) accepts none of them.

const HIGH: u64 = 0x8080_8080_8080_8080;
const ONES: u64 = 0x0101_0101_0101_0101;

/// Decodes eight lower-case hex digits; also answers a word whose top bits say which bytes are something else.
#[inline]
fn decode_word(text: [u8; 8]) -> (u32, u64) {
    let word = u64::from_be_bytes(text);
    // With every byte below 0x80, adding `0x80 - x` sets the top bit of exactly the bytes that are at least `x`. A byte from
    // 0x80 is refused by itself, so it does not matter what it carries into the others.
    let at_least = |x: u64| word.wrapping_add(ONES * (0x80 - x));
    let digit = at_least(0x30) ^ at_least(0x3a);
    let letter = (at_least(0x61) ^ at_least(0x67)) & HIGH;
    let wrong = !(digit | letter) | word;
    // A letter's low bits count from one.
    let nibbles = (word & (ONES * 0x0f)).wrapping_add((letter >> 7) * 9);
    let pairs = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    let [.., a, b, c, d] = (quads | quads >> 16).to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), wrong)
}

#[inline]
fn decode_pair(text: &[u8; 16]) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *text;
    let (high, wrong_high) = decode_word([a, b, c, d, e, f, g, h]);
    let (low, wrong_low) = decode_word([i, j, k, l, m, n, o, p]);
    (u64::from(high) << 32 | u64::from(low), wrong_high | wrong_low)
}

/// Decodes sixteen lower-case hex digits.
pub(crate) fn decode_u64(text: [u8; 16]) -> Option<u64> {
    let (number, wrong) = decode_pair(&text);
    (wrong & HIGH == 0).then_some(number)
}

/// Decodes thirty-two lower-case hex digits.
pub(crate) fn decode_u128(text: [u8; 32]) -> Option<u128> {
    let (number, wrong) = decode_quad(&text)?;
    (wrong & HIGH == 0).then_some(number)
}

/// Decodes a trace id and a span id: one question for both.
#[inline]
pub(crate) fn decode_ids(trace_id: &[u8; 32], span_id: &[u8; 16]) -> Option<(u128, u64)> {
    let (trace_id, wrong) = decode_quad(trace_id)?;
    let (span_id, wrong_span) = decode_pair(span_id);
    ((wrong | wrong_span) & HIGH == 0).then_some((trace_id, span_id))
}

#[inline]
fn decode_quad(text: &[u8; 32]) -> Option<(u128, u64)> {
    let (high, low) = text.split_first_chunk::<16>()?;
    let (high, wrong_high) = decode_pair(high);
    let (low, wrong_low) = decode_pair(low.first_chunk()?);
    Some((u128::from(high) << 64 | u128::from(low), wrong_high | wrong_low))
}

/// Decodes two lower-case hex digits.
pub(crate) fn decode_u8(text: [u8; 2]) -> Option<u8> {
    let [high, low] = text;
    Some(decode_digit(high)? << 4 | decode_digit(low)?)
}

/// Decodes one lower-case hex digit.
pub(crate) fn decode_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Both digits of every byte.
const PAIRS: [[u8; 2]; 256] = pairs();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, and never out of bounds")]
const fn pairs() -> [[u8; 2]; 256] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 0x0f]];
        byte += 1;
    }
    pairs
}

/// Writes `bytes` as lower-case hex into `out`, which is twice as long.
#[inline]
pub(crate) fn encode(bytes: &[u8], out: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(out.as_chunks_mut::<2>().0) {
        *pair = PAIRS.get(usize::from(*byte)).copied().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_outside_the_alphabet_is_refused_at_every_place() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut text = *b"0a9f3c7e";
                text[place] = byte;
                let legal = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                let (_, wrong) = decode_word(text);
                assert_eq!(wrong & HIGH == 0, legal, "{byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn words_decode_in_reading_order() {
        assert_eq!(decode_word(*b"deadbeef").0, 0xdead_beef);
        assert_eq!(decode_u64(*b"0123456789abcdef"), Some(0x0123_4567_89ab_cdef));
    }

    #[test]
    fn what_is_encoded_decodes_again() {
        let mut out = [0; 16];
        encode(&0x0123_4567_89ab_cdef_u64.to_be_bytes(), &mut out);
        assert_eq!(&out, b"0123456789abcdef");
        assert_eq!(decode_u64(out), Some(0x0123_4567_89ab_cdef));
    }
}
