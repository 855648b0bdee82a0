//! Social security numbers and telephones, and which numbers to look at.

use super::class::{at, before, is_alnum};
use super::pass::{Pass, Stretch};
use super::{Detector, address, card, key};

/// What the run of digits from `start` to `end` is, or begins.
pub(super) fn digits(
    pass: &Pass<'_>,
    chain: &mut card::Chain,
    bytes: &[u8],
    start: usize,
    end: usize,
) -> Option<Stretch> {
    let length = end - start;
    let next = at(bytes, end);
    if length <= 3 {
        if next == b'.'
            && pass.has(Detector::Ipv4)
            && let Some(end) = address::ipv4(pass.key, bytes, start)
        {
            return Some((Detector::Ipv4, start, end));
        }
        if length == 3
            && matches!(next, b'-' | b' ')
            && pass.has(Detector::UsSsn)
            && let Some(end) = ssn(bytes, start)
        {
            return Some((Detector::UsSsn, start, end));
        }
    }
    if length == 9
        && pass.has(Detector::UsSsn)
        && is_ssn(bytes.get(start..start + 3), bytes.get(start + 3..start + 5), bytes.get(start + 5..end))
        && !is_alnum(next)
        && follows_ssn_word(bytes, start)
    {
        return Some((Detector::UsSsn, start, end));
    }
    if pass.has(Detector::PaymentCard)
        && let Some(end) = card::card(pass.key, chain, bytes, start, end)
    {
        return Some((Detector::PaymentCard, start, end));
    }
    None
}

/// `SSN 536904399`, `ssn=…`, `SSN: …`, `"ssn":"…"`.
fn follows_ssn_word(bytes: &[u8], start: usize) -> bool {
    let head = bytes.get(..start).unwrap_or(&[]);
    let gap =
        head.iter().rev().take(4).take_while(|byte| matches!(byte, b' ' | b':' | b'=' | b'#' | b'"' | b'\'')).count();
    let head = head.get(..head.len() - gap).unwrap_or(&[]);
    let Some((rest, word)) = head.split_last_chunk::<3>() else { return false };
    gap > 0 && word.eq_ignore_ascii_case(b"ssn") && !rest.last().is_some_and(u8::is_ascii_alphanumeric)
}

/// The end of the social security number whose area is at `start`.
fn ssn(bytes: &[u8], start: usize) -> Option<usize> {
    let separator = at(bytes, start + 3);
    if at(bytes, start + 6) != separator {
        return None;
    }
    let end = start + 11;
    if !is_ssn(bytes.get(start..start + 3), bytes.get(start + 4..start + 6), bytes.get(start + 7..end)) {
        return None;
    }
    let (previous, next) = (before(bytes, start), at(bytes, end));
    let in_chain = |neighbour: u8, beyond: u8| match neighbour {
        b'-' | b'.' | b'/' | b'_' => beyond.is_ascii_digit(),
        b' ' => separator == b' ' && beyond.is_ascii_digit(),
        _ => false,
    };
    (!is_alnum(next)
        && !in_chain(next, at(bytes, end + 1))
        && !in_chain(previous, before(bytes, start.saturating_sub(1))))
    .then_some(end)
}

/// Whether area, group and serial are any that the Social Security Administration assigns.
fn is_ssn(area: Option<&[u8]>, group: Option<&[u8]>, serial: Option<&[u8]>) -> bool {
    let (Some(area), Some(group), Some(serial)) = (area, group, serial) else {
        return false;
    };
    [area, group, serial].into_iter().flatten().all(u8::is_ascii_digit)
        && area != b"000"
        && area != b"666"
        && area.first() != Some(&b'9')
        && group != b"00"
        && serial != b"0000"
}

/// The most digits of an international number (ITU-T E.164), and one for a trunk zero in parentheses.
const LONGEST_PHONE: usize = 16;

/// The end of the telephone number whose `+` is at `plus`.
pub(super) fn phone(bytes: &[u8], plus: usize) -> Option<usize> {
    if is_alnum(before(bytes, plus)) {
        return None;
    }
    let number = Dialled::read(bytes, plus + 1);
    if !matches!(number.first, b'1'..=b'9') || !(7..=LONGEST_PHONE).contains(&number.digits) {
        return None;
    }
    // North America and Russia have eleven digits, always.
    if number.digits < 10 && matches!(number.first, b'1' | b'7') {
        return None;
    }
    // With ten digits and more it is a telephone number to anyone who sees it, assigned or not.
    if number.digits < 10 && !is_country(bytes, plus + 1) {
        return None;
    }
    // Build metadata goes on with letters; an extension (x123, ext. 4) may follow.
    let next = at(bytes, number.end);
    let is_extension = matches!(next, b'x' | b'X' | b'e' | b'#');
    if is_alnum(next) && !is_extension {
        return None;
    }
    // +1234567.89
    if number.dots == 1 && number.separators == 1 && number.last <= 2 {
        return None;
    }
    Some(number.end)
}

