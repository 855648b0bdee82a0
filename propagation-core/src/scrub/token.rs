//! Credentials that say what they are by how they begin.

use super::Detector;
use super::class::{at, count, from, is_alnum, is_base64_url};
use super::decode;
use super::pass::{Pass, Stretch};
use super::secret;

/// In [`heads`]: base64 of text can begin with this byte.
///
/// `I`–`Z` and `a`–`f` begin an ASCII character that prints; `7` and `4` a full-width form or an ideographic space.
pub(super) const BASE64_HEAD: u32 = 1;

/// For the first byte of a run: the second bytes (their low five bits, as bits) of all that [`token`] knows, and
/// [`BASE64_HEAD`].
#[inline(always)]
pub(super) fn heads(first: u8) -> u32 {
    HEADS.get(usize::from(first & 127)).copied().unwrap_or(0)
}

const HEADS: [u32; 128] = {
    let mut heads = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the loop")]
        let head = match byte as u8 {
            b'A' => seconds(b"KSIBCGNPR"),
            b'B' => seconds(b"eEaA"),
            b'b' => seconds(b"ea"),
            b'e' => seconds(b"y"),
            b'g' => seconds(b"hi"),
            b'G' => seconds(b"O"),
            b'h' => seconds(b"o"),
            b's' | b'r' | b'p' => seconds(b"k"),
            b'w' => seconds(b"h"),
            b'x' => seconds(b"oa"),
            b'y' => seconds(b"a"),
            _ => 0,
        };
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the loop")]
        let base64 = match byte as u8 {
            b'I'..=b'Z' | b'a'..=b'f' | b'7' | b'4' => BASE64_HEAD,
            _ => 0,
        };
        #[expect(clippy::indexing_slicing, reason = "bounded by the loop, and checked by the compiler")]
        {
            heads[byte] = head | base64;
        }
        byte += 1;
    }
    heads
};

const fn seconds(mut letters: &[u8]) -> u32 {
    let mut mask = 0;
    while let [letter, rest @ ..] = letters {
        mask |= 1 << (*letter & 31);
        letters = rest;
    }
    mask
}

/// The credential that begins with the run from `start` to `end`.
///
/// `jwt_done` remembers how far a failed attempt at a JSON web token looked, so that none looks there again.
pub(super) fn token(
    pass: &Pass<'_>,
    bytes: &[u8],
    start: usize,
    end: usize,
    jwt_done: &mut usize,
) -> Option<Stretch> {
    let rest = from(bytes, start);
    let (detector, end) = match at(bytes, start) {
        b'e' => (Detector::Jwt, jwt(bytes, start, jwt_done)?),
        b'A' if rest.starts_with(b"AIza") => (Detector::GoogleKey, tail(bytes, start + 4, 30, is_base64_url)?),
        b'A' => (Detector::AwsKey, aws(rest, end - start).map(|length| start + length)?),
        b'B' if rest.starts_with(b"BEGIN ") => {
            let start = start.checked_sub(5)?;
            return pass.has(Detector::Pem).then(|| pem(bytes, start)).flatten();
        }
        b'B' | b'b' => credential(bytes, start, end)?,
        b'g' if rest.starts_with(b"github_pat_") => {
            (Detector::GithubToken, tail(bytes, start + 11, 30, |byte| byte == b'_' || byte.is_ascii_alphanumeric())?)
        }
        b'g' if matches!(rest, [b'g', b'h', b'p' | b'o' | b'u' | b's' | b'r', b'_', ..]) => {
            (Detector::GithubToken, tail(bytes, start + 4, 20, |byte| byte == b'_' || byte.is_ascii_alphanumeric())?)
        }
        b'G' if rest.starts_with(b"GOCSPX-") => (Detector::GoogleKey, tail(bytes, start + 7, 20, is_base64_url)?),
        b'y' if rest.starts_with(b"ya29.") => {
            (Detector::GoogleKey, tail(bytes, start + 5, 20, |byte| byte == b'.' || is_base64_url(byte))?)
        }
        b's' | b'r' | b'p' if matches!(rest, [_, b'k', b'_', ..]) => {
            let mode = from(rest, 3);
            if !(mode.starts_with(b"live_") || mode.starts_with(b"test_")) {
                return None;
            }
            (Detector::StripeKey, tail(bytes, start + 8, 10, |byte| byte == b'_' || byte.is_ascii_alphanumeric())?)
        }
        b'w' if rest.starts_with(b"whsec_") => {
            (Detector::StripeKey, tail(bytes, start + 6, 16, |byte| matches!(byte, b'+' | b'/' | b'=') || is_alnum(byte))?)
        }
        b'x' => (Detector::SlackToken, slack(bytes, start)?),
        b'h' if rest.starts_with(b"hooks.slack.com/") => {
            (Detector::SlackToken, tail(bytes, start + 16, 30, |byte| byte == b'/' || is_alnum(byte))?)
        }
        _ => return None,
    };
    pass.has(detector).then_some((detector, start, end))
}

