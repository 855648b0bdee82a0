//! Credentials as in an `Authorization` header: `Bearer …`, `Basic …`, and other schemes.

use super::Tried;
use crate::class::{at, before, count, from, is_alnum};
use crate::scan::{Search, Stretch};
use crate::{Detector, decode};

/// How much of a credential is looked at.
const ENOUGH: usize = 64;

/// The rest of an `Authorization` value after its scheme.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credentials {
    /// A token that looks random (RFC 6750, 2.1).
    Bearer,
    /// `user:password` in base64 (RFC 7617, 2).
    Basic,
    /// A token that looks random and has sixteen bytes or more: the scheme is an ordinary word.
    Token,
    /// Parameters, of which one holds a proof (RFC 9110, 11.4).
    Parameters,
}

/// The schemes by their first word, in lower case.
pub(crate) const SCHEMES: &[&str] = &[
    "bearer",
    "basic",
    "token",
    "apikey",
    "api",
    "negotiate",
    "ntlm",
    "kerberos",
    "dpop",
    "oauth",
    "geniekey",
    "jwt",
    "ssws",
    "splunk",
    "zoho",
    "klaviyo",
    "bot",
    "privatetoken",
    "hoba",
    "gnap",
    "digest",
    "hawk",
    "mac",
    "signature",
    "aws",
    "aws4",
    "eg1",
    "hmac",
    "sharedaccesssignature",
    "sharedkey",
    "sharedkeylite",
    "scram",
    "vapid",
    "googlelogin",
    "acs",
    "bce",
    "tc3",
    "mwsauth",
];

fn credentials(scheme: &[u8]) -> Option<Credentials> {
    let known = SCHEMES.iter().find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()))?;
    Some(match *known {
        "bearer" => Credentials::Bearer,
        "basic" => Credentials::Basic,
        "digest"
        | "hawk"
        | "mac"
        | "signature"
        | "aws4"
        | "eg1"
        | "hmac"
        | "scram"
        | "vapid"
        | "googlelogin"
        | "oauth"
        | "sharedaccesssignature"
        | "acs"
        | "tc3" => Credentials::Parameters,
        _ => Credentials::Token,
    })
}

/// Returns the second bytes of the schemes that begin with `first`, in either case: in both cases, as bits.
pub(super) const fn seconds(first: u8) -> u128 {
    let (mut mask, mut index) = (0, 0);
    #[expect(clippy::indexing_slicing, reason = "bounded by the loop, and evaluated when compiled")]
    while index < SCHEMES.len() {
        let scheme = SCHEMES[index].as_bytes();
        if scheme[0].eq_ignore_ascii_case(&first) {
            mask |= 1 << (scheme[1] & 127);
            mask |= 1 << (scheme[1].to_ascii_uppercase() & 127);
        }
        index += 1;
    }
    mask
}

/// Returns the credential whose scheme is the run from `start` to `end`.
pub(super) fn credential(
    search: &Search<'_>,
    tried: &mut Tried,
    bytes: &[u8],
    start: usize,
    end: usize,
) -> Option<Stretch> {
    let kind = credentials(bytes.get(start..end)?)?;
    let detector = match kind {
        Credentials::Bearer => Detector::Bearer,
        Credentials::Basic => Detector::Basic,
        Credentials::Token | Credentials::Parameters => Detector::Authorization,
    };
    if !search.has(detector) {
        return None;
    }
    // `AWS4-HMAC-SHA256`, `Zoho-oauthtoken`, `Klaviyo-API-Key`
    let scheme = end + count(bytes, end, 24, |byte| is_alnum(byte) || byte == b'-');
    let end = if kind == Credentials::Bearer || kind == Credentials::Basic { end } else { scheme };
    // Forms write `+` for a space, and careless loggers a colon.
    let is_word = kind == Credentials::Token;
    let is_gap = |byte| matches!(byte, b' ' | b'\t' | b'+') || !is_word && matches!(byte, b':' | b'=' | b'"');
    let gap = count(bytes, end, 3, is_gap);
    // Inside of base64, a plus sign is a digit.
    let is_inside = is_word && matches!(before(bytes, start), b'/' | b'+') && at(bytes, end) == b'+';
    if gap == 0 || is_inside {
        return None;
    }
    let first = end + gap;
    let is_credential = match kind {
        Credentials::Basic => {
            let token = from(bytes, first).get(..count(bytes, first, ENOUGH, is_token)).unwrap_or(&[]);
            token.len() >= 4 && decode::is_user_and_password(token)
        }
        Credentials::Bearer => tried.schemes.token(bytes, first, ENOUGH, 8, is_token),
        Credentials::Token => {
            tried.schemes.token(bytes, first, ENOUGH, 16, |byte| is_token(byte) || matches!(byte, b'=' | b':'))
                || proof(bytes, first).is_some()
        }
        Credentials::Parameters => {
            return proof(bytes, first).map(|end| (detector, start, end));
        }
    };
    if !is_credential {
        return None;
    }
    let last =
        first + count(bytes, first, usize::MAX, |byte| is_token(byte) || (kind == Credentials::Token && byte == b':'));
    Some((detector, start, last + count(bytes, last, 2, |byte| byte == b'=')))
}

/// Returns the end of the parameters from `start` on, if one of them is a signature, a response or the like.
fn proof(bytes: &[u8], start: usize) -> Option<usize> {
    const NAMES: &[&[u8]] = &[
        b"signature",
        b"response",
        b"mac",
        b"sig",
        b"hmac",
        b"proof",
        b"token",
        b"key",
        b"auth",
        b"secret",
        b"password",
        b"p",
        b"t",
        b"r",
        b"data",
        b"oauth_signature",
        b"id",
    ];
    const LONGEST: usize = 2048;
    let line = from(bytes, start);
    let line = line.get(..LONGEST).unwrap_or(line);
    let line = line.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let mut parameters = line.split(|byte| matches!(byte, b',' | b' ' | b'&' | b';')).take(24);
    let has_proof = parameters.any(|parameter| {
        let Some(sign) = parameter.iter().position(|byte| *byte == b'=') else { return false };
        let Some((name, value)) = parameter.split_at_checked(sign) else { return false };
        let value = value.iter().filter(|byte| is_token(**byte) || **byte == b'%').count();
        let name = name.iter().rposition(|byte| !is_alnum(*byte)).map_or(name, |place| from(name, place + 1));
        value >= 16 && NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
    });
    has_proof.then_some(start + line.len())
}

/// RFC 9110, 11.2: `token68`, padding aside.
fn is_token(byte: u8) -> bool {
    is_alnum(byte) || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}
