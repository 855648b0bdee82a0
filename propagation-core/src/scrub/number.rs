//! Numbers: payment cards, social security numbers, telephones.

use super::class::{self, at, before, is_alnum};
use super::pass::{Pass, Stretch};
use super::{Detector, address, key};

/// The longest card number (ISO/IEC 7812).
const LONGEST_CARD: usize = 19;
const SHORTEST_CARD: usize = 12;

/// What the run of digits from `start` to `end` is, or begins.
pub(super) fn digits(pass: &Pass<'_>, bytes: &[u8], start: usize, end: usize) -> Option<Stretch> {
    let length = end - start;
    let next = at(bytes, end);
    if length <= 3 {
        if next == b'.' && pass.has(Detector::Ipv4) {
            if let Some(end) = address::ipv4(pass.key, bytes, start) {
                return Some((Detector::Ipv4, start, end));
            }
        }
        if length == 3 && matches!(next, b'-' | b' ' | b'.') && pass.has(Detector::UsSsn) {
            if let Some(end) = ssn(pass.key, bytes, start) {
                return Some((Detector::UsSsn, start, end));
            }
        }
    }
    if pass.has(Detector::PaymentCard)
        && is_issuer_start(at(bytes, start))
        && (length >= SHORTEST_CARD || (is_separator(next) && at(bytes, end + 1).is_ascii_digit()))
    {
        if let Some(end) = card(pass.key, bytes, start, end) {
            return Some((Detector::PaymentCard, start, end));
        }
    }
    // 1//0… is a refresh token of Google's.
    if length == 1 && next == b'/' && pass.has(Detector::GoogleKey) && class::from(bytes, start).starts_with(b"1//0") {
        let token = class::count(bytes, start + 3, usize::MAX, class::is_base64_url);
        return (token >= 30).then_some((Detector::GoogleKey, start, start + 3 + token));
    }
    None
}

/// Whether any issuer's prefix begins so. Epochs and dates begin with 1 or 2, most other numbers anyhow.
fn is_issuer_start(byte: u8) -> bool {
    matches!(byte, b'0' | b'1' | b'2' | b'3' | b'4' | b'5' | b'6' | b'8' | b'9')
}

/// What people put between the digits of a card. `+` is a space that a form encoded.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'+' | b'_' | b'/')
}

/// The digits gathered so far, and how they were grouped.
struct Groups {
    digits: [u8; LONGEST_CARD],
    total: usize,
    first: usize,
    last: usize,
    count: usize,
    /// Whether every group after the first has three digits, as thousands have.
    threes: bool,
}

impl Groups {
    fn push(&mut self, group: &[u8]) -> bool {
        let Some(room) = self.digits.get_mut(self.total..self.total + group.len()) else {
            return false;
        };
        room.copy_from_slice(group);
        self.total += group.len();
        self.last = group.len();
        if self.count == 0 {
            self.first = group.len();
        } else {
            self.threes &= group.len() == 3;
        }
        self.count += 1;
        true
    }

    fn is_card(&self) -> bool {
        self.digits.get(..self.total).is_some_and(|digits| is_issued(digits) && luhn(digits))
    }

    /// Whether the groups are those that are printed on cards, so that what follows may belong to something else.
    fn is_printed(&self) -> bool {
        (self.total == 16 && self.first == 4 && self.last == 4 && self.count == 4)
            || (self.total == 15 && self.first == 4 && self.last == 5 && self.count == 3)
    }
}

/// The end of the card number whose first digits are the run from `start` to `end`.
fn card(key: &[u8], bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let previous = before(bytes, start);
    let before_that = before(bytes, start.saturating_sub(1));
    // The decimals of a number; a telephone number.
    if matches!(previous, b'.' | b',' | b'+') && (previous == b'+') != before_that.is_ascii_digit() {
        return None;
    }
    let mut groups = Groups { digits: [0; LONGEST_CARD], total: 0, first: 0, last: 0, count: 0, threes: true };
    if !groups.push(bytes.get(start..end)?) {
        return None;
    }
    let separator = at(bytes, end);
    if !is_separator(separator) || !at(bytes, end + 1).is_ascii_digit() {
        // The tail of a UUID has twelve digits.
        let is_tail = previous == b'-' && is_alnum(before_that);
        if (is_tail && groups.total <= SHORTEST_CARD) || !groups.is_card() {
            return None;
        }
        let digits = groups.digits.get(..groups.total)?;
        return (!begins_with_date(digits) || key::is_card(key)).then_some(end);
    }
    // A group of a longer chain, as in a UUID.
    if previous == separator && separator != b' ' && is_alnum(before_that) {
        return None;
    }
    let mut index = end;
    let mut printed = None;
    while at(bytes, index) == separator && at(bytes, index + 1).is_ascii_digit() {
        if separator == b' ' && groups.is_printed() && groups.is_card() {
            printed = Some(index);
        }
        let length = class::count(bytes, index + 1, LONGEST_CARD + 1, |byte| byte.is_ascii_digit());
        let Some(group) = bytes.get(index + 1..index + 1 + length) else {
            break;
        };
        if !groups.push(group) {
            return printed;
        }
        index += 1 + length;
    }
    let goes_on = is_alnum(at(bytes, index))
        || (separator != b' ' && at(bytes, index) == separator && is_alnum(at(bytes, index + 1)));
    let is_amount = groups.threes && groups.first <= 3;
    let is_decimal = separator == b'.' && groups.count == 2;
    if goes_on || is_amount || is_decimal || groups.total < SHORTEST_CARD || !groups.is_card() {
        return printed;
    }
    Some(index)
}

