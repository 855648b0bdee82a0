//! Ethernet (MAC) addresses with dashes or dots. Those with colons are recognised beside IPv6.

use super::class::{at, before, hex, is_alnum};

/// Returns the end of six pairs between dashes.
pub(super) fn dashed(bytes: &[u8], start: usize) -> Option<usize> {
    let end = start + 17;
    let address = bytes.get(start..end)?;
    let is_pairs = address.iter().enumerate().all(|(place, byte)| match place % 3 {
        2 => *byte == b'-',
        _ => hex(*byte).is_some(),
    });
    // Digits alone are a date and a time.
    (is_pairs
        && address.iter().any(u8::is_ascii_alphabetic)
        && !is_alnum(at(bytes, end))
        && !(at(bytes, end) == b'-' && is_alnum(at(bytes, end + 1)))
        && !(before(bytes, start) == b'-' && is_alnum(before(bytes, start.saturating_sub(1)))))
    .then_some(end)
}

/// Returns the end of three groups of four between dots.
pub(super) fn dotted(bytes: &[u8], start: usize) -> Option<usize> {
    let end = start + 14;
    let address = bytes.get(start..end)?;
    let is_groups = address.iter().enumerate().all(|(place, byte)| match place % 5 {
        4 => *byte == b'.',
        _ => hex(*byte).is_some(),
    });
    (is_groups
        && address.iter().any(u8::is_ascii_alphabetic)
        && address.iter().any(u8::is_ascii_digit)
        && !is_alnum(at(bytes, end))
        && !(matches!(at(bytes, end), b'.' | b'-') && is_alnum(at(bytes, end + 1)))
        && !matches!(before(bytes, start), b'.' | b'-'))
    .then_some(end)
}
