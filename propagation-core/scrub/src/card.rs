//! Payment cards: issuer prefix, length, check digit, and how the digits are grouped.

use std::ops::Range;

use super::class::{at, before, count, is_alnum};
use super::key::Key;

/// The longest card number (ISO/IEC 7812).
const LONGEST_CARD: usize = 19;
pub(super) const SHORTEST_CARD: usize = 12;

/// A chain of groups of digits with one separator between any two.
#[derive(Default)]
pub(super) struct Chain {
    /// From the group of the last look-up to the end of the counted groups.
    groups: Range<usize>,
    /// The digits in that range.
    digits: usize,
    /// Whether more groups follow.
    goes_on: bool,
}

impl Chain {
    /// Whether the chain has as many digits as a card, from the group that begins at `start` on. Asking for groups from left to right
    /// takes time linear in the chain.
    fn is_card_long(&mut self, bytes: &[u8], start: usize) -> bool {
        if self.groups.contains(&start) {
            let before = bytes.get(self.groups.start..start).unwrap_or(&[]);
            self.digits -= before.iter().filter(|byte| byte.is_ascii_digit()).count();
            self.groups.start = start;
        } else {
            self.count(bytes, start);
        }
        if self.goes_on && self.digits <= LONGEST_CARD {
            self.count(bytes, start);
        }
        (SHORTEST_CARD..=LONGEST_CARD).contains(&self.digits)
    }

    fn count(&mut self, bytes: &[u8], start: usize) {
        /// The digits that are counted at once.
        const ENOUGH: usize = 4 * LONGEST_CARD;
        *self = Self { groups: start..start, digits: 0, goes_on: true };
        while self.goes_on && self.digits < ENOUGH {
            let length = digits(bytes, self.groups.end);
            self.digits += length;
            self.groups.end += length;
            self.goes_on = is_separator(at(bytes, self.groups.end)) && at(bytes, self.groups.end + 1).is_ascii_digit();
            self.groups.end += usize::from(self.goes_on);
        }
    }
}

/// Returns the index at which scanning continues after a number that ends at `index`. Skips a long list of numbers but for its tail and
/// groups spaced like a card or a social security number.
pub(super) fn beyond_numbers(bytes: &[u8], index: usize) -> usize {
    /// More bytes than a card has with a separator after each digit.
    const TOO_MANY: usize = 2 * (LONGEST_CARD + 1);
    let mut end = index;
    let mut lengths = [0; 2];
    // Dots separate the numbers of addresses.
    while matches!(at(bytes, end), b' ' | b'-' | b'+' | b'_' | b'/') {
        let start = end + 1;
        let length = digits(bytes, start);
        let may_be_card =
            || is_issuer_start(at(bytes, start), at(bytes, start + 1)) && matches!(digits(bytes, start + 5), 4 | 6);
        if length == 0 || length == 4 && (lengths == [3, 2] || may_be_card()) {
            break;
        }
        lengths = [lengths[1], length];
        end = start + length;
    }
    if end - index > 2 * TOO_MANY { end - TOO_MANY } else { index }
}

/// Returns the count of digits from `index` on.
fn digits(bytes: &[u8], index: usize) -> usize {
    count(bytes, index, usize::MAX, |byte| byte.is_ascii_digit())
}

