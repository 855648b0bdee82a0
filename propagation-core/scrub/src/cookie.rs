//! `Cookie` and `Set-Cookie` headers, and session cookies by their names.

use super::class::{at, count, from, is_alnum};
use super::random;

/// The names of session cookies in lower case. A name may have a prefix or a suffix: `__Host-…`, `ASPSESSIONID…`, `….sid`.
const SESSIONS: [&[u8]; 23] = [
    b"phpsessid",
    b"jsessionid",
    b"sessionid",
    b"aspsessionid",
    b"asp.net_sessionid",
    b"connect.sid",
    b".aspxauth",
    b".aspnetcore",
    b"laravel_session",
    b"ci_session",
    b"rack.session",
    b"symfony",
    b"play_session",
    b"csrftoken",
    b"xsrf-token",
    b"cfid",
    b"cftoken",
    b"__secure-",
    b"__host-",
    b"remember_user",
    b"remember_web",
    b"_session",
    b"session_id",
];

/// Returns the cookies of the header, or the value of the session cookie, whose name ends before the sign at `index`.
pub(super) fn cookie(bytes: &[u8], index: usize) -> Option<(usize, usize)> {
    const LONGEST: usize = 40;
    let head = bytes.get(..index)?;
    let head = head.strip_suffix(b"\"").or_else(|| head.strip_suffix(b"'")).unwrap_or(head);
    if !matches!(head.last()? | 0x20, b'e' | b'd' | b'n' | b'h' | b's') {
        return None;
    }
    let is_name = |byte: &&u8| is_alnum(**byte) || matches!(byte, b'_' | b'-' | b'.');
    let length = head.iter().rev().take(LONGEST).take_while(is_name).count();
    let name = from(head, head.len() - length);
    let start = index + 1 + count(bytes, index + 1, 3, |byte| matches!(byte, b' ' | b'"' | b'\''));
    if ends_with(name, b"cookie") {
        return header(bytes, start);
    }
    let is_session = at(bytes, index) == b'=' && SESSIONS.iter().any(|known| contains(name, known));
    let end = start + count(bytes, start, 512, |byte| !is_end(byte));
    (is_session && is_opaque(bytes.get(start..end)?)).then_some((start, end))
}

/// Whether the value of a header for cookies has one that looks random.
pub(super) fn is_secret(value: &[u8]) -> bool {
    header(value, 0).is_some() || (is_opaque(value) && !value.contains(&b'='))
}

/// Returns the cookies from `start` to the end of the line, if one of them looks random.
fn header(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    const LONGEST: usize = 4096;
    let line = from(bytes, start);
    let line = line.get(..LONGEST).unwrap_or(line);
    let line = line.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let mut cookies = line.split(|byte| matches!(byte, b';' | b' ' | b',')).take(64);
    let is_secret = cookies.any(|cookie| {
        let sign = cookie.iter().position(|byte| *byte == b'=');
        sign.is_some_and(|sign| is_opaque(from(cookie, sign + 1)))
    });
    is_secret.then_some((start, start + line.len()))
}

/// Whether the value of a cookie identifies a session: it looks random, or is a long number.
fn is_opaque(value: &[u8]) -> bool {
    let letters =
        value.iter().take_while(|byte| is_alnum(**byte) || matches!(byte, b'-' | b'_' | b'.' | b'%' | b'=')).count();
    let value = value.get(..letters).unwrap_or(value);
    value.len() >= 8 && (random::looks_random(value) || value.len() >= 20 && value.iter().any(u8::is_ascii_digit))
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b' ' | b';' | b',' | b'"' | b'\'' | b'&' | b'\r' | b'\n' | b'<' | b'>' | b'#' | b'?' | b'/')
}

fn contains(name: &[u8], known: &[u8]) -> bool {
    name.windows(known.len()).any(|part| part.eq_ignore_ascii_case(known))
}

fn ends_with(name: &[u8], end: &[u8]) -> bool {
    name.len()
        .checked_sub(end.len())
        .and_then(|start| name.get(start..))
        .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}
