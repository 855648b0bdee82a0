//! The classes of bytes, as one table.

/// `0`–`9`.
pub(super) const DIGIT: u8 = 1;
/// `A`–`Z`.
pub(super) const UPPER: u8 = 1 << 1;
/// `a`–`z`.
pub(super) const LOWER: u8 = 1 << 2;
/// A letter that is not a hexadecimal digit.
pub(super) const BEYOND_HEX: u8 = 1 << 3;
/// The signs of base64: `+`, `/`, `-`, `_`.
pub(super) const BASE64_EXTRA: u8 = 1 << 4;
/// A sign at which a detector starts.
pub(super) const MARK: u8 = 1 << 5;
/// A letter or a digit.
pub(super) const ALNUM: u8 = 1 << 6;
/// A sign that words, numbers and names do not have.
pub(super) const SPRINKLED: u8 = 1 << 7;

const TABLE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the loop")]
        let class = of_byte(byte as u8);
        #[expect(clippy::indexing_slicing, reason = "bounded by the loop, and checked by the compiler")]
        {
            table[byte] = class;
        }
        byte += 1;
    }
    table
};

const fn of_byte(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => ALNUM | DIGIT,
        b'A'..=b'F' => ALNUM | UPPER,
        b'G'..=b'Z' => ALNUM | UPPER | BEYOND_HEX,
        b'a'..=b'f' => ALNUM | LOWER,
        b'g'..=b'z' => ALNUM | LOWER | BEYOND_HEX,
        b'+' => BASE64_EXTRA | MARK,
        b'/' | b'-' | b'_' => BASE64_EXTRA,
        b'@' | b'%' | b'=' => MARK | SPRINKLED,
        b':' | b'>' => MARK,
        b'!' | b'#' | b'$' | b'^' | b'&' | b'*' | b'?' | b'\\' | b'`' => SPRINKLED,
        b'~' | b'|' => SPRINKLED | MARK,
        // The first bytes of the characters that `decode::fold` knows.
        #[expect(clippy::match_same_arms, reason = "for another reason")]
        0xC2 | 0xD9 | 0xDB | 0xDF | 0xE0..=0xE3 | 0xEA | 0xEF | 0xF0 => MARK,
        _ => 0,
    }
}

/// Returns the class bits of a byte.
#[inline(always)]
pub(super) fn of(byte: u8) -> u8 {
    TABLE.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Returns the byte at `index`, or NUL (which has no class) past the end.
#[inline(always)]
pub(super) fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

/// Returns the byte before `index`, or NUL at the start.
#[inline(always)]
pub(super) fn before(bytes: &[u8], index: usize) -> u8 {
    match index.checked_sub(1) {
        Some(index) => at(bytes, index),
        None => 0,
    }
}

/// Returns the bytes from `index` on, or none past the end.
#[inline(always)]
pub(super) fn from(bytes: &[u8], index: usize) -> &[u8] {
    bytes.get(index..).unwrap_or(&[])
}

/// Returns the count of bytes from `index` on that satisfy `wanted`, at most `most`.
#[inline]
pub(super) fn count(bytes: &[u8], index: usize, most: usize, wanted: impl Fn(u8) -> bool) -> usize {
    from(bytes, index).iter().take(most).take_while(|byte| wanted(**byte)).count()
}

#[inline(always)]
pub(super) fn is_alnum(byte: u8) -> bool {
    of(byte) & ALNUM != 0
}

/// Whether a byte is in either alphabet of base64, padding aside.
#[inline(always)]
pub(super) fn is_base64(byte: u8) -> bool {
    of(byte) & (ALNUM | BASE64_EXTRA) != 0
}

/// Whether a byte is in the URL-safe alphabet of base64, padding aside.
#[inline(always)]
pub(super) fn is_base64_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Returns the value of a hexadecimal digit.
#[inline(always)]
pub(super) fn hex(byte: u8) -> Option<u8> {
    HEX.get(usize::from(byte)).copied().filter(|value| *value < NO_HEX)
}

const NO_HEX: u8 = 16;

const HEX: [u8; 256] = {
    let mut table = [NO_HEX; 256];
    let mut value = 0;
    while value < NO_HEX {
        #[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
        {
            table[b"0123456789abcdef"[value as usize] as usize] = value;
            table[b"0123456789ABCDEF"[value as usize] as usize] = value;
        }
        value += 1;
    }
    table
};
