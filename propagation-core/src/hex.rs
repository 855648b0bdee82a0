//! Lower-case hex.
//!
//! The integer parsers of the standard library accept a sign, upper case and short input; the Trace Context grammar
//! (`HEXDIGLC`) accepts none of them. Lengths are known when the program is compiled and no loop has a way out early: so the
//! compiler looks at sixteen bytes at once.

/// Decodes lower-case hex digits, two a byte. Returns whether all of them are; the output is undefined otherwise.
#[inline(never)]
pub(crate) fn decode<const DIGITS: usize, const BYTES: usize>(text: &[u8; DIGITS], out: &mut [u8; BYTES]) -> bool {
    const { assert!(DIGITS == 2 * BYTES) };
    let (mut legal, mut nibbles) = (true, [0; DIGITS]);
    for (nibble, &byte) in nibbles.iter_mut().zip(text) {
        let (digit, letter) = (byte.wrapping_sub(b'0'), byte.wrapping_sub(b'a'));
        legal &= (digit < 10) | (letter < 6);
        *nibble = if digit < 10 { digit } else { letter.wrapping_add(10) };
    }
    for (out, [high, low]) in out.iter_mut().zip(nibbles.as_chunks::<2>().0) {
        *out = high << 4 | low;
    }
    legal
}

/// Decodes two lower-case hex digits.
#[inline]
pub(crate) fn decode_byte([high, low]: [u8; 2]) -> Option<u8> {
    Some(decode_digit(high)? << 4 | decode_digit(low)?)
}

/// Decodes the two digits of a percent escape, in either case (RFC 3986, 2.1); `None` if they are not hex.
#[inline]
pub(crate) fn escaped(high: u8, low: u8) -> Option<u8> {
    decode_byte([high.to_ascii_lowercase(), low.to_ascii_lowercase()])
}

/// Returns the two upper-case digits of a byte's percent escape.
#[inline]
pub(crate) fn escape(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'A' - 10 };
    [digit(byte >> 4), digit(byte & 0x0f)]
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

/// Writes bytes as lower-case hex, two digits each.
#[inline(never)]
pub(crate) fn encode<const BYTES: usize, const DIGITS: usize>(bytes: &[u8; BYTES], out: &mut [u8; DIGITS]) {
    const { assert!(DIGITS == 2 * BYTES) };
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 0x0f)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_outside_the_alphabet_is_refused_at_every_place() {
        for place in 0..32 {
            for byte in 0..=u8::MAX {
                let mut text = *b"0a9f3c7e0123456789abcdef00000000";
                text[place] = byte;
                let legal = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                assert_eq!(decode(&text, &mut [0; 16]), legal, "{byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn digits_decode_in_reading_order() {
        let mut out = [0; 8];
        assert!(decode(b"0123456789abcdef", &mut out));
        assert_eq!(out, 0x0123_4567_89ab_cdef_u64.to_be_bytes());
        assert_eq!(decode_byte(*b"a7"), Some(0xa7));
        assert_eq!(decode_byte(*b"A7"), None);
    }

    #[test]
    fn encoded_bytes_decode_again() {
        let every: [u8; 256] = std::array::from_fn(|byte| u8::try_from(byte).unwrap());
        let (mut text, mut decoded) = ([0; 512], [0; 256]);
        encode(&every, &mut text);
        assert_eq!(&text[..8], b"00010203");
        assert!(decode(&text, &mut decoded));
        assert_eq!(decoded, every);
    }
}
