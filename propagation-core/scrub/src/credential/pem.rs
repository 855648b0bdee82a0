//! PEM armour (RFC 7468) and its variants: PGP's, SSH2's, with the spaces of a form.

use crate::Detector;
use crate::class::{at, before, count, from, is_base64_url};
use crate::scan::Stretch;

/// Returns the block whose `BEGIN` is at `begin`, from its dashes to the end of its last line.
///
/// A block without an end goes on to the end of the text.
pub(super) fn armour(bytes: &[u8], begin: usize) -> Option<Stretch> {
    let head = bytes.get(..begin)?;
    // `-----BEGIN`, and `---- BEGIN` in the format of SSH2 (RFC 4716).
    let space = usize::from(before(bytes, begin) == b' ');
    let dashes = head.iter().rev().skip(space).take(5).take_while(|byte| **byte == b'-').count();
    let is_label = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b' ' | b'+' | b'_');
    let label = count(bytes, begin + 5, 64, is_label);
    let body = begin + 5 + label;
    if dashes < 4
        || label < 2
        || !matches!(at(bytes, begin + 5), b' ' | b'+' | b'_')
        || !from(bytes, body).starts_with(b"----")
    {
        return None;
    }
    let start = begin - space - dashes;
    let end = from(bytes, body).windows(8).position(|window| window.starts_with(b"-") && is_end(window));
    let end = end.map_or(bytes.len(), |offset| {
        let label = body + offset + 8;
        let dashes = label + count(bytes, label, 64, |byte| byte != b'-');
        dashes + count(bytes, dashes, 5, |byte| byte == b'-')
    });
    Some((Detector::Pem, start, end))
}

/// Returns the end of the private part `"d"` of a JSON web key, whose value begins at `start`.
pub(crate) fn private_exponent(bytes: &[u8], start: usize) -> Option<usize> {
    let length = count(bytes, start, usize::MAX, is_base64_url);
    (length >= 40 && at(bytes, start + length) == b'"').then_some(start + length)
}

/// Whether the last dashes before an `END` and that word are here.
fn is_end(window: &[u8]) -> bool {
    window.starts_with(b"----END ") || window.starts_with(b"----END+") || window.starts_with(b"--- END ")
}
