//! What makes a closer look worthwhile, as patterns that clean text seldom has.
//!
//! They are shorter and looser than what they stand for: enough that nothing recognisable is without one, tight enough that
//! ids, dates, versions and prose rarely have any. Each has to be complete within [`REACH`] bytes after the start of what it
//! stands for, or at a byte that the exact check starts from.

use std::sync::LazyLock;

use super::automaton::{Automaton, Place, Times};
use super::class::{ALNUM, hex, of};

/// How far before the end of its pattern something may begin. The longest are twelve digits with separators.
pub(super) const REACH: usize = 24;

pub(super) static TRIGGERS: LazyLock<Automaton> = LazyLock::new(|| Automaton::new(&patterns()));

const fn once(accepts: fn(u8) -> bool) -> Place {
    Place { accepts, times: Times::Once }
}

const fn many(accepts: fn(u8) -> bool) -> Place {
    Place { accepts, times: Times::OnceOrMore }
}

const fn maybe(accepts: fn(u8) -> bool) -> Place {
    Place { accepts, times: Times::OnceOrNever }
}

const DIGIT: Place = once(|byte| byte.is_ascii_digit());
const LETTER: Place = once(|byte| byte.is_ascii_alphabetic());
const HEX: Place = once(|byte| hex(byte).is_some());
const BREAK: Place = once(|byte| of(byte) & ALNUM == 0);
const COLON: Place = once(|byte| byte == b':');
const DOT: Place = once(|byte| byte == b'.');
const DASH: Place = once(|byte| byte == b'-');

fn patterns() -> Vec<Vec<Place>> {
    let mut all = vec![
        // E-mail: the exact check starts from the sign.
        vec![once(|byte| byte == b'@')],
        // Escapes, and characters with a plainer form.
        vec![once(|byte| byte == b'%'), HEX, HEX],
        vec![once(|byte| byte == 0xE2), once(|byte| matches!(byte, 0x80 | 0x81 | 0x88))],
        vec![once(|byte| byte == 0xEF), once(|byte| matches!(byte, 0xBB..=0xBD))],
        vec![once(|byte| matches!(byte, 0xC2 | 0xD9 | 0xDB)), once(|byte| matches!(byte, 0xA0..=0xA9 | 0xAD | 0xB0..=0xB9))],
        vec![once(|byte| byte == 0xE3), once(|byte| byte == 0x80), once(|byte| byte == 0x80)],
        vec![once(|byte| byte == 0xF0), once(|byte| byte == 0x9D)],
        // Telephones.
        vec![once(|byte| byte == b'+'), once(|byte| matches!(byte, b'1'..=b'9' | b'('))],
        // IPv6 and MAC: more colons than a time has.
        vec![COLON, COLON],
        vec![COLON, many(HEX.accepts), COLON, many(HEX.accepts), COLON, HEX],
        vec![DASH, HEX, HEX, DASH, HEX, HEX, DASH, HEX],
        vec![DOT, HEX, HEX, HEX, HEX, DOT, HEX],
        // IPv4: one dot more than most versions have.
        vec![DIGIT, DOT, many(DIGIT.accepts), DOT, many(DIGIT.accepts), DOT, DIGIT],
        // Social security numbers.
        vec![DIGIT, once(is_group_end), DIGIT, DIGIT, once(is_group_end), DIGIT],
        // IBAN.
        vec![BREAK, LETTER, LETTER, DIGIT, DIGIT],
        // AWS: the second and third letter of all prefixes.
        vec![
            BREAK,
            once(|byte| byte == b'A'),
            once(|byte| matches!(byte, b'B' | b'C' | b'G' | b'I' | b'K' | b'N' | b'P' | b'R' | b'S')),
            once(|byte| matches!(byte, b'A' | b'C' | b'D' | b'I' | b'K' | b'O' | b'P' | b'V')),
            once(|byte| byte == b'A'),
        ],
        // PEM: a run is looked at from its start, which the dash makes sure of.
        vec![DASH, once(|byte| byte == b'B'), once(|byte| byte == b'E'), once(|byte| byte == b'G')],
        // hooks.slack.com
        vec![once(|byte| byte == b'c'), once(|byte| byte == b'k'), DOT, once(|byte| byte == b'c'), once(|byte| byte == b'o')],
        // Bearer, Basic.
        vec![
            BREAK,
            once(|byte| matches!(byte, b'b' | b'B')),
            once(|byte| matches!(byte, b'e' | b'E')),
            once(|byte| matches!(byte, b'a' | b'A')),
            once(|byte| matches!(byte, b'r' | b'R')),
            once(|byte| matches!(byte, b'e' | b'E')),
        ],
        vec![
            BREAK,
            once(|byte| matches!(byte, b'b' | b'B')),
            once(|byte| matches!(byte, b'a' | b'A')),
            once(|byte| matches!(byte, b's' | b'S')),
            once(|byte| matches!(byte, b'i' | b'I')),
        ],
        // Base64 of text: six bits that make four bytes with the top bit clear, once and once again.
        [&[BREAK], BASE64_OF_TEXT.as_slice(), BASE64_OF_TEXT.as_slice()].concat(),
    ];
    // Payment cards: as many digits as the shortest has.
    let mut card = [DIGIT, maybe(is_separator)].repeat(11);
    card.push(DIGIT);
    all.push(card);
    all.extend(STARTS.map(|start| [vec![BREAK], start.iter().map(|accepts| once(*accepts)).collect()].concat()));
    all.extend(TELLING.map(|[a, b, c]| vec![once(a), once(b), once(c), maybe(is_quote), once(is_equals)]));
    all
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'+' | b'_' | b'/')
}

