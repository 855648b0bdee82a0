//! Credentials that are recognised by how they begin: token formats, JSON web tokens, PEM, `Authorization` schemes.

mod authorization;
mod format;
mod jwt;
mod pem;
mod shape;
mod table;
mod url;

use super::Detector;
use super::class::{at, from};
use super::scan::{Search, Stretch};
use super::secret;

pub(super) use authorization::SCHEMES;
pub(super) use format::triggers;
pub(super) use pem::private_exponent;
pub(super) use shape::{app_secret, azure_secret, mailgun, signatures, signed, signed_in, telegram};
#[cfg(test)]
pub(super) use table::EXAMPLES;
pub(super) use url::user_info;

/// In [`heads`]: base64 of text can begin with this byte.
///
/// `I`–`Z` and `a`–`f` begin a printable ASCII character.
pub(super) const BASE64_HEAD: u128 = 1;

/// Returns, for the first byte of a run, the second bytes (as bits) of everything that [`credential`] knows, and
/// [`BASE64_HEAD`].
#[inline(always)]
pub(super) fn heads(first: u8) -> u128 {
    HEADS.get(usize::from(first & 127)).copied().unwrap_or(0)
}

const HEADS: [u128; 128] = {
    let mut heads = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the loop")]
        let first = byte as u8;
        let other = match first {
            b'A' => seconds(b"KSIBCGNPR"),
            b'B' => seconds(b"E"),
            b'e' => seconds(b"y"),
            b'M' | b'N' | b'O' => seconds(b"DTjz"),
            b'u' => seconds(b"s"),
            b'a' => seconds(b"t"),
            b'P' => seconds(b"u"),
            b'm' => seconds(b"m"),
            _ => 0,
        };
        let base64 = match first {
            b'I'..=b'Z' | b'a'..=b'f' => BASE64_HEAD,
            _ => 0,
        };
        #[expect(clippy::indexing_slicing, reason = "bounded by the loop, and checked by the compiler")]
        {
            heads[byte] = other | base64 | format::seconds(first, false) | authorization::seconds(first);
        }
        byte += 1;
    }
    heads
};

/// Whether a token format begins with these two letters and a digit.
#[inline(always)]
pub(super) fn may_have_digit(first: u8, second: u8) -> bool {
    WITH_DIGIT.get(usize::from(first & 127)).is_some_and(|seconds| seconds >> (second & 127) & 1 != 0)
}

const WITH_DIGIT: [u128; 128] = {
    let mut table = [0; 128];
    let mut first = 0;
    while first < 128 {
        #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "bounded by the loop")]
        {
            table[first] = format::seconds(first as u8, true);
        }
        first += 1;
    }
    table
};

const fn seconds(mut letters: &[u8]) -> u128 {
    let mut mask = 0;
    while let [letter, rest @ ..] = letters {
        mask |= 1 << (*letter & 127);
        letters = rest;
    }
    mask
}

/// Attempts that failed, so that text inside of them is not tried again.
#[derive(Default)]
pub(super) struct Tried {
    /// No JSON web token begins before this.
    jwt: usize,
    schemes: secret::Judged,
}

/// Returns the credential that begins with the run from `start` to `end`.
///
/// Checks whether a detector is wanted before it searches for an end: otherwise text that is not reported would be searched again.
pub(super) fn credential(
    search: &Search<'_>,
    tried: &mut Tried,
    bytes: &[u8],
    start: usize,
    end: usize,
) -> Option<Stretch> {
    let rest = from(bytes, start);
    let found = match at(bytes, start) {
        b'e' if search.has(Detector::Jwt) => {
            jwt::jwt(bytes, start, &mut tried.jwt).map(|end| (Detector::Jwt, start, end))
        }
        b'A' if search.has(Detector::AwsKey) && aws_key_id(rest, end - start) => Some((Detector::AwsKey, start, end)),
        b'B' if rest.starts_with(b"BEGIN") && search.has(Detector::Pem) => pem::armour(bytes, start),
        b'P' if rest.starts_with(b"PuTTY-User-Key-File-") && search.has(Detector::Pem) => {
            Some((Detector::Pem, start, bytes.len()))
        }
        _ => None,
    };
    found
        .or_else(|| {
            let (detector, end) = format::token(bytes, start, |detector| search.has(detector))?;
            Some((detector, start, end))
        })
        .or_else(|| shape::run(search, bytes, start, end))
        .or_else(|| authorization::credential(search, tried, bytes, start, end))
}

/// Whether a run is an AWS access key id: a prefix for its kind, then sixteen capitals and digits.
fn aws_key_id(rest: &[u8], length: usize) -> bool {
    let is_kind = matches!(
        rest.first_chunk(),
        Some(
            b"AKIA" | b"ASIA" | b"ABIA" | b"ACCA" | b"AGPA" | b"AIDA" | b"AIPA" | b"ANPA" | b"ANVA" | b"APKA" | b"AROA"
        )
    );
    length == 20 && is_kind && rest.iter().take(length).all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
