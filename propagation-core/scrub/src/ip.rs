//! IPv4 and IPv6 addresses, and MAC addresses with colons, which begin like them.

use super::Detector;
use super::class::{at, before, count, from, hex, is_alnum};
use super::key::Key;
use super::mac;
use super::scan::{Search, Stretch};

/// Returns the end of the IPv4 address whose first number begins at `start`, unless it is a version or part of a name.
pub(super) fn v4(key: &Key<'_>, bytes: &[u8], start: usize) -> Option<usize> {
    let (previous, before_that) = (before(bytes, start), before(bytes, start.saturating_sub(1)));
    match previous {
        b'.' => return None,
        // `Chrome/120.0.0.0`, but `http://10.0.0.1`, and `/10.0.0.1` as Java prints it.
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

/// Returns the end of four numbers from 0 to 255 between dots, some of them octal or padded with zeros.
///
/// A number with a leading zero has three or four digits: `1.02.03.04` is a version.
fn quad(bytes: &[u8], start: usize) -> Option<usize> {
    plain_quad(bytes, start).or_else(|| {
        let mut index = start;
        for place in 0..4 {
            if place > 0 {
                if at(bytes, index) != b'.' {
                    return None;
                }
                index += 1;
            }
            let length = count(bytes, index, 5, |byte| byte.is_ascii_digit());
            let number = bytes.get(index..index + length)?;
            let is_octal = number.first() == Some(&b'0') && number.iter().all(|byte| *byte < b'8');
            let base = if is_octal && length == 4 { 8 } else { 10 };
            let value = number.iter().fold(0, |sum, digit| sum * base + u32::from(digit - b'0'));
            if !(1..=4).contains(&length) || value > 255 || (number.first() == Some(&b'0') && length == 2) {
                return None;
            }
            index += length;
        }
        (!at(bytes, index).is_ascii_digit()).then_some(index)
    })
}

/// Returns the end of four numbers from 0 to 255 without leading zeros, between dots.
fn plain_quad(bytes: &[u8], start: usize) -> Option<usize> {
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

/// Whether a version begins with 0: `0.12.3.4`. No host has such an address (RFC 1122, 3.2.1.3).
fn is_small_version(quad: &[u8]) -> bool {
    quad.starts_with(b"0.") && quad.split(|byte| *byte == b'.').all(|number| number.len() < 3)
}

/// Whether a word for versions comes before: `Chrome 120.0.0.0`, `version: 1.2.3.4`.
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

/// Returns the IPv6 or MAC address whose first group is the run from `start` to `end`. The run of one that begins `::` is empty.
pub(super) fn grouped(search: &Search<'_>, bytes: &[u8], start: usize, end: usize) -> Option<Stretch> {
    let found = match (at(bytes, end), end - start) {
        (b':', _) => coloned(bytes, start)?,
        (b'-', 2) => (Detector::Mac, mac::dashed(bytes, start)?),
        (b'.', 4) => (Detector::Mac, mac::dotted(bytes, start)?),
        _ => return None,
    };
    search.has(found.0).then_some((found.0, start, found.1))
}

/// Returns the address of groups of hexadecimal digits between colons that begins at `start`.
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
