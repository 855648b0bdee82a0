//! Telephone numbers: in international form, in North American form, and after a word or under a key that announces one.

use super::class::{at, before, count, from, is_alnum};
use super::key;

/// The most digits of an international number (ITU-T E.164), and one for a trunk zero in parentheses.
const LONGEST: usize = 16;

/// Returns the end of the number whose `+` is at `plus`.
pub(super) fn international(bytes: &[u8], plus: usize) -> Option<usize> {
    if is_alnum(before(bytes, plus)) {
        return None;
    }
    let start = plus + 1 + usize::from(at(bytes, plus + 1) == b'(');
    let number = Dialled::read(bytes, start);
    if !matches!(number.first, b'1'..=b'9') || !(7..=LONGEST).contains(&number.digits) {
        return None;
    }
    // North America and Russia have eleven digits.
    if number.digits < 10 && matches!(number.first, b'1' | b'7') {
        return None;
    }
    // A number with ten digits or more counts whether its country code is assigned or not.
    if number.digits < 10 && !is_country(bytes, start) {
        return None;
    }
    // Build metadata goes on with letters; an extension (`x123`, `ext. 4`) may follow.
    let next = at(bytes, number.end);
    if is_alnum(next) && !matches!(next, b'x' | b'X' | b'e') {
        return None;
    }
    // `+1234567.89`
    if number.dots == 1 && number.separators == 1 && number.last <= 2 {
        return None;
    }
    Some(extended(bytes, number.end))
}

/// Returns the number whose first digits are the run from `start` to `end`: in groups after `00` or `011`, in the form of North America,
/// or after a word that announces it.
pub(super) fn dialled(bytes: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let open = start - usize::from(before(bytes, start) == b'(');
    let previous = before(bytes, open);
    // The seconds of a time.
    if previous == b':' && before(bytes, open.saturating_sub(1)).is_ascii_digit() {
        return None;
    }
    if is_alnum(previous)
        || matches!(previous, b'.' | b'/' | b'-' | b'_' | b'+') && before(bytes, open.saturating_sub(1)) != b' '
    {
        return None;
    }
    let found = prefixed(bytes, start).or_else(|| north_american(bytes, open, start, end));
    if let Some(end) = found {
        return Some((open, extended(bytes, end)));
    }
    if !follows_word(bytes, open) {
        return None;
    }
    let number = Dialled::read(bytes, start);
    let is_number = (7..=LONGEST).contains(&number.digits) && !is_alnum(at(bytes, number.end));
    (is_number && !(number.dots == 1 && number.separators == 1)).then(|| (open, extended(bytes, number.end)))
}

/// Returns the end of `0044 20 7183 8750` or `011 44 …`. Without groups it may be any padded number.
fn prefixed(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = from(bytes, start);
    let prefix = if rest.starts_with(b"00") {
        2
    } else if rest.starts_with(b"011") {
        3
    } else {
        return None;
    };
    let gap = count(bytes, start + prefix, 2, |byte| matches!(byte, b' ' | b'-' | b'.' | b'/' | b'('));
    let country = start + prefix + gap;
    let number = Dialled::read(bytes, country);
    let is_grouped = number.separators >= 2 || (number.separators == 1 && gap > 0);
    (matches!(number.first, b'1'..=b'9')
        && (8..=LONGEST).contains(&number.digits)
        && is_grouped
        && is_country(bytes, country)
        && !is_alnum(at(bytes, number.end))
        && !number.is_listed)
        .then_some(number.end)
}

/// Returns the end of `(415) 555-2671`, `415-555-2671` or `415.555.2671`, with an optional `1` in front.
fn north_american(bytes: &[u8], open: usize, start: usize, end: usize) -> Option<usize> {
    let mut area = start;
    if end - start == 1 && at(bytes, start) == b'1' && matches!(at(bytes, end), b'-' | b'.' | b' ') {
        area = end + 1 + usize::from(at(bytes, end + 1) == b'(');
    }
    let is_open = before(bytes, area) == b'(';
    let is_digits =
        |place: usize, length: usize| count(bytes, place, length + 1, |byte| byte.is_ascii_digit()) == length;
    let is_code =
        |place: usize| matches!(at(bytes, place), b'2'..=b'9') && at(bytes, place + 1) != b'9' && is_digits(place, 3);
    let exchange = match (is_open, at(bytes, area + 3)) {
        (true, b')') => area + 4 + count(bytes, area + 4, 1, |byte| matches!(byte, b' ' | b'-' | b'.')),
        (false, b'-' | b'.') => area + 4,
        _ => return None,
    };
    let line = exchange + 4;
    let end = line + 4;
    let separator = at(bytes, exchange + 3);
    let is_even = is_open || separator == at(bytes, area + 3);
    let next = at(bytes, end);
    let goes_on = is_alnum(next) && !matches!(next, b'x' | b'X' | b'e')
        || matches!(next, b'-' | b'.' | b'/' | b'_') && is_alnum(at(bytes, end + 1));
    (is_code(area)
        && is_code(exchange)
        && at(bytes, exchange + 1) != b'1' + 8
        && matches!(separator, b'-' | b'.' | b' ')
        && is_even
        && count(bytes, line, 5, |byte| byte.is_ascii_digit()) == 4
        && !goes_on
        && (is_open || open == start))
        .then_some(end)
}