/// A value that is nothing but a telephone or social security number, under a key that says so.
pub(super) fn local(pass: &Pass<'_>, bytes: &[u8]) -> Option<Stretch> {
    if pass.has(Detector::Phone) && key::is_phone(pass.key.bytes) {
        let number = Dialled::read(bytes, 0);
        let is_whole = number.end == bytes.len() || matches!(at(bytes, number.end), b'x' | b'X' | b' ');
        // A `cell` is also a part of a deployment, with a number of its own.
        let least = if key::is_phone_only(pass.key.bytes) { 7 } else { 10 };
        if is_whole && (least..=LONGEST_PHONE + 1).contains(&number.digits) {
            return Some((Detector::Phone, 0, number.end));
        }
    }
    if pass.has(Detector::UsSsn) && key::is_ssn(pass.key.bytes) {
        return is_ssn_in_any_groups(bytes).then_some((Detector::UsSsn, 0, bytes.len()));
    }
    None
}

/// Nine digits, whatever stands between them.
fn is_ssn_in_any_groups(bytes: &[u8]) -> bool {
    let mut digits = [0; 9];
    let mut length = 0;
    for byte in bytes {
        if byte.is_ascii_digit() {
            let Some(room) = digits.get_mut(length) else { return false };
            *room = *byte;
            length += 1;
        } else if !matches!(byte, b' ' | b'-' | b'.' | b'_' | b'/') {
            return false;
        }
    }
    length == digits.len() && is_ssn(digits.get(..3), digits.get(3..5), digits.get(5..))
}

/// Whether a value is as long as a telephone number in the form its country dials it, and begins like one.
pub(super) fn may_be_local(bytes: &[u8]) -> bool {
    (7..=32).contains(&bytes.len()) && matches!(bytes.first(), Some(b'0'..=b'9' | b'('))
}

struct Dialled {
    end: usize,
    digits: usize,
    first: u8,
    /// Digits in the last group.
    last: usize,
    separators: usize,
    dots: usize,
}

impl Dialled {
    /// Reads digits with at most two separators between them, and stops where there can be no number any more.
    fn read(bytes: &[u8], start: usize) -> Self {
        let mut it = Self { end: start, digits: 0, first: 0, last: 0, separators: 0, dots: 0 };
        let mut index = start;
        let mut gap = 0;
        loop {
            match at(bytes, index) {
                byte @ b'0'..=b'9' => {
                    if it.digits == 0 {
                        it.first = byte;
                    }
                    it.digits += 1;
                    if gap > 0 && it.digits > 1 {
                        it.separators += 1;
                        it.last = 0;
                    }
                    it.last += 1;
                    gap = 0;
                    it.end = index + 1;
                    if it.digits > LONGEST_PHONE + 1 {
                        break;
                    }
                }
                byte @ (b' ' | b'-' | b'.' | b'(' | b')' | b'/') if gap < 2 => {
                    it.dots += usize::from(byte == b'.');
                    gap += 1;
                }
                _ => break,
            }
            index += 1;
        }
        it.dots = if gap > 0 && at(bytes, it.end) == b'.' { it.dots - 1 } else { it.dots };
        it
    }
}

/// Whether an assigned country code begins at `index` (ITU-T E.164, annexed list).
fn is_country(bytes: &[u8], index: usize) -> bool {
    let thirds: &[u8] = match (at(bytes, index), at(bytes, index + 1)) {
        (b'2', b'1') => b"12368",
        (b'2', b'9') => b"01789",
        (b'3', b'8') => b"01235679",
        (b'4', b'2') => b"013",
        (b'8', b'0' | b'7') => b"08",
        (b'8', b'5') => b"02356",
        (b'8', b'8') => b"012368",
        (b'9', b'6') => b"012345678",
        (b'9', b'7') => b"012345679",
        (b'9', b'9') => b"234568",
        (b'0', _) | (b'2', b'8') | (b'8', b'3' | b'9') => b"",
        _ => b"0123456789 -.()/",
    };
    thirds.contains(&at(bytes, index + 2))
}
