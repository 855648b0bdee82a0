//! Plain forms of characters: full-width forms, digits of other scripts, typographic spaces and dashes.

use super::unpercent;
use crate::class::at;

/// Whether the character at `index` has a plainer form.
pub(crate) fn folds(bytes: &[u8], index: usize) -> bool {
    let first = at(bytes, index);
    fold(bytes, first, index + 1) != (Some(first), index + 1)
}

/// Whether the character that `last` is a byte of has a plainer form.
pub(crate) fn is_folded(bytes: &[u8], last: usize) -> bool {
    let head = bytes.get(..=last).unwrap_or(&[]);
    let back = head.iter().rev().take(3).take_while(|byte| matches!(byte, 0x80..=0xBF)).count();
    last.checked_sub(back).is_some_and(|first| folds(bytes, first))
}

/// Returns the plain form of the character that begins with `first` and continues at `index`, and the index after it: full-width forms,
/// digits of other scripts, typographic spaces and dashes, the dots of IDNA. `None` for a character without width; for any other the
/// byte itself.
pub(crate) fn fold(bytes: &[u8], first: u8, index: usize) -> (Option<u8>, usize) {
    let (second, after_second) = unpercent(bytes, index);
    let two = match (first, second) {
        (0xC2, 0xA0) => Some(Some(b' ')),
        (0xC2, 0xAD) => Some(None),
        (0xD9, 0xA0..=0xA9) => Some(Some(second - 0xA0 + b'0')),
        (0xDB, 0xB0..=0xB9) => Some(Some(second - 0xB0 + b'0')),
        (0xDF, 0x80..=0x89) => Some(Some(second - 0x80 + b'0')),
        _ => None,
    };
    if let Some(plain) = two {
        return (plain, after_second);
    }
    let (third, after_third) = unpercent(bytes, after_second);
    let three = match (first, second, third) {
        (0xEF, 0xBC, 0x81..=0xBF) => Some(Some(third - 0x80 + 0x20)),
        (0xEF, 0xBD, 0x80..=0x9E) => Some(Some(third - 0x80 + 0x60)),
        (0xE3, 0x80, 0x80) | (0xE2, 0x80, 0x80..=0x8A | 0xAF) => Some(Some(b' ')),
        (0xE3, 0x80, 0x82) | (0xEF, 0xBD, 0xA1) => Some(Some(b'.')),
        (0xE2, 0x80, 0x90..=0x95) | (0xE2, 0x88, 0x92) => Some(Some(b'-')),
        (0xE2, 0x80, 0x8B..=0x8F) | (0xE2, 0x81, 0xA0) | (0xEF, 0xBB, 0xBF) => Some(None),
        _ => digit_of_three(first, second, third).map(Some),
    };
    if let Some(plain) = three {
        return (plain, after_third);
    }
    if (first, second, third) == (0xF0, 0x9D, 0x9F) {
        let (fourth, after_fourth) = unpercent(bytes, after_third);
        if (0x8E..=0xBF).contains(&fourth) {
            return (Some((fourth - 0x8E) % 10 + b'0'), after_fourth);
        }
    }
    // Adlam.
    if (first, second, third) == (0xF0, 0x9E, 0xA5) {
        let (fourth, after_fourth) = unpercent(bytes, after_third);
        if (0x90..=0x99).contains(&fourth) {
            return (Some(fourth - 0x90 + b'0'), after_fourth);
        }
    }
    (Some(first), index)
}

/// The digits of scripts in three bytes of UTF-8: the first two bytes, and the third byte of zero.
pub(crate) const DIGITS_OF_THREE: &[(u8, u8, u8)] = &[
    // Devanagari, Bengali, Gurmukhi, Gujarati, Oriya, Tamil, Telugu, Kannada, Malayalam, Sinhala.
    (0xE0, 0xA5, 0xA6),
    (0xE0, 0xA7, 0xA6),
    (0xE0, 0xA9, 0xA6),
    (0xE0, 0xAB, 0xA6),
    (0xE0, 0xAD, 0xA6),
    (0xE0, 0xAF, 0xA6),
    (0xE0, 0xB1, 0xA6),
    (0xE0, 0xB3, 0xA6),
    (0xE0, 0xB5, 0xA6),
    (0xE0, 0xB7, 0xA6),
    // Thai, Lao, Tibetan.
    (0xE0, 0xB9, 0x90),
    (0xE0, 0xBB, 0x90),
    (0xE0, 0xBC, 0xA0),
    // Myanmar, Shan, Khmer, Mongolian, Limbu, New Tai Lue, Tai Tham, Balinese, Sundanese, Lepcha, Ol Chiki.
    (0xE1, 0x81, 0x80),
    (0xE1, 0x82, 0x90),
    (0xE1, 0x9F, 0xA0),
    (0xE1, 0xA0, 0x90),
    (0xE1, 0xA5, 0x86),
    (0xE1, 0xA7, 0x90),
    (0xE1, 0xAA, 0x80),
    (0xE1, 0xAA, 0x90),
    (0xE1, 0xAD, 0x90),
    (0xE1, 0xAE, 0xB0),
    (0xE1, 0xB1, 0x80),
    (0xE1, 0xB1, 0x90),
    // Vai, Saurashtra, Kayah Li, Javanese, Cham, Meetei Mayek.
    (0xEA, 0x98, 0xA0),
    (0xEA, 0xA3, 0x90),
    (0xEA, 0xA4, 0x80),
    (0xEA, 0xA7, 0x90),
    (0xEA, 0xA9, 0x90),
    (0xEA, 0xAF, 0xB0),
    // Subscripts.
    (0xE2, 0x82, 0x80),
];

fn digit_of_three(first: u8, second: u8, third: u8) -> Option<u8> {
    if !matches!(first, 0xE0..=0xE2 | 0xEA) {
        return None;
    }
    let zero = DIGITS_OF_THREE
        .iter()
        .find(|script| (script.0, script.1) == (first, second) && third >= script.2 && third - script.2 < 10)?
        .2;
    Some(third - zero + b'0')
}
