//! What looks random enough to be a secret, where a secret is to be expected.

use std::ops::Range;

use super::class::{self, DIGIT, LOWER, SPRINKLED, UPPER, at, count, from};
use super::key;

/// Nothing shorter is taken for a secret.
pub(super) const SHORTEST: usize = 6;
/// Letters of one case without a break are no word from here on.
pub(super) const LONG: usize = 16;

/// The same of a value in full-width forms (U+FF01 to U+FF5E), each 0xFEE0 above its ASCII character.
pub(super) fn looks_random_full_width(value: &[u8]) -> bool {
    /// Longer secrets look as random in their first characters.
    const MOST: usize = 256;
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let (mut folded, mut length, mut any) = ([0; MOST], 0, false);
    for (letter, slot) in text.chars().zip(&mut folded) {
        let code = u32::from(letter);
        let wide = (0xff01..=0xff5e).contains(&code);
        any |= wide;
        let Ok(byte) = u8::try_from(if wide { code - 0xfee0 } else { code }) else { return false };
        *slot = byte;
        length += 1;
    }
    any && length >= SHORTEST && folded.get(..length).is_some_and(looks_random)
}

/// Whether a value that stands under a telling key looks like a secret, and not like a word, number, date, version or flag.
pub(super) fn looks_random(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    if value.len() < SHORTEST {
        return false;
    }
    // No blank that a sentence has.
    let is_sprinkled = value.iter().any(|byte| class::of(*byte) & SPRINKLED != 0);
    let has_blank = value.iter().any(|byte| matches!(byte, b' ' | b'\t'));
    if is_sprinkled && !has_blank && value.iter().any(u8::is_ascii_alphanumeric) {
        return true;
    }
    is_random(value)
}

/// Whether any part of a token, between punctuation, is neither word nor number nor both.
fn is_random(token: &[u8]) -> bool {
    let mut seen = Parts::default();
    parts(token).any(|part| !seen.take(part)) || seen.is_code()
}

/// What stands between punctuation.
fn parts(token: &[u8]) -> impl Iterator<Item = &[u8]> {
    token.split(|byte| !is_part(*byte)).filter(|part| !part.is_empty())
}

fn is_part(byte: u8) -> bool {
    class::is_alnum(byte) || byte >= 0x80
}

/// How many parts there are, and how many of them are of letters and digits.
#[derive(Clone, Copy, Default)]
struct Parts {
    all: usize,
    mixed: usize,
}

impl Parts {
    /// Counts one more, and whether it is plain.
    fn take(&mut self, part: &[u8]) -> bool {
        let seen = Seen::of(part);
        self.all += 1;
        self.mixed += usize::from(seen.is_mixed());
        is_plain(part, seen)
    }

    fn forget(&mut self, part: &[u8]) {
        self.all -= 1;
        self.mixed -= usize::from(Seen::of(part).is_mixed());
    }

    /// a1-b2-c3-d4: a license or recovery code.
    const fn is_code(self) -> bool {
        self.all >= 4 && self.mixed * 2 > self.all
    }
}

/// What a part is made of.
#[derive(Clone, Copy)]
struct Seen {
    classes: u8,
    bytes: u8,
}

impl Seen {
    fn of(part: &[u8]) -> Self {
        part.iter().fold(Self { classes: 0, bytes: 0 }, |seen, byte| Self {
            classes: seen.classes | class::of(*byte),
            bytes: seen.bytes | byte,
        })
    }

    const fn has(self, class: u8) -> bool {
        self.classes & class != 0
    }

    const fn is_mixed(self) -> bool {
        self.has(DIGIT) && self.has(UPPER | LOWER)
    }
}

/// Whether a part reads as a word, a number, or a word with a number: `eu`, `OAuth2`, `sha256`, `10ms`, `camelCase`.
fn is_plain(part: &[u8], seen: Seen) -> bool {
    let length = part.len();
    if !seen.bytes.is_ascii() {
        return true;
    }
    if !seen.has(DIGIT) {
        return is_word(part, seen);
    }
    if !seen.is_mixed() {
        // Longer than any number that people give names to: epochs in nanoseconds have 19 digits.
        return length < 20;
    }
    let leading = count(part, 0, length, |byte| byte.is_ascii_digit());
    let letters = count(part, leading, length, |byte| byte.is_ascii_alphabetic());
    let trailing = count(part, leading + letters, length, |byte| byte.is_ascii_digit());
    if leading + letters + trailing < length {
        // Times (`T10`, `30Z`) are one letter between numbers; anything more mixed is no word.
        return false;
    }
    let word = part.get(leading..leading + letters).unwrap_or(&[]);
    match (leading, trailing) {
        // `10ms`, `3rd`, `20240131T101500Z`
        (_, 0) => letters <= 3 || (leading <= 2 && is_word(word, seen)),
        // `sha256`, `node12`; but `Summer2024` mixes all three, as passwords have to.
        (0, _) => {
            let has_both_cases = seen.has(UPPER) && seen.has(LOWER);
            trailing <= 4 && is_word(word, seen) && !(has_both_cases && trailing >= 2 && length >= 8)
        }
        _ => letters == 1 && matches!(word, b"T" | b"t" | b"x"),
    }
}

