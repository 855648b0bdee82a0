//! Distinguishes random tokens from words, numbers, dates, versions and flags.

use super::class::{self, DIGIT, LOWER, SPRINKLED, UPPER, count, from};
use super::secret::SHORTEST;

/// Letters of one case in a row that are no word.
pub(super) const LONG: usize = 16;

/// Whether a value looks like a secret, and not like a word, number, date, version or flag.
pub(super) fn looks_random(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    if value.len() < SHORTEST {
        return false;
    }
    // Sentences have blanks, passwords with signs do not.
    let is_sprinkled = value.iter().any(|byte| class::of(*byte) & SPRINKLED != 0);
    let has_blank = value.iter().any(|byte| matches!(byte, b' ' | b'\t'));
    if is_sprinkled && !has_blank && value.iter().any(u8::is_ascii_alphanumeric) {
        return true;
    }
    is_random(value)
}

/// Whether any part of a token, between punctuation, is neither word nor number nor both.
fn is_random(token: &[u8]) -> bool {
    let mut counts = Parts::default();
    parts(token).any(|part| !counts.take(part)) || counts.is_code()
}

/// Splits a token at its punctuation.
pub(super) fn parts(token: &[u8]) -> impl Iterator<Item = &[u8]> {
    token.split(|byte| !is_part(*byte)).filter(|part| !part.is_empty())
}

pub(super) fn is_part(byte: u8) -> bool {
    class::is_alnum(byte) || byte >= 0x80
}

/// How many parts there are, and how many of them are of letters and digits.
#[derive(Clone, Copy, Default)]
pub(super) struct Parts {
    all: usize,
    mixed: usize,
}

impl Parts {
    /// Counts one more part, and returns whether it is plain.
    pub(super) fn take(&mut self, part: &[u8]) -> bool {
        let made = Made::of(part);
        self.all += 1;
        self.mixed += usize::from(made.is_mixed());
        is_plain(part, made)
    }

    pub(super) fn forget(&mut self, part: &[u8]) {
        self.all -= 1;
        self.mixed -= usize::from(Made::of(part).is_mixed());
    }

    /// Whether the parts make up a license or recovery code: `a1-b2-c3-d4`.
    pub(super) const fn is_code(self) -> bool {
        self.all >= 4 && self.mixed * 2 > self.all
    }
}

/// The classes of bytes in a part.
#[derive(Clone, Copy)]
struct Made {
    classes: u8,
    bytes: u8,
}

impl Made {
    fn of(part: &[u8]) -> Self {
        part.iter().fold(Self { classes: 0, bytes: 0 }, |made, byte| Self {
            classes: made.classes | class::of(*byte),
            bytes: made.bytes | byte,
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
fn is_plain(part: &[u8], made: Made) -> bool {
    let length = part.len();
    if !made.bytes.is_ascii() {
        return true;
    }
    if !made.has(DIGIT) {
        return is_word(part, made);
    }
    if !made.is_mixed() {
        // Longer numbers are no counts, ids or times: an epoch in nanoseconds has 19 digits.
        return length < 20;
    }
    let leading = count(part, 0, length, |byte| byte.is_ascii_digit());
    let letters = count(part, leading, length, |byte| byte.is_ascii_alphabetic());
    let trailing = count(part, leading + letters, length, |byte| byte.is_ascii_digit());
    if leading + letters + trailing < length {
        // A time is one letter between numbers (`T10`, `30Z`). A part that changes more often is no word.
        return false;
    }
    let word = part.get(leading..leading + letters).unwrap_or(&[]);
    match (leading, trailing) {
        // `10ms`, `3rd`, `20240131T101500Z`
        (_, 0) => letters <= 3 || (leading <= 2 && is_word(word, made)),
        // `sha256`, `node12`; but `Summer2024` mixes all three, as passwords have to.
        (0, _) => {
            let has_both_cases = made.has(UPPER) && made.has(LOWER);
            trailing <= 4 && is_word(word, made) && !(has_both_cases && trailing >= 2 && length >= 8)
        }
        _ => letters == 1 && matches!(word, b"T" | b"t" | b"x"),
    }
}

/// Whether letters read as a word, or as several in camel case.
fn is_word(letters: &[u8], made: Made) -> bool {
    if letters.len() < 4 {
        return true;
    }
    if !(made.has(UPPER) && made.has(LOWER)) {
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

/// Whether vowels and consonants alternate as in a word.
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

/// Like [`looks_random`], but for a value in full-width forms (U+FF01 to U+FF5E), each 0xFEE0 above its ASCII character.
pub(super) fn looks_random_full_width(value: &[u8]) -> bool {
    /// The characters that are looked at.
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

/// Whether a value under a key that names a password looks like one: also a number, or a word with a number.
pub(super) fn looks_like_password(value: &[u8]) -> bool {
    /// Algorithms and protocols, which end in digits, too.
    const NAMES: [&[u8]; 11] =
        [b"sha", b"md", b"argon", b"bcrypt", b"scrypt", b"pbkdf", b"oauth", b"aes", b"totp", b"hotp", b"rfc"];
    let value = value.trim_ascii();
    let is_named = NAMES.iter().any(|name| value.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)));
    let is_word = value.iter().all(u8::is_ascii_alphanumeric) && value.iter().any(u8::is_ascii_digit);
    value.len() >= SHORTEST && is_word && !is_named
}