fn is_group_end(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.')
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

fn is_equals(byte: u8) -> bool {
    matches!(byte, b'=' | b':')
}

/// Where a base64 digit has its six bits.
fn six_bits(byte: u8) -> Option<u8> {
    super::decode::base64_digit(byte)
}

/// Four digits that stand for three bytes of text: none has its top bit set, and none but the last may be a control.
const BASE64_OF_TEXT: [Place; 4] = [
    once(|byte| matches!(six_bits(byte), Some(8..=31))),
    once(|byte| six_bits(byte).is_some_and(|bits| matches!(bits & 15, 2..=7))),
    once(|byte| six_bits(byte).is_some_and(|bits| bits & 2 == 0)),
    once(|byte| six_bits(byte).is_some()),
];

macro_rules! letters {
    ($($letter:literal)*) => { &[$(|byte| byte == $letter),*] };
}

/// How credentials begin, shortened to what is rare enough.
const STARTS: [&[fn(u8) -> bool]; 12] = [
    letters!(b'e' b'y' b'J'),
    letters!(b'A' b'I' b'z'),
    &[|byte| byte == b'g', |byte| matches!(byte, b'h' | b'i'), |byte| matches!(byte, b'p' | b'o' | b'u' | b's' | b'r' | b't')],
    letters!(b's' b'k' b'_'),
    letters!(b'r' b'k' b'_'),
    letters!(b'p' b'k' b'_'),
    letters!(b'w' b'h' b's'),
    letters!(b'x' b'o' b'x'),
    letters!(b'x' b'a' b'p'),
    letters!(b'y' b'a' b'2'),
    letters!(b'G' b'O' b'C'),
    letters!(b'1' b'/' b'/'),
];

macro_rules! ending {
    ($a:literal $b:literal $c:literal) => {
        [|byte| byte | 0x20 == $a, |byte| byte | 0x20 == $b, |byte| byte | 0x20 == $c]
    };
}

/// How the words end that tell of a secret, as `password` and `pwd` in `password=`.
const TELLING: [[fn(u8) -> bool; 3]; 10] = [
    ending!(b'o' b'r' b'd'),
    ending!(b's' b'w' b'd'),
    ending!(b'p' b'w' b'd'),
    ending!(b'a' b's' b's'),
    ending!(b'r' b'e' b't'),
    ending!(b'k' b'e' b'n'),
    ending!(b'k' b'e' b'y'),
    ending!(b'a' b'l' b's'),
    ending!(b'j' b'w' b't'),
    ending!(b'u' b't' b'h'),
];
