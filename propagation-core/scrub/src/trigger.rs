//! The trigger patterns: short texts that clean text seldom has, and that every match has.
//!
//! A trigger is shorter and looser than the match it announces. It is loose enough that no match lacks one, and tight enough that ids,
//! dates, versions and prose rarely have one. Each must be complete within [`REACH`] bytes after the start of its match, or at a byte
//! that the exact check starts from. The triggers of token formats follow from their table.

use std::sync::LazyLock;

use super::automaton::{Automaton, Bytes, Place, Times};
use super::command;
use super::credential;
use super::decode::{DIGITS_OF_THREE, base64_digit};
use super::key;

/// How far before the end of its trigger a match may begin. The longest triggers are twelve digits with separators.
pub(super) const REACH: usize = 24;

pub(super) static TRIGGERS: LazyLock<Automaton> = LazyLock::new(|| {
    let formats: Vec<_> = credential::triggers(X)
        .chain(schemes())
        .chain(digits())
        .chain(credential::signatures().map(|text| text.iter().map(|byte| is(*byte)).collect()))
        .chain(commands())
        .chain(passwords())
        .collect();
    Automaton::new(PATTERNS.iter().copied().chain(formats.iter().map(Vec::as_slice)))
});

/// Returns the trigger of each `Authorization` scheme, in either case.
fn schemes() -> impl Iterator<Item = Vec<Place>> {
    const LONGEST: usize = 5;
    let letters = |scheme: &str| scheme.bytes().take(LONGEST).map(either).collect::<Vec<_>>();
    credential::SCHEMES.iter().map(move |scheme| {
        let letters = letters(scheme);
        // The trigger of a short scheme includes the separator and the first byte behind it.
        let rest: &[Place] = if scheme.len() < LONGEST { &[any(b" -:=+\""), once(TOKENS)] } else { &[] };
        [X].into_iter().chain(letters).chain(rest.iter().copied()).collect()
    })
}

/// Returns the trigger of each command that takes a credential: its name and a space.
fn commands() -> impl Iterator<Item = Vec<Place>> {
    command::names().map(|name| [X].into_iter().chain(name.iter().map(|byte| is(*byte))).chain([is(b' ')]).collect())
}

/// Returns the triggers of words for a password in languages other than English: the end of an ASCII word, any other letter, and any
/// other letter before an ASCII one, with the sign after it.
fn passwords() -> impl Iterator<Item = Vec<Place>> {
    let word = |word: &&str| ending(word.as_bytes()).map(either).chain([B, Q, W, E]).collect();
    let others = [vec![OTHER, B, Q, W, E], vec![OTHER, L, B, Q, W, E]];
    key::PASSWORDS.iter().filter(|word| word.is_ascii()).map(word).chain(others)
}

fn ending(word: &[u8]) -> impl Iterator<Item = u8> {
    const LONGEST: usize = 4;
    word.iter().skip(word.len().saturating_sub(LONGEST)).copied()
}

/// Returns a trigger for the digits of each script.
fn digits() -> impl Iterator<Item = Vec<Place>> {
    DIGITS_OF_THREE
        .iter()
        .filter(|(first, ..)| *first != 0xE2)
        .map(|(first, second, zero)| vec![is(*first), is(*second), once(Bytes::range(*zero, *zero + 9))])
}

const fn once(bytes: Bytes) -> Place {
    Place { bytes, times: Times::Once }
}

const fn many(bytes: Bytes) -> Place {
    Place { bytes, times: Times::OnceOrMore }
}

const fn maybe(bytes: Bytes) -> Place {
    Place { bytes, times: Times::OnceOrNever }
}

const fn is(byte: u8) -> Place {
    once(Bytes::of(&[byte]))
}

