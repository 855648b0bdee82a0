//! Percent-encoding.

use std::borrow::Cow;

use crate::{hex, octets};

pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && octets::all(text, octets::TOKEN)
}

/// Returns whether these are the two digits of a percent escape.
pub(super) fn is_escape(high: u8, low: u8) -> bool {
    octets::is(high, octets::HEX) && octets::is(low, octets::HEX)
}

/// Percent-encodes everything outside `baggage-octet`, and `%`.
pub(crate) fn encode(value: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for &byte in value {
        if byte != b'%' && octets::is(byte, octets::VALUE) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0x0f)]);
        }
    }
}

/// Encodes each `%` that starts no escape. Stops once `out` is longer than `limit`.
pub(crate) fn mend_escapes(value: &[u8], out: &mut Vec<u8>, limit: usize) {
    let mut rest = value;
    while let Some((plain, tail)) = split_at_percent(rest) {
        if out.len() > limit {
            return;
        }
        // Of nothing but percent signs, each would be a call for nothing.
        if !plain.is_empty() {
            out.extend_from_slice(plain);
        }
        if matches!(tail, [high, low, ..] if is_escape(*high, *low)) {
            out.push(b'%');
        } else {
            out.extend_from_slice(b"%25");
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
}

/// Splits at the first `%`.
fn split_at_percent(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if let [b'%', tail @ ..] = text {
        return Some((&[], tail));
    }
    let (plain, rest) = text.split_at_checked(octets::find(text, b'%')?)?;
    Some((plain, rest.get(1..)?))
}

/// Percent-decodes; `%` without two hex digits stays, bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(value: &[u8]) -> Cow<'_, str> {
    if octets::find(value, b'%').is_none() {
        // Valid text, which is the rule, is borrowed for less.
        return std::str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed);
    }
    // Of the decoded length: each `%` of a canonical value starts an escape.
    let escapes = value.iter().filter(|byte| **byte == b'%').count();
    let mut bytes = Vec::with_capacity(value.len().saturating_sub(2 * escapes));
    decode_each(value, |piece| bytes.extend_from_slice(piece));
    // Valid UTF-8, which is the rule, is not copied again.
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()).into()
}

/// Passes the decoded bytes of a value to a function, piece by piece.
pub(crate) fn decode_each(value: &[u8], mut each: impl FnMut(&[u8])) {
    let mut rest = value;
    while let Some((plain, tail)) = split_at_percent(rest) {
        each(plain);
        rest = if let [high, low, tail @ ..] = tail
            && let Some(byte) = hex::escaped(*high, *low)
        {
            each(&[byte]);
            tail
        } else {
            each(b"%");
            tail
        };
    }
    each(rest);
}