/// Whether letters read as a word, or as several in camel case.
fn is_word(letters: &[u8], seen: Seen) -> bool {
    if letters.len() < 4 {
        return true;
    }
    if !(seen.has(UPPER) && seen.has(LOWER)) {
        return letters.len() < LONG && is_speakable(letters);
    }
    let mut index = 0;
    while index < letters.len() {
        let upper = count(letters, index, letters.len(), |byte| byte.is_ascii_uppercase());
        let lower = count(letters, index + upper, letters.len(), |byte| byte.is_ascii_lowercase());
        let is_acronym = lower == 0 && upper <= 5;
        let hump = from(letters, index).get(..upper + lower).unwrap_or(&[]);
        if !is_acronym && (upper > 4 || lower < 2 || !is_speakable(hump)) {
            return false;
        }
        index += upper + lower;
    }
    letters.len() < 40
}

/// Whether vowels and consonants take turns often enough to be spoken.
fn is_speakable(letters: &[u8]) -> bool {
    let mut vowels = 0;
    let mut consonants_in_a_row = 0;
    for letter in letters {
        if matches!(letter.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y') {
            vowels += 1;
            consonants_in_a_row = 0;
        } else {
            consonants_in_a_row += 1;
            if consonants_in_a_row > 5 {
                return false;
            }
        }
    }
    letters.len() < 6 || vowels * 6 >= letters.len()
}

/// What was judged of the secrets in a text so far, so that those which begin inside another are not judged anew.
#[derive(Default)]
pub(super) struct Judged {
    /// From the start of the last secret that looked plain to the end of its last whole part.
    plain: Range<usize>,
    /// Those between the two.
    parts: Parts,
}

impl Judged {
    /// A secret in text, as `name=secret` or `name: secret`: the sign between them is at `index`.
    pub(super) fn pair(&mut self, bytes: &[u8], index: usize) -> Option<(usize, usize)> {
        const LONGEST_NAME: usize = 40;
        let head = bytes.get(..index)?;
        let head = head.strip_suffix(b"\"").or_else(|| head.strip_suffix(b"'")).unwrap_or(head);
        // `12:30`, `http://`: most are none, and the last letter of a telling word says so at once.
        if !matches!(head.last()? | 0x20, b'd' | b't' | b'n' | b'y' | b'e' | b's' | b'h' | b'l' | b'r') {
            return None;
        }
        let length = head
            .iter()
            .rev()
            .take(LONGEST_NAME)
            .take_while(|byte| class::is_alnum(**byte) || matches!(byte, b'_' | b'-' | b'.'))
            .count();
        if !key::is_telling(from(head, head.len() - length)) {
            return None;
        }
        let start = index + 1 + count(bytes, index + 1, 3, |byte| matches!(byte, b' ' | b'"' | b'\'' | b'='));
        self.secret(bytes, start).map(|end| (start, end))
    }

    /// The end of the secret that begins at `start`, after punctuation.
    fn secret(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        const LONGEST: usize = 256;
        let fresh = self.fresh(bytes, start, LONGEST, |byte| !ends_secret(byte));
        let end = fresh.end;
        if end - start < SHORTEST || at(bytes, start) == 0 {
            return None;
        }
        let is_sprinkled = bytes.get(fresh.clone())?.iter().any(|byte| class::of(*byte) & SPRINKLED != 0);
        let is_random = is_sprinkled && bytes.get(start..end)?.iter().any(u8::is_ascii_alphanumeric);
        (is_random || self.is_random(bytes, fresh)).then_some(end)
    }

    /// Whether the token that begins at `start`, after punctuation, looks random, as far as so many bytes tell.
    pub(super) fn token(&mut self, bytes: &[u8], start: usize, most: usize, goes_on: impl Fn(u8) -> bool) -> bool {
        const SHORTEST: usize = 8;
        let fresh = self.fresh(bytes, start, most, goes_on);
        fresh.end - start >= SHORTEST && self.is_random(bytes, fresh)
    }

    /// What is still to be judged of what begins at `start` and goes on for so many bytes at most.
    fn fresh(&mut self, bytes: &[u8], start: usize, most: usize, goes_on: impl Fn(u8) -> bool) -> Range<usize> {
        if !(self.plain.start..=self.plain.end).contains(&start) {
            *self = Self { plain: start..start, parts: Parts::default() };
        }
        for part in parts(bytes.get(self.plain.start..start).unwrap_or(&[])) {
            self.parts.forget(part);
        }
        self.plain.start = start;
        let begin = self.plain.end;
        begin..begin + count(bytes, begin, most.saturating_sub(begin - start), goes_on)
    }

    /// Whether all up to the end of `fresh` looks random.
    fn is_random(&mut self, bytes: &[u8], fresh: Range<usize>) -> bool {
        let text = bytes.get(fresh.clone()).unwrap_or(&[]);
        // A part that the limit on length cuts may be another once it is whole.
        let is_cut = is_part(at(bytes, fresh.end));
        let cut = if is_cut { text.iter().rev().take_while(|byte| is_part(**byte)).count() } else { 0 };
        let (whole, cut) = text.split_at_checked(text.len() - cut).unwrap_or((text, &[]));
        if parts(whole).any(|part| !self.parts.take(part)) {
            return true;
        }
        self.plain.end = fresh.end - cut.len();
        let mut all = self.parts;
        parts(cut).any(|part| !all.take(part)) || all.is_code()
    }
}

fn ends_secret(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b',' | b';' | b'&' | b'<' | b'>' | b')' | b'}' | b']')
}