/// A letter in either case.
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
const LETTERS: Bytes = Bytes::range(b'a', b'z').or(Bytes::range(b'A', b'Z'));
const ALNUM: Bytes = LETTERS.or(DIGITS);
const L: Place = once(LETTERS);
/// A byte of a character outside ASCII.
const OTHER: Place = once(Bytes::range(0x80, 0xFF));
/// Neither letter nor digit, or the start of the text.
const X: Place = once(ALNUM.not());
/// A separator between the digits of a card.
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
    &[is(0xDF), once(Bytes::range(0x80, 0x89))],
    // A dot of IDNA, where a domain may have one.
    &[is(0xE3), is(0x80), is(0x82), once(ALNUM)],
    // Telephones: international, North American, after a word.
    &[is(b'+'), any(b"123456789(")],
    &[X, is(b'0'), is(b'0'), maybe(Bytes::of(b" -./(")), any(b"123456789")],
    &[X, is(b'0'), is(b'1'), is(b'1'), any(b" -./("), any(b"123456789")],
    &[X, N, D, D, any(b"-."), N, D, D, any(b"-. "), D],
    &[is(b'('), N, D, D, is(b')')],
    &[either(b't'), either(b'e'), either(b'l'), G, O, D],
    &[either(b'f'), either(b'o'), either(b'n'), G, O, D],
    &[either(b'o'), either(b'n'), either(b'e'), G, O, D],
    &[either(b'b'), either(b'i'), either(b'l'), maybe(Bytes::of(b"eE")), G, O, D],
    &[either(b'm'), either(b'o'), either(b'b'), G, O, D],
    &[either(b'd'), either(b'y'), G, O, D],
    &[either(b'f'), either(b'a'), either(b'x'), G, O, D],
    &[X, either(b'd'), either(b'i'), either(b'a'), either(b'l'), G, O, D],
    &[X, either(b's'), either(b'm'), either(b's'), G, O, D],
    &[either(b'c'), either(b'a'), either(b'l'), either(b'l'), G, O, D],
    &[either(b'c'), either(b'a'), either(b'l'), either(b'l'), either(b'e'), either(b'd'), G, O, D],
    &[either(b'a'), either(b'p'), either(b'p'), G, O, D],
    &[either(b'u'), either(b'm'), either(b'b'), either(b'e'), either(b'r'), G, O, D],
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
    // PEM: the scan starts before the dashes, from which the exact check starts.
    &[is(b'-'), maybe(Bytes::of(b" ")), is(b'B'), is(b'E'), is(b'G')],
    &[X, is(b'P'), is(b'u'), is(b'T'), is(b'T')],
    &[is(b'"'), is(b'd'), is(b'"'), is(b':'), is(b'"')],
    // JSON web tokens.
    &[X, is(b'e'), is(b'y'), is(b'J')],
    // Tokens known by their parts: Mailchimp, Terraform, Telegram, Firebase, Entra ID, Facebook.
    &[is(b'-'), is(b'u'), is(b's'), D],
    &[is(b'.'), is(b'a'), is(b't'), is(b'l'), is(b'a'), is(b's')],
    &[D, is(b':'), is(b'A'), is(b'A')],
    &[is(b':'), is(b'A'), is(b'P'), is(b'A'), is(b'9')],
    &[is(b'Q'), is(b'~')],
    &[D, D, D, is(b'|')],
    // The ends of names of secrets, with a sign: `password=`, `"api_key": `, `<secret>`.
    &[any(b"oOsSpP"), any(b"rRwW"), either(b'd'), B, Q, W, E],
    &[either(b'p'), either(b'w'), B, Q, W, E],
    &[either(b'a'), either(b's'), either(b's'), B, Q, W, E],
    &[either(b'a'), either(b's'), either(b'e'), B, Q, W, E],
    &[either(b'o'), either(b'd'), either(b'e'), B, Q, W, E],
    &[either(b'o'), either(b'r'), either(b't'), B, Q, W, E],
    &[either(b'r'), either(b'e'), either(b't'), B, Q, W, E],
    &[either(b'k'), either(b'e'), any(b"nNyY"), B, Q, W, E],
    &[either(b'a'), either(b'l'), either(b's'), B, Q, W, E],
    &[either(b'j'), either(b'w'), either(b't'), B, Q, W, E],
    &[either(b'u'), either(b't'), either(b'h'), B, Q, W, E],
    &[any(b"zZsS"), either(b'a'), either(b't'), either(b'i'), either(b'o'), either(b'n'), B, Q, W, E],
    &[X, either(b's'), either(b'i'), either(b'g'), is(b'=')],
    &[either(b'n'), either(b'a'), either(b't'), either(b'u'), either(b'r'), either(b'e'), is(b'=')],
    // Options of commands, and Mailgun's keys.
    &[is(b'-'), is(b't'), is(b'o'), is(b'k'), is(b'e'), is(b'n'), is(b' ')],
    &[is(b'-'), is(b's'), is(b'e'), is(b'c'), is(b'r'), is(b'e'), is(b't'), is(b' ')],
    &[is(b'-'), is(b'k'), is(b'e'), is(b'y'), is(b' ')],
    &[is(b'p'), is(b'i'), is(b'k'), is(b'e'), is(b'y'), is(b' ')],
    &[is(b'-'), H, H, H, H, H, H, H, H, is(b'-')],
    // MaxMind.
    &[is(b'_'), is(b'm'), is(b'm'), is(b'k')],
    // Cookies, and the names of sessions.
    &[either(b'k'), either(b'i'), either(b'e'), maybe(Bytes::of(b"sS")), B, Q, W, E],
    &[any(b"sSnN"), either(b'i'), either(b'd'), E],
    &[either(b's'), either(b's'), either(b'i'), either(b'o'), either(b'n'), is(b'=')],
    &[is(b'_'), is(b'_'), any(b"HS"), any(b"oe")],
    &[either(b'd'), is(b'_'), either(b'i'), either(b'n'), is(b'_')],
    // A password in words: `password is …`, `--password …`.
    &[any(b"oOsSpP"), any(b"rRwW"), either(b'd'), is(b' ')],
    &[either(b'p'), either(b'a'), either(b's'), either(b's'), is(b' '), is(b'i'), is(b's'), is(b' ')],
    &[either(b'r'), either(b'a'), either(b's'), either(b'e'), is(b' ')],
    &[any(b"kKrRoO"), either(b'e'), any(b"nNyYtT"), is(b' '), is(b'i'), is(b's'), is(b' ')],
    &[either(b'c'), either(b'o'), either(b'd'), either(b'e'), is(b' '), is(b'i'), is(b's'), is(b' ')],
    // An address in words: `anna at example dot com`, `anna [at] example.com`.
    &[is(b' '), either(b'd'), either(b'o'), either(b't'), is(b' ')],
    &[any(b"([{"), either(b'd'), either(b'o'), either(b't'), any(b")]}")],
    &[any(b"([{"), either(b'a'), either(b't'), any(b")]}")],
    &[is(b'&'), is(b'#'), is(b'6'), is(b'4'), is(b';')],
    &[is(b'&'), is(b'#'), any(b"xX"), is(b'4'), is(b'0'), is(b';')],
    &[is(b'&'), is(b'c'), is(b'o'), is(b'm'), is(b'm'), is(b'a'), is(b't'), is(b';')],
    // Base64 of text.
    &[X, B0, B1, B2, B3, B0, B1, B2],
];

/// The first digit of an area code.
const N: Place = any(b"23456789");
/// The signs between a word and a number.
const G: Place = many(Bytes::of(b" :=.\"'#\\"));
const O: Place = maybe(Bytes::of(b"("));
/// The escape, quotation mark and space that may follow a name, and the sign that does.
const B: Place = maybe(Bytes::of(b"\\]"));
const Q: Place = maybe(Bytes::of(b"\"'"));
const W: Place = maybe(Bytes::of(b" "));
const E: Place = any(b"=:>");
const TOKENS: Bytes = ALNUM.or(Bytes::of(b"-_\""));

// Four digits of base64 that encode three bytes of text: none has its top bit set, and the first two are not control characters.
const B0: Place = base64(63, 8, 31);
const B1: Place = base64(15, 2, 7);
const B2: Place = base64(2, 0, 0);
const B3: Place = base64(63, 0, 63);

/// The digits of base64 whose six bits, masked by `mask`, are from `first` to `last`.
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
