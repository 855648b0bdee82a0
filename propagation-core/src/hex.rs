//! Lower-case hex, eight characters at a time.
//!
//! The integer parsers of the standard library accept a sign, upper case and short input; the Trace Context grammar
//! (`HEXDIGLC`) accepts none of them.

const ONES: u64 = 0x0101_0101_0101_0101;

/// Whether all bytes are lower-case hex digits.
#[inline]
fn are_digits<const N: usize>(text: &[u8; N]) -> bool {
    // Without a way out early, the compiler looks at sixteen at a time.
    text.iter().fold(true, |all, &byte| all & (byte.wrapping_sub(b'0') < 10 || byte.wrapping_sub(b'a') < 6))
}

/// What eight lower-case hex digits stand for; something else where they are none.
#[inline]
fn number(text: [u8; 8]) -> u64 {
    let word = u64::from_be_bytes(text);
    // Bit 6 tells letters from digits; a letter's low four bits count from one.
    let letters = (word >> 6) & ONES;
    let nibbles = (word & (ONES * 0x0f)).wrapping_add(letters * 9);
    let pairs = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    (quads | quads >> 16) & 0xffff_ffff
}

/// Decodes sixteen lower-case hex digits.
#[inline]
pub(crate) fn decode_u64(text: [u8; 16]) -> Option<u64> {
    let ([high, low], []) = text.as_chunks::<8>() else { return None };
    are_digits(&text).then(|| number(*high) << 32 | number(*low))
}

/// Decodes thirty-two lower-case hex digits.
#[inline]
pub(crate) fn decode_u128(text: [u8; 32]) -> Option<u128> {
    let ([a, b, c, d], []) = text.as_chunks::<8>() else { return None };
    let wide = |high: [u8; 8], low: [u8; 8]| u128::from(number(high) << 32 | number(low));
    are_digits(&text).then(|| wide(*a, *b) << 64 | wide(*c, *d))
}

/// Decodes two lower-case hex digits.
#[inline]
pub(crate) fn decode_u8(text: [u8; 2]) -> Option<u8> {
    let [high, low] = text;
    Some(decode_digit(high)? << 4 | decode_digit(low)?)
}

/// Decodes one lower-case hex digit.
#[inline]
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
                assert_eq!(are_digits(&text), legal, "{byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn words_decode_in_reading_order() {
        assert_eq!(number(*b"deadbeef"), 0xdead_beef);
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