/// Returns the end of the extension after `end`, if there is one: `x12`, `ext. 4`, `;ext=4`, `#4`.
fn extended(bytes: &[u8], end: usize) -> usize {
    let gap = end + count(bytes, end, 2, |byte| matches!(byte, b' ' | b',' | b';'));
    let rest = from(bytes, gap);
    let words = [&b"extension"[..], b"ext.", b"ext", b"x", b"#"];
    let is_here = |word: &&&[u8]| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    let Some(word) = words.iter().find(is_here) else { return end };
    let digits = gap + word.len();
    let digits = digits + count(bytes, digits, 2, |byte| matches!(byte, b' ' | b'=' | b':'));
    let length = count(bytes, digits, 6, |byte| byte.is_ascii_digit());
    if length > 0 { digits + length } else { end }
}

/// Whether a word that announces a telephone number comes before `start`: `tel:`, `phone=`, `call`.
fn follows_word(bytes: &[u8], start: usize) -> bool {
    const WORDS: [&[u8]; 17] = [
        b"tel",
        b"telephone",
        b"telefon",
        b"phone",
        b"phonenumber",
        b"mobile",
        b"mobil",
        b"mob",
        b"cellphone",
        b"handy",
        b"fax",
        b"call",
        b"called",
        b"calling",
        b"dial",
        b"whatsapp",
        b"sms",
    ];
    let head = bytes.get(..start).unwrap_or(&[]);
    let is_gap = |byte: &&u8| matches!(byte, b' ' | b':' | b'=' | b'.' | b'"' | b'\'' | b'\\' | b'#');
    let gap = head.iter().rev().take(5).take_while(is_gap).count();
    let head = head.get(..head.len() - gap).unwrap_or(&[]);
    let length = head.iter().rev().take(12).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = from(head, head.len() - length);
    // `phone number`, `phone no`
    let (word, head) = if word.eq_ignore_ascii_case(b"number") || word.eq_ignore_ascii_case(b"no") {
        let head = head.get(..head.len() - length).unwrap_or(&[]).trim_ascii_end();
        let head = head.strip_suffix(b"_").unwrap_or(head);
        let length = head.iter().rev().take(12).take_while(|byte| byte.is_ascii_alphabetic()).count();
        (from(head, head.len() - length), head)
    } else {
        (word, head)
    };
    gap > 0
        && WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
        && !is_alnum(before(head, head.len() - word.len()))
}

/// Returns the end of the number that a value under a key for telephones consists of.
pub(super) fn whole(key: &[u8], bytes: &[u8]) -> Option<usize> {
    let number = Dialled::read(bytes, usize::from(at(bytes, 0) == b'('));
    let is_whole = number.end == bytes.len() || matches!(at(bytes, number.end), b'x' | b'X' | b' ');
    // A `cell` is also a part of a deployment, with a number of its own.
    let least = if key::is_phone_only(key) { 7 } else { 10 };
    (is_whole && (least..=LONGEST + 1).contains(&number.digits)).then_some(number.end)
}

/// Digits and the separators between them.
struct Dialled {
    end: usize,
    digits: usize,
    first: u8,
    /// The digits in the last group.
    last: usize,
    separators: usize,
    dots: usize,
    /// Whether a group is a single digit, as in lists.
    is_listed: bool,
}

impl Dialled {
    /// Reads digits with at most three separators between two, up to one digit more than a number has.
    fn read(bytes: &[u8], start: usize) -> Self {
        let mut it = Self { end: start, digits: 0, first: 0, last: 0, separators: 0, dots: 0, is_listed: false };
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
                        it.is_listed |= it.last == 1 && it.separators > 2;
                        it.last = 0;
                    }
                    it.last += 1;
                    gap = 0;
                    it.end = index + 1;
                    if it.digits > LONGEST + 1 {
                        break;
                    }
                }
                byte @ (b' ' | b'-' | b'.' | b'(' | b')' | b'/' | b'_') if gap < 3 => {
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
