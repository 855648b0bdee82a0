//! The character classes of W3C Baggage, and percent-encoding.

use std::borrow::Cow;

const TOKEN: u8 = 1;
const OCTET: u8 = 2;

/// Which grammar elements each byte may stand in.
const CLASSES: [u8; 256] = classes();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, and never out of bounds")]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7f {
        let mut class = 0;
        // `tchar` of RFC 7230, 3.2.6.
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            )
        {
            class |= TOKEN;
        }
        // `baggage-octet` of W3C Baggage, 3.3.1.3.
        if !matches!(byte, b'"' | b',' | b';' | b'\\') {
            class |= OCTET;
        }
        classes[byte as usize] = class;
        byte += 1;
    }
    classes
}

fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is(byte, TOKEN))
}

/// Whether every byte may stand in a value.
pub(crate) fn is_value(text: &[u8]) -> bool {
    text.iter().all(|&byte| is(byte, OCTET))
}

/// Whether every `%` starts an escape.
pub(crate) fn escapes_are_whole(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        match rest.get(at..) {
            Some([_, high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest = tail,
            _ => return false,
        }
    }
    true
}

/// Percent-encodes everything outside `baggage-octet`, and `%`.
pub(crate) fn encode(value: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for &byte in value {
        if byte != b'%' && is(byte, OCTET) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0x0f)]);
        }
    }
}

/// Encodes each `%` that starts no escape; everything else stays.
pub(crate) fn mend_escapes(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some((&byte, tail)) = rest.split_first() {
        let whole = matches!(tail, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
        out.push(byte);
        if byte == b'%' && !whole {
            out.extend_from_slice(b"25");
        }
        rest = tail;
    }
}

/// Percent-decodes; `%` without two hex digits stands for itself, bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(value: &[u8]) -> Cow<'_, str> {
    if !value.contains(&b'%') {
        return String::from_utf8_lossy(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let [high, low, tail @ ..] = tail
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            bytes.push(u8::try_from(high << 4 | low).unwrap_or_default());
            rest = tail;
        } else {
            bytes.push(byte);
        }
    }
    // Valid UTF-8, which is the rule, is not copied again.
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()).into()
}