/// Order numbers like to begin with a date, and `240131…` is also a prefix of Mastercard's.
fn begins_with_date(digits: &[u8]) -> bool {
    let &[b'2', year, m, mm, d, dd, ..] = digits else {
        return false;
    };
    let month = (m - b'0') * 10 + (mm - b'0');
    let day = (d - b'0') * 10 + (dd - b'0');
    digits.len() == 16 && (b'2'..=b'7').contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Whether issuers give out numbers that begin so and are that long.
fn is_issued(digits: &[u8]) -> bool {
    let Some(head) = digits.first_chunk::<6>() else {
        return false;
    };
    let prefix = head.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let length = digits.len();
    match prefix {
        400_000..=499_999 => matches!(length, 13 | 16 | 19),
        510_000..=559_999 | 222_100..=272_099 => length == 16,
        340_000..=349_999 | 370_000..=379_999 => length == 15,
        300_000..=305_999 | 309_500..=309_599 | 380_000..=399_999 => length == 14,
        360_000..=369_999 => matches!(length, 14 | 16),
        352_800..=358_999 => (16..=19).contains(&length),
        213_100..=213_199 | 180_000..=180_099 => length == 15,
        // Discover, and what runs on its network.
        601_100..=601_199 | 644_000..=659_999 | 622_126..=622_925 => (16..=19).contains(&length),
        // UnionPay; Mir.
        620_000..=629_999 | 220_000..=220_499 => (16..=19).contains(&length),
        // Maestro.
        501_800..=501_899
        | 502_000..=502_099
        | 503_800..=503_899
        | 589_300..=589_399
        | 630_400..=630_499
        | 639_000..=639_099
        | 675_900..=675_999
        | 676_100..=676_399
        | 60_400..=60_499 => (12..=19).contains(&length),
        560_000..=589_999 | 500_000..=509_999 | 639_100..=639_999 | 670_000..=679_999 => {
            matches!(length, 12 | 13 | 15 | 16 | 19)
        }
        // InterPayment, InstaPayment; RuPay; Troy; Humo and Uzcard.
        636_000..=638_999 | 600_000..=609_999 | 817_200..=820_199 | 979_200..=979_299 | 860_000..=860_099
        | 986_000..=986_099 => length == 16,
        _ => false,
    }
}

/// ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum = digits.iter().rev().enumerate().fold(0, |sum, (place, digit)| {
        let digit = u32::from(digit - b'0');
        sum + if place % 2 == 0 { digit } else { digit * 2 - if digit > 4 { 9 } else { 0 } }
    });
    sum % 10 == 0
}

/// The end of the social security number whose area is at `start`.
fn ssn(key: &[u8], bytes: &[u8], start: usize) -> Option<usize> {
    let separator = at(bytes, start + 3);
    // Dots are for versions too.
    if at(bytes, start + 6) != separator || (separator == b'.' && !key::is_ssn(key)) {
        return None;
    }
    let end = start + 11;
    if !is_ssn(bytes.get(start..start + 3), bytes.get(start + 4..start + 6), bytes.get(start + 7..end)) {
        return None;
    }
    let (previous, next) = (before(bytes, start), at(bytes, end));
    let in_chain = |separator: u8, beyond: u8| match separator {
        b'-' | b'.' | b'/' | b'_' => beyond.is_ascii_digit(),
        b' ' => at(bytes, start + 3) == b' ' && beyond.is_ascii_digit(),
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
pub(super) fn local(pass: &Pass<'_>, hints: key::Hints, bytes: &[u8]) -> Option<Stretch> {
    if pass.has(Detector::Phone) && hints.may_be_phone() && key::is_phone(pass.key) {
        let number = Dialled::read(bytes, 0);
        let is_whole = number.end == bytes.len() || matches!(at(bytes, number.end), b'x' | b'X' | b' ');
        if is_whole && (7..=LONGEST_PHONE + 1).contains(&number.digits) {
            return Some((Detector::Phone, 0, number.end));
        }
    }
    let is_bare = bytes.len() == 9 && is_ssn(bytes.get(..3), bytes.get(3..5), bytes.get(5..));
    (is_bare && pass.has(Detector::UsSsn) && hints.may_be_ssn() && key::is_ssn(pass.key)).then_some((Detector::UsSsn, 0, 9))
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
    let digit = |offset| at(bytes, index + offset);
    match (digit(0), digit(1)) {
        (b'1' | b'7', _) => true,
        (b'2', second) => match second {
            b'0' | b'7' => true,
            b'1' => matches!(digit(2), b'1' | b'2' | b'3' | b'6' | b'8'),
            b'8' => false,
            b'9' => matches!(digit(2), b'0' | b'1' | b'7' | b'8' | b'9'),
            _ => true,
        },
        (b'3', b'8') => digit(2) != b'4' && digit(2) != b'8',
        (b'4', b'2') => matches!(digit(2), b'0' | b'1' | b'3'),
        (b'8', second) => match second {
            b'1' | b'2' | b'4' | b'6' => true,
            b'0' => matches!(digit(2), b'0' | b'8'),
            b'5' => matches!(digit(2), b'0' | b'2' | b'3' | b'5' | b'6'),
            b'7' => matches!(digit(2), b'0' | b'8'),
            b'8' => matches!(digit(2), b'0' | b'1' | b'2' | b'3' | b'6' | b'8'),
            _ => false,
        },
        (b'9', b'7') => digit(2) != b'8',
        (b'9', b'9') => matches!(digit(2), b'2'..=b'6' | b'8'),
        (b'9', b'6') => digit(2) != b'9',
        (b'3' | b'4' | b'5' | b'6' | b'9', _) => true,
        _ => false,
    }
}