/// Returns the end of the card number whose first digits are the run from `start` to `end`.
pub(super) fn card(key: &Key<'_>, chain: &mut Chain, bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let goes_on = is_separator(at(bytes, end)) && at(bytes, end + 1).is_ascii_digit();
    if !is_issuer_start(at(bytes, start), at(bytes, start + 1)) || !(goes_on || end - start >= SHORTEST_CARD) {
        return None;
    }
    let previous = before(bytes, start);
    let before_that = before(bytes, start.saturating_sub(1));
    // The decimals of a number; a telephone number.
    if matches!(previous, b'.' | b',' | b'+') && (previous == b'+') != before_that.is_ascii_digit() {
        return None;
    }
    if goes_on {
        // Groups that follow a card may belong to something else only if its own groups have four digits.
        if !(end - start == 4 || chain.is_card_long(bytes, start)) || !may_be_grouped(bytes, start, end) {
            return None;
        }
    }
    let mut groups =
        Groups { digits: [0; LONGEST_CARD], total: 0, first: 0, last: 0, count: 0, is_even: true, threes: true };
    if !groups.push(bytes.get(start..end)?) {
        return None;
    }
    let separator = at(bytes, end);
    if !goes_on {
        // The tail of a UUID has twelve digits.
        let is_tail = previous == b'-' && is_alnum(before_that);
        if (is_tail && groups.total <= SHORTEST_CARD) || !groups.is_card() {
            return None;
        }
        let digits = groups.digits.get(..groups.total)?;
        return (!begins_with_date(digits) || key.is_card()).then_some(end);
    }
    // A group of a longer chain, as in a UUID.
    if previous == separator && separator != b' ' && is_alnum(before_that) {
        return None;
    }
    let mut index = end;
    let mut printed = None;
    let mut separator = separator;
    let mut is_mixed = false;
    while is_separator(at(bytes, index)) && at(bytes, index + 1).is_ascii_digit() {
        let is_other = at(bytes, index) != separator;
        if (separator == b' ' || is_other) && groups.is_printed() && groups.is_card() {
            printed = Some(index);
            if is_other {
                break;
            }
        }
        is_mixed |= is_other;
        separator = at(bytes, index);
        let length = count(bytes, index + 1, LONGEST_CARD + 1, |byte| byte.is_ascii_digit());
        let Some(group) = bytes.get(index + 1..index + 1 + length) else {
            break;
        };
        if !groups.push(group) {
            return printed;
        }
        index += 1 + length;
    }
    let is_longer = is_alnum(at(bytes, index))
        || (separator != b' ' && at(bytes, index) == separator && is_alnum(at(bytes, index + 1)));
    let is_amount = groups.threes && groups.first <= 3;
    let is_decimal = separator == b'.' && groups.count == 2;
    // Different separators only between the groups that are printed on cards.
    if is_mixed && !groups.is_printed() {
        return printed;
    }
    if is_longer || is_amount || is_decimal || groups.total < SHORTEST_CARD || !groups.is_card() {
        return printed;
    }
    Some(index)
}

/// Whether the first groups of digits can be those of a card: those of most lists cannot.
fn may_be_grouped(bytes: &[u8], start: usize, end: usize) -> bool {
    let group = |index| count(bytes, index, LONGEST_CARD + 1, |byte| byte.is_ascii_digit());
    let first = end - start;
    let second = group(end + 1);
    let after = end + 1 + second;
    if !(is_separator(at(bytes, after)) && at(bytes, after + 1).is_ascii_digit()) {
        return first + second >= SHORTEST_CARD;
    }
    let third = group(after + 1);
    let after = after + 1 + third;
    let ends = !(is_separator(at(bytes, after)) && at(bytes, after + 1).is_ascii_digit());
    let is_even = first == second && third <= first;
    let is_threes = first == 4 && second == 3 && third == 3;
    if ends {
        first + second + third >= SHORTEST_CARD
    } else {
        is_even || is_threes || (first, second, third) == (4, 6, 5)
    }
}

/// Whether a prefix of an issuer begins with these two bytes, of which the second may be a separator. Epochs and dates begin with
/// others.
pub(super) fn is_issuer_start(first: u8, second: u8) -> bool {
    match first {
        b'4' | b'5' | b'6' => true,
        b'2' => matches!(second, b'1'..=b'7'),
        b'3' => matches!(second, b'0' | b'4'..=b'9'),
        b'0' => second == b'6',
        b'1' => second == b'8',
        b'9' => matches!(second, b'7' | b'8'),
        b'8' => matches!(second, b'1' | b'2' | b'6'),
        _ => false,
    }
}

/// Whether a byte separates the digits of a card. `+` is the space of a form.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'+' | b'_' | b'/')
}

/// The digits so far, and their groups.
struct Groups {
    digits: [u8; LONGEST_CARD],
    total: usize,
    first: usize,
    last: usize,
    count: usize,
    /// Whether every group but the latest is as long as the first, and the latest no longer.
    is_even: bool,
    /// Whether every group after the first has three digits, as thousands have.
    threes: bool,
}