/// The end of what goes on from `start`, if at least `least` bytes do.
fn tail(bytes: &[u8], start: usize, least: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let length = count(bytes, start, usize::MAX, wanted);
    (length >= least).then_some(start + length)
}

/// An access key id: a prefix for its kind, then sixteen letters and digits.
fn aws(rest: &[u8], length: usize) -> Option<usize> {
    let is_kind = matches!(
        rest.first_chunk()?,
        b"AKIA" | b"ASIA" | b"ABIA" | b"ACCA" | b"AGPA" | b"AIDA" | b"AIPA" | b"ANPA" | b"ANVA" | b"APKA" | b"AROA"
    );
    let id = rest.get(..length)?;
    (is_kind && length == 20 && id.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
        .then_some(length)
}

/// `xoxb-…` and its kin, `xapp-…`, `xoxe.xoxp-…`.
fn slack(bytes: &[u8], start: usize) -> Option<usize> {
    let kind = from(bytes, start);
    let head = if kind.starts_with(b"xapp-") || matches!(kind, [b'x', b'o', b'x', b'a'..=b'z', b'-', ..]) {
        5
    } else if kind.starts_with(b"xoxe.xox") {
        10
    } else {
        return None;
    };
    let end = tail(bytes, start + head, 10, |byte| byte == b'-' || is_alnum(byte))?;
    bytes.get(start + head..end)?.iter().any(u8::is_ascii_digit).then_some(end)
}

/// Three or more parts between dots, the first of which decodes to `{"…`.
fn jwt(bytes: &[u8], start: usize, done: &mut usize) -> Option<usize> {
    if start < *done || !from(bytes, start).starts_with(b"eyJ") {
        return None;
    }
    let mut end = start + count(bytes, start, usize::MAX, is_base64_url);
    *done = end;
    if end - start < 12 {
        return None;
    }
    let mut parts = 1;
    while parts < 5 && at(bytes, end) == b'.' {
        let length = count(bytes, end + 1, usize::MAX, is_base64_url);
        // The key of a direct JWE and the signature of an unsecured token are empty.
        if length == 0 && parts == 1 && at(bytes, end + 2) != b'.' {
            break;
        }
        end += 1 + length;
        parts += 1;
    }
    (parts >= 2).then_some(end)
}

/// A PEM block whose dashes begin at `start`, to the end of its last line.
fn pem(bytes: &[u8], start: usize) -> Option<Stretch> {
    let head = from(bytes, start).strip_prefix(b"-----BEGIN ")?;
    let label = count(head, 0, 64, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    if label == 0 || !from(head, label).starts_with(b"-----") {
        return None;
    }
    // Without an end, everything up to the end of the value belongs to it.
    let body = start + 11 + label + 5;
    let end = from(bytes, body)
        .windows(9)
        .position(|window| window == b"-----END ")
        .map(|offset| {
            let label = body + offset + 9;
            let dashes = label + count(bytes, label, 64, |byte| byte != b'-');
            dashes + count(bytes, dashes, 5, |byte| byte == b'-')
        })
        .unwrap_or(bytes.len());
    Some((Detector::Pem, start, end))
}

/// `Bearer …` and `Basic …` (RFC 6750, 2.1; RFC 7617, 2).
fn credential(bytes: &[u8], start: usize, end: usize) -> Option<(Detector, usize)> {
    let scheme = bytes.get(start..end)?;
    let detector = if scheme.eq_ignore_ascii_case(b"bearer") {
        Detector::Bearer
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        Detector::Basic
    } else {
        return None;
    };
    // `+` and `:` are how forms and careless loggers write the space.
    let gap = count(bytes, end, 3, |byte| matches!(byte, b' ' | b'\t' | b'+' | b':' | b'=' | b'"'));
    if gap == 0 {
        return None;
    }
    let first = end + gap;
    let length = count(bytes, first, usize::MAX, |byte| is_alnum(byte) || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/'));
    let padding = count(bytes, first + length, 2, |byte| byte == b'=');
    let token = bytes.get(first..first + length)?;
    let is_credential = match detector {
        Detector::Basic => length >= 4 && decode::is_user_and_password(token),
        _ => length >= 8 && secret::is_random(token),
    };
    is_credential.then_some((detector, first + length + padding))
}
