//! Network addresses: IPv4, IPv6, MAC.

use super::Detector;
use super::class::{at, before, count, from, hex, is_alnum};
use super::key::Key;
use super::pass::{Pass, Stretch};

/// The end of the IPv4 address whose first number begins at `start`, unless it is a version or part of a name.
pub(super) fn ipv4(key: &Key<'_>, bytes: &[u8], start: usize) -> Option<usize> {
    let (previous, before_that) = (before(bytes, start), before(bytes, start.saturating_sub(1)));
    match previous {
        b'.' => return None,
        // Chrome/120.0.0.0, but http://10.0.0.1 and what Java prints: /10.0.0.1
        b'/' if before_that != b'/' && !matches!(before_that, 0 | b' ' | b'=' | b'[' | b'(') => return None,
        // jdk-11.0.2.1
        b'-' | b'_' if !before_that.is_ascii_digit() => return None,
        _ => {}
    }
    let end = quad(bytes, start)?;
    let (next, after_that) = (at(bytes, end), at(bytes, end + 1));
    let goes_on = match next {
        b'.' | b'+' | b'_' => is_alnum(after_that),
        b'-' => after_that.is_ascii_alphabetic(),
        _ => is_alnum(next),
    };
    if goes_on || is_small_version(bytes.get(start..end)?) || key.is_version() || follows_version_word(bytes, start) {
        return None;
    }
    Some(end)
}

/// The end of four numbers from 0 to 255 without leading zeros, separated by dots.
fn quad(bytes: &[u8], start: usize) -> Option<usize> {
    let mut index = start;
    for place in 0..4 {
        if place > 0 {
            if at(bytes, index) != b'.' {
                return None;
            }
            index += 1;
        }
        let (a, b, c) = (at(bytes, index), at(bytes, index + 1), at(bytes, index + 2));
        index += match (a.is_ascii_digit(), b.is_ascii_digit(), c.is_ascii_digit()) {
            (true, false, _) => 1,
            (true, true, _) if a == b'0' => return None,
            (true, true, false) => 2,
            (true, true, true)
                if matches!((a, b, c), (b'1', _, _) | (b'2', b'0'..=b'4', _) | (b'2', b'5', b'0'..=b'5')) =>
            {
                3
            }
            _ => return None,
        };
    }
    (!at(bytes, index).is_ascii_digit()).then_some(index)
}

/// `0.12.3.4`: addresses that begin with 0 are nobody's (RFC 1122, 3.2.1.3).
fn is_small_version(quad: &[u8]) -> bool {
    quad.starts_with(b"0.") && quad.split(|byte| *byte == b'.').all(|number| number.len() < 3)
}

/// `Chrome 120.0.0.0`, `version: 1.2.3.4`.
fn follows_version_word(bytes: &[u8], start: usize) -> bool {
    let head = bytes.get(..start).unwrap_or(&[]);
    let Some((b' ' | b':' | b'=', head)) = head.split_last() else {
        return false;
    };
    let head = head.trim_ascii_end().strip_suffix(b":").unwrap_or(head.trim_ascii_end());
    let length = head.iter().rev().take(12).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = from(head, head.len() - length);
    [
        &b"version"[..],
        b"ver",
        b"build",
        b"release",
        b"rev",
        b"rv",
        b"firmware",
        b"clr",
        b"chrome",
        b"chromium",
        b"edge",
        b"edg",
        b"opera",
        b"firefox",
        b"safari",
        b"webkit",
        b"electron",
    ]
    .into_iter()
    .any(|known| word.eq_ignore_ascii_case(known))
}

/// An IPv6 or MAC address whose first group is the run from `start` to `end`; both are the same for one that begins `::`.
pub(super) fn grouped(pass: &Pass<'_>, bytes: &[u8], start: usize, end: usize) -> Option<Stretch> {
    let found = match (at(bytes, end), end - start) {
        (b':', _) => coloned(bytes, start)?,
        (b'-', 2) => (Detector::Mac, dashed(bytes, start)?),
        (b'.', 4) => (Detector::Mac, dotted(bytes, start)?),
        _ => return None,
    };
    pass.has(found.0).then_some((found.0, start, found.1))
}

/// Groups of hexadecimal digits between colons.
fn coloned(bytes: &[u8], start: usize) -> Option<(Detector, usize)> {
    if before(bytes, start) == b':' && continues(bytes, start) {
        return None;
    }
    let mut index = start;
    let mut groups = 0;
    let (mut gap, mut pairs, mut digits) = (false, true, false);
    if at(bytes, index) == b':' {
        gap = true;
        index += 2;
    }
    loop {
        let length = count(bytes, index, 5, |byte| hex(byte).is_some());
        if length == 0 {
            break;
        }
        if at(bytes, index + length) == b'.'
            && (gap || groups == 6)
            && let Some(end) = quad(bytes, index)
        {
            groups += 2;
            pairs = false;
            digits = true;
            index = end;
            break;
        }
        groups += 1;
        if length > 4 || groups > 8 {
            return None;
        }
        pairs &= length == 2;
        digits |= from(bytes, index).iter().take(length).any(u8::is_ascii_digit);
        index += length;
        if at(bytes, index) != b':' {
            break;
        }
        if at(bytes, index + 1) == b':' {
            if gap {
                return None;
            }
            gap = true;
            index += 2;
        } else if hex(at(bytes, index + 1)).is_some() {
            index += 1;
        } else {
            break;
        }
    }
    if is_alnum(at(bytes, index)) || (gap && at(bytes, index) == b':') {
        return None;
    }
    if pairs && !gap && groups == 6 {
        return Some((Detector::Mac, index));
    }
    // `a::b` is a path in some languages.
    let is_ipv6 = if gap { (1..8).contains(&groups) && (digits || groups > 2) } else { groups == 8 };
    is_ipv6.then_some((Detector::Ipv6, index))
}

/// Whether the group at `start`, which follows a colon, belongs to groups that were tried already.
fn continues(bytes: &[u8], start: usize) -> bool {
    let head = bytes.get(..start - 1).unwrap_or(&[]);
    let length = head.iter().rev().take(5).take_while(|byte| hex(**byte).is_some()).count();
    let beyond = before(bytes, head.len() - length);
    match length {
        0 => beyond == b':',
        1..=4 => !is_alnum(beyond),
        _ => false,
    }
}

/// Six pairs between dashes.
fn dashed(bytes: &[u8], start: usize) -> Option<usize> {
    let end = start + 17;
    let address = bytes.get(start..end)?;
    let is_pairs = address.iter().enumerate().all(|(place, byte)| match place % 3 {
        2 => *byte == b'-',
        _ => hex(*byte).is_some(),
    });
    // Only digits: a date and a time.
    (is_pairs
        && address.iter().any(u8::is_ascii_alphabetic)
        && !is_alnum(at(bytes, end))
        && !(at(bytes, end) == b'-' && is_alnum(at(bytes, end + 1)))
        && !(before(bytes, start) == b'-' && is_alnum(before(bytes, start.saturating_sub(1)))))
    .then_some(end)
}

/// Three groups of four between dots.
fn dotted(bytes: &[u8], start: usize) -> Option<usize> {
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
