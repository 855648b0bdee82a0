//! Credentials that say what they are by how they begin.

use super::Detector;
use super::class::{at, count, from, is_alnum, is_base64_url};
use super::decode;
use super::pass::{Pass, Stretch};
use super::secret;

/// In [`heads`]: base64 of text can begin with this byte.
///
/// `I`–`Z` and `a`–`f` begin an ASCII character that prints.
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
            b'1' => seconds(b"/"),
            b'x' => seconds(b"oa"),
            b'y' => seconds(b"a"),
            _ => 0,
        };
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the loop")]
        let base64 = match byte as u8 {
            b'I'..=b'Z' | b'a'..=b'f' => BASE64_HEAD,
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

/// What was looked at before and is nothing, so that what begins inside is not looked at anew.
#[derive(Default)]
pub(super) struct Seen {
    /// Before this, nothing begins a JSON web token: an attempt that ends there failed.
    jwt: usize,
    bearers: secret::Judged,
}

/// The credential that begins with the run from `start` to `end`.
pub(super) fn token(pass: &Pass<'_>, seen: &mut Seen, bytes: &[u8], start: usize, end: usize) -> Option<Stretch> {
    let rest = from(bytes, start);
    // Whether the detector is wanted comes before any search for an end: what is not reported would be searched again.
    match at(bytes, start) {
        b'e' if pass.has(Detector::Jwt) => jwt(bytes, start, &mut seen.jwt).map(|end| (Detector::Jwt, start, end)),
        b'A' if pass.has(Detector::AwsKey) && aws(rest, end - start) => Some((Detector::AwsKey, start, end)),
        b'B' if rest.starts_with(b"BEGIN ") && pass.has(Detector::Pem) => pem(bytes, start.checked_sub(5)?),
        b'B' | b'b' => credential(pass, seen, bytes, start, end),
        _ => {
            let form = FORMS.iter().find(|form| rest.starts_with(form.start))?;
            if !pass.has(form.detector) {
                return None;
            }
            let body = start + form.start.len();
            // A form that is not filled costs no more than what filling it takes.
            let filled = count(bytes, body, form.least, form.body);
            (filled == form.least).then(|| (form.detector, start, body + count(bytes, body, usize::MAX, form.body)))
        }
    }
}

/// A credential that is known by its start, and how long what follows has to be.
struct Form {
    detector: Detector,
    start: &'static [u8],
    body: fn(u8) -> bool,
    least: usize,
}

const fn form(detector: Detector, start: &'static [u8], body: fn(u8) -> bool, least: usize) -> Form {
    Form { detector, start, body, least }
}

const FORMS: [Form; 27] = [
    form(Detector::GithubToken, b"github_pat_", is_word, 30),
    form(Detector::GithubToken, b"ghp_", is_word, 20),
    form(Detector::GithubToken, b"gho_", is_word, 20),
    form(Detector::GithubToken, b"ghu_", is_word, 20),
    form(Detector::GithubToken, b"ghs_", is_word, 20),
    form(Detector::GithubToken, b"ghr_", is_word, 20),
    form(Detector::StripeKey, b"sk_live_", is_word, 10),
    form(Detector::StripeKey, b"sk_test_", is_word, 10),
    form(Detector::StripeKey, b"rk_live_", is_word, 10),
    form(Detector::StripeKey, b"rk_test_", is_word, 10),
    form(Detector::StripeKey, b"pk_live_", is_word, 10),
    form(Detector::StripeKey, b"pk_test_", is_word, 10),
    form(Detector::StripeKey, b"whsec_", is_base64_padded, 16),
    form(Detector::GoogleKey, b"AIza", is_base64_url, 30),
    form(Detector::GoogleKey, b"GOCSPX-", is_base64_url, 20),
    form(Detector::GoogleKey, b"ya29.", is_base64_url_or_dot, 20),
    form(Detector::GoogleKey, b"1//0", is_base64_url, 30),
    form(Detector::SlackToken, b"xoxb-", is_alnum_or_dash, 10),
    form(Detector::SlackToken, b"xoxp-", is_alnum_or_dash, 10),
    form(Detector::SlackToken, b"xoxa-", is_alnum_or_dash, 10),
    form(Detector::SlackToken, b"xoxr-", is_alnum_or_dash, 10),
    form(Detector::SlackToken, b"xoxs-", is_alnum_or_dash, 10),
    form(Detector::SlackToken, b"xoxc-", is_alnum_or_dash, 10),
    form(Detector::SlackToken, b"xoxd-", is_alnum_or_dash, 10),
    form(Detector::SlackToken, b"xoxe", is_slack_rotated, 10),
    form(Detector::SlackToken, b"xapp-", is_alnum_or_dash, 10),
    form(Detector::SlackToken, b"hooks.slack.com/", is_alnum_or_slash, 30),
];

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn is_alnum_or_dash(byte: u8) -> bool {
    byte == b'-' || byte.is_ascii_alphanumeric()
}

fn is_alnum_or_slash(byte: u8) -> bool {
    byte == b'/' || byte.is_ascii_alphanumeric()
}

/// `xoxe-1-…`, `xoxe.xoxp-1-…`
fn is_slack_rotated(byte: u8) -> bool {
    matches!(byte, b'-' | b'.') || byte.is_ascii_alphanumeric()
}

fn is_base64_padded(byte: u8) -> bool {
    matches!(byte, b'+' | b'/' | b'=') || byte.is_ascii_alphanumeric()
}

fn is_base64_url_or_dot(byte: u8) -> bool {
    byte == b'.' || is_base64_url(byte)
}

/// An access key id: a prefix for its kind, then sixteen letters and digits.
fn aws(rest: &[u8], length: usize) -> bool {
    let is_kind = matches!(
        rest.first_chunk(),
        Some(
            b"AKIA" | b"ASIA" | b"ABIA" | b"ACCA" | b"AGPA" | b"AIDA" | b"AIPA" | b"ANPA" | b"ANVA" | b"APKA" | b"AROA"
        )
    );
    length == 20 && is_kind && rest.iter().take(length).all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
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
        if length == 0 && parts == 1 && at(bytes, end + 1) != b'.' {
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
fn credential(pass: &Pass<'_>, seen: &mut Seen, bytes: &[u8], start: usize, end: usize) -> Option<Stretch> {
    /// As much of a credential as it takes to tell that it is one.
    const ENOUGH: usize = 64;
    let scheme = bytes.get(start..end)?;
    let detector = if scheme.eq_ignore_ascii_case(b"bearer") && pass.has(Detector::Bearer) {
        Detector::Bearer
    } else if scheme.eq_ignore_ascii_case(b"basic") && pass.has(Detector::Basic) {
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
    let is_credential = if detector == Detector::Basic {
        let token = from(bytes, first).get(..count(bytes, first, ENOUGH, is_token)).unwrap_or(&[]);
        token.len() >= 4 && decode::is_user_and_password(token)
    } else {
        seen.bearers.token(bytes, first, ENOUGH, is_token)
    };
    let last = first + count(bytes, first, if is_credential { usize::MAX } else { 0 }, is_token);
    is_credential.then(|| (detector, start, last + count(bytes, last, 2, |byte| byte == b'=')))
}

/// RFC 9110, 11.2: `token68`, padding aside.
fn is_token(byte: u8) -> bool {
    is_alnum(byte) || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

/// What stands in the `user:password` of a URL.
const USER_INFO: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
        {
            table[byte] = byte > 0x20 && byte != 0x7F;
        }
        byte += 1;
    }
    let mut others: &[u8] = b"/@?#\"<>";
    while let [byte, rest @ ..] = others {
        #[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
        {
            table[*byte as usize] = false;
        }
        others = rest;
    }
    table
};

fn is_user_info(byte: u8) -> bool {
    USER_INFO.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Where the `user:password` of a URL begins whose `@` is at `index`.
pub(super) fn user_info(bytes: &[u8], index: usize) -> Option<usize> {
    const LONGEST: usize = 128;
    let head = bytes.get(..index)?;
    let mut length = 0;
    let mut has_colon = false;
    for byte in head.iter().rev().take(LONGEST).take_while(|byte| is_user_info(**byte)) {
        length += 1;
        has_colon |= *byte == b':';
    }
    if !has_colon {
        return None;
    }
    let (before, user_info) = head.split_at_checked(head.len() - length)?;
    let password = user_info.iter().position(|byte| *byte == b':').map_or(0, |colon| user_info.len() - colon - 1);
    (password > 0 && before.ends_with(b"://")).then_some(before.len())
}