impl Groups {
    /// Adds a group, and returns whether a card may have such groups.
    fn push(&mut self, group: &[u8]) -> bool {
        let Some(room) = self.digits.get_mut(self.total..self.total + group.len()) else {
            return false;
        };
        room.copy_from_slice(group);
        if self.count == 0 {
            self.first = group.len();
        } else {
            self.is_even &= self.last == self.first && group.len() <= self.first;
            self.threes &= group.len() == 3;
        }
        self.total += group.len();
        self.last = group.len();
        self.count += 1;
        // Cards have 4-4-4-4, 4-6-5 and 6-13; early Visa cards 4-3-3-3.
        self.count <= 3 || self.is_even || (self.threes && self.first == 4)
    }

    fn is_card(&self) -> bool {
        self.digits.get(..self.total).is_some_and(|digits| is_issued(digits) && luhn(digits))
    }

    /// Whether the groups are those printed on cards, so that further digits may belong to something else.
    fn is_printed(&self) -> bool {
        (self.total == 16 && self.first == 4 && self.last == 4 && self.count == 4)
            || (self.total == 15 && self.first == 4 && self.last == 5 && self.count == 3)
    }
}

/// Whether a number begins with a date, as order numbers do: `240131…` is also a prefix of Mastercard.
fn begins_with_date(digits: &[u8]) -> bool {
    let &[b'2', year, m, mm, d, dd, ..] = digits else {
        return false;
    };
    let month = (m - b'0') * 10 + (mm - b'0');
    let day = (d - b'0') * 10 + (dd - b'0');
    digits.len() == 16 && (b'2'..=b'7').contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Whether issuers assign numbers of this prefix and length.
fn is_issued(digits: &[u8]) -> bool {
    let Some(head) = digits.first_chunk::<6>() else {
        return false;
    };
    let prefix = head.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    lengths(prefix).contains(&digits.len())
}

/// Returns the lengths of the numbers that begin with these six digits.
///
/// Lengths that a network has never used are left out, though ISO/IEC 7812 allows them: each length admits random numbers, too.
#[expect(clippy::match_same_arms, reason = "by network, not by length")]
const fn lengths(prefix: u32) -> &'static [usize] {
    const MAESTRO: &[usize] = &[12, 13, 14, 15, 16, 17, 18, 19];
    const MAESTRO_SHARED: &[usize] = &[12, 13, 15, 16, 19];
    const UP_TO_19: &[usize] = &[16, 17, 18, 19];
    match prefix {
        // Visa.
        400_000..=499_999 => &[13, 16, 19],
        // Mastercard.
        510_000..=559_999 | 222_100..=272_099 => &[16],
        // American Express.
        340_000..=349_999 | 370_000..=379_999 => &[15],
        // Discover, and issuers on its network.
        601_100..=601_199 | 644_000..=659_999 => UP_TO_19,
        // Diners Club.
        300_000..=305_999 | 309_500..=309_599 | 380_000..=399_999 => &[14],
        360_000..=369_999 => &[14, 16],
        // JCB: 3528 to 3589. Other numbers with 35 are often used as JCB's.
        352_800..=358_999 => UP_TO_19,
        350_000..=359_999 => &[16],
        213_100..=213_199 | 180_000..=180_099 => &[15],
        // UnionPay; Mir.
        620_000..=629_999 | 220_000..=220_499 => UP_TO_19,
        // Maestro: prefixes of its own, then those it shares.
        501_800..=501_899
        | 502_000..=502_099
        | 503_800..=503_899
        | 589_300..=589_399
        | 630_400..=630_499
        | 639_000..=639_099
        | 675_900..=676_399
        | 60_400..=60_499 => MAESTRO,
        500_000..=509_999 | 560_000..=589_999 | 639_100..=639_999 | 670_000..=679_999 => MAESTRO_SHARED,
        // InterPayment, InstaPayment.
        636_000..=638_999 => &[16],
        // RuPay.
        600_000..=609_999 | 817_200..=820_199 => &[16],
        // Humo, Uzcard.
        986_000..=986_099 | 860_000..=860_099 => &[16],
        // Troy.
        979_200..=979_299 => &[16],
        _ => &[],
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
