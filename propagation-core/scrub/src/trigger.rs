//! What makes a closer look worthwhile, as patterns that clean text seldom has.
//!
//! They are shorter and looser than what they stand for: enough that nothing recognisable is without one, tight enough that
//! ids, dates, versions and prose rarely have any. Each has to be complete within [`REACH`] bytes after the start of what it
//! stands for, or at a byte that the exact check starts from.

use std::sync::LazyLock;

use super::automaton::{Automaton, Bytes, Place, Times};
use super::decode::base64_digit;

/// How far before the end of its pattern something may begin. The longest are twelve digits with separators.
pub(super) const REACH: usize = 24;

pub(super) static TRIGGERS: LazyLock<Automaton> = LazyLock::new(|| Automaton::new(PATTERNS));

const fn once(bytes: Bytes) -> Place {
    Place { bytes, times: Times::Once }
}

const fn many(bytes: Bytes) -> Place {
    Place { bytes, times: Times::OnceOrMore }
}

const fn maybe(bytes: Bytes) -> Place {
    Place { bytes, times: Times::OnceOrNever }
}

/// Exactly these bytes, or either case of these letters.
const fn is(byte: u8) -> Place {
    once(Bytes::of(&[byte]))
}

const fn either(byte: u8) -> Place {
    once(Bytes::of(&[byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]))
}

const fn any(bytes: &[u8]) -> Place {
    once(Bytes::of(bytes))
}

const DIGITS: Bytes = Bytes::range(b'0', b'9');
const HEXES: Bytes = DIGITS.or(Bytes::range(b'a', b'f')).or(Bytes::range(b'A', b'F'));
const D: Place = once(DIGITS);
const H: Place = once(HEXES);
const L: Place = once(Bytes::range(b'a', b'z').or(Bytes::range(b'A', b'Z')));
/// Neither letter nor digit, or the start.
const X: Place = once(Bytes::range(b'a', b'z').or(Bytes::range(b'A', b'Z')).or(DIGITS).not());
/// What may stand between the digits of a card.
const S: Place = maybe(Bytes::of(b" -.+_/"));

pub(super) const PATTERNS: &[&[Place]] = &[
    // E-mail: the exact check starts from the sign.
    &[is(b'@')],
    // Escapes, and characters with a plainer form.
    &[is(b'%'), H, H],
    &[is(b'\\'), any(b"nrtu")],
    &[any(&[0xC2, 0xD9, 0xDB]), once(Bytes::range(0xA0, 0xA9).or(Bytes::range(0xB0, 0xB9)).or(Bytes::of(&[0xAD])))],
    &[any(&[0xE2, 0xEF, 0xF0]), any(&[0x80, 0x81, 0x88, 0x9D, 0xBB, 0xBC, 0xBD])],
    &[is(0xE3), is(0x80), is(0x80)],
    // Telephones.
    &[is(b'+'), any(b"123456789(")],
    // IPv6 and MAC: more colons than a time has.
    &[is(b':'), is(b':')],
    &[is(b':'), many(HEXES), is(b':'), many(HEXES), is(b':'), H],
    &[X, H, H, is(b'-'), H, H, is(b'-'), H],
    &[is(b'.'), H, H, H, H, is(b'.'), H],
    // IPv4: one dot more than most versions have.
    &[D, is(b'.'), many(DIGITS), is(b'.'), many(DIGITS), is(b'.'), D],
    // Social security numbers.
    &[X, D, D, D, any(b"- "), D, D, any(b"- "), D],
    &[X, either(b's'), either(b's'), either(b'n'), many(Bytes::of(b" :=#\"'")), D],
    // Payment cards: as many digits as the shortest has.
    &[D, S, D, S, D, S, D, S, D, S, D, S, D, S, D, S, D, S, D, S, D, S, D],
    // IBAN.
    &[X, L, L, D, D],
    // AWS: the second and third letters of all prefixes.
    &[X, is(b'A'), any(b"BCGIKNPRS"), any(b"ACDIKOPV"), is(b'A')],
    // PEM: a run is looked at from its start, which the dash makes sure of.
    &[is(b'-'), is(b'B'), is(b'E'), is(b'G')],
    // How other credentials begin, shortened to what is rare enough.
    &[X, is(b'e'), is(b'y'), is(b'J')],
    &[X, is(b'A'), is(b'I'), is(b'z')],
    &[X, is(b'g'), any(b"hi"), any(b"pousrt")],
    &[X, any(b"srp"), is(b'k'), is(b'_')],
    &[X, is(b'w'), is(b'h'), is(b's')],
    &[X, is(b'x'), is(b'o'), is(b'x')],
    &[X, is(b'x'), is(b'a'), is(b'p')],
    &[X, is(b'y'), is(b'a'), is(b'2')],
    &[X, is(b'G'), is(b'O'), is(b'C')],
    &[X, is(b'1'), is(b'/'), is(b'/')],
    &[is(b'c'), is(b'k'), is(b'.'), is(b'c'), is(b'o')],
    &[X, either(b'b'), either(b'e'), either(b'a'), either(b'r'), either(b'e')],
    &[X, either(b'b'), either(b'a'), either(b's'), either(b'i')],
    // How the words end that tell of a secret, as in `password=`.
    &[any(b"oOsSpP"), any(b"rRwW"), either(b'd'), Q, E],
    &[either(b'a'), either(b's'), either(b's'), Q, E],
    &[either(b'r'), either(b'e'), either(b't'), Q, E],
    &[either(b'k'), either(b'e'), any(b"nNyY"), Q, E],
    &[either(b'a'), either(b'l'), either(b's'), Q, E],
    &[either(b'j'), either(b'w'), either(b't'), Q, E],
    &[either(b'u'), either(b't'), either(b'h'), Q, E],
    // Base64 of text.
    &[X, B0, B1, B2, B3, B0, B1, B2],
];

const Q: Place = maybe(Bytes::of(b"\"'"));
const E: Place = any(b"=:");

// Four digits of base64 that stand for three bytes of text: none has its top bit set, and the first two are no controls.
const B0: Place = base64(63, 8, 31);
const B1: Place = base64(15, 2, 7);
const B2: Place = base64(2, 0, 0);
const B3: Place = base64(63, 0, 63);

/// The digits of base64 whose six bits, of which only those in `mask` count, are from `first` to `last`.
const fn base64(mask: u8, first: u8, last: u8) -> Place {
    let mut bytes = Bytes::NONE;
    let mut byte = 0;
    while byte < 128 {
        if let Some(bits) = base64_digit(byte)
            && first <= bits & mask
            && bits & mask <= last
        {
            bytes = bytes.or(Bytes::range(byte, byte));
        }
        byte += 1;
    }
    once(bytes)
}
