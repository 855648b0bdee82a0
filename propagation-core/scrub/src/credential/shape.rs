//! Tokens without a prefix, recognised by their parts and the signs between them.

use super::format::is_mixed;
use crate::Detector;
use crate::class::{at, before, count, from, is_alnum, is_base64_url};
use crate::scan::{Search, Stretch};

/// Returns the token whose first run is from `start` to `end`.
pub(super) fn run(search: &Search<'_>, bytes: &[u8], start: usize, end: usize) -> Option<Stretch> {
    if !search.has(Detector::ProviderToken) {
        return None;
    }
    let found = match at(bytes, start) {
        b'M' | b'N' | b'O' => discord(bytes, start).map(|end| (start, end)),
        b'u' => mailchimp(bytes, start, end),
        b'a' => terraform(bytes, start),
        b'm' => maxmind(bytes, start, end),
        _ => None,
    }?;
    Some((Detector::ProviderToken, found.0, found.1))
}

/// A Discord bot token: the bot's id in base64, a time, a signature.
fn discord(bytes: &[u8], start: usize) -> Option<usize> {
    let id = count(bytes, start, 40, is_base64_url);
    let time = start + id + 1;
    let signature = time + 7;
    let length = count(bytes, signature, 80, is_base64_url);
    let is_token = (23..=28).contains(&id)
        && at(bytes, time - 1) == b'.'
        && count(bytes, time, 7, is_base64_url) == 6
        && at(bytes, signature - 1) == b'.'
        && length >= 27;
    (is_token && bytes.get(start..start + id).is_some_and(is_mixed)).then_some(signature + length)
}

/// A Mailchimp key: 32 hexadecimal digits and the data centre, whose run is from `start` to `end`.
fn mailchimp(bytes: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let digits = from(bytes, start).strip_prefix(b"us")?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let key = start.checked_sub(33)?;
    let is_hex = bytes.get(key..start - 1)?.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    let is_key = is_hex && before(bytes, start) == b'-' && !is_alnum(before(bytes, key));
    (is_key && (1..=2).contains(&digits) && start + 2 + digits == end).then_some((key, end))
}

/// A Terraform token: 14 signs, `.atlasv1.` and more, where `atlasv1` is at `start`.
fn terraform(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let end = start + 8 + count(bytes, start + 8, usize::MAX, is_base64_url);
    let first = start.checked_sub(15)?;
    let is_id = bytes.get(first..start - 1)?.iter().all(u8::is_ascii_alphanumeric);
    let is_token = from(bytes, start).starts_with(b"atlasv1.") && before(bytes, start) == b'.' && end - start > 40;
    (is_token && is_id && !is_alnum(before(bytes, first))).then_some((first, end))
}

/// Returns the token of a Telegram bot, or of Firebase's messages, whose `:` is at `index`.
pub(crate) fn telegram(bytes: &[u8], index: usize) -> Option<(usize, usize)> {
    let head = bytes.get(..index)?;
    let end = index + 1 + count(bytes, index + 1, usize::MAX, is_base64_url);
    let rest = bytes.get(index + 1..end)?;
    if rest.starts_with(b"APA91b") && rest.len() > 100 {
        let id = head.iter().rev().take(30).take_while(|byte| is_base64_url(**byte)).count();
        return (id >= 8).then(|| (index - id, end));
    }
    let digits = head.iter().rev().take(12).take_while(|byte| byte.is_ascii_digit()).count();
    let start = index - digits;
    // In the address of the bot's interface, `bot` precedes.
    let is_apart = !is_alnum(before(bytes, start)) || bytes.get(..start)?.ends_with(b"/bot");
    ((8..=11).contains(&digits) && is_apart && rest.starts_with(b"AA") && (33..=37).contains(&rest.len()))
        .then_some((start, end))
}

/// Returns the client secret of Entra ID (Azure AD) whose `~` is at `index`: three signs, a digit and `Q~`, then 31 to 34 signs.
pub(crate) fn azure_secret(bytes: &[u8], index: usize) -> Option<(usize, usize)> {
    let is_secret = |byte: u8| is_alnum(byte) || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let start = index.checked_sub(5)?;
    let head = bytes.get(start..index)?;
    let end = index + 1 + count(bytes, index + 1, 64, is_secret);
    let is_client = head.iter().all(|byte| is_secret(*byte))
        && matches!(head.last_chunk(), Some([b'0'..=b'9', b'Q']))
        && !is_alnum(before(bytes, start))
        && end - index > 30;
    is_client.then_some((start, end))
}

/// Returns the secret of a Facebook application whose `|` is at `index`: its id, and 27 signs.
pub(crate) fn app_secret(bytes: &[u8], index: usize) -> Option<(usize, usize)> {
    let head = bytes.get(..index)?;
    let id = head.iter().rev().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    let length = count(bytes, index + 1, 40, is_base64_url);
    let secret = bytes.get(index + 1..index + 1 + length)?;
    ((13..=17).contains(&id) && !is_alnum(before(bytes, index - id)) && (27..=32).contains(&length) && is_mixed(secret))
        .then(|| (index - id, index + 1 + length))
}

/// Keys of Azure and New Relic that a signature near their end marks: the signature, and the exact count of bytes before and after it.
const SIGNED: &[(&[u8], usize, usize)] = &[
    (b"NRAL", 36, 0),
    (b"AZDO", 76, 4),
    (b"+ASt", 76, 6),
    (b"+ABa", 76, 6),
    (b"+AMC", 76, 6),
    (b"ACDb", 76, 6),
    (b"APIM", 76, 6),
    (b"AzFu", 44, 6),
    (b"AzSe", 42, 6),
    (b"+ACR", 42, 6),
    (b"AzCa", 33, 5),
    (b"AIoT", 33, 5),
    (b"+AEh", 33, 5),
    (b"+ASb", 33, 5),
    (b"+ARm", 33, 5),
    (b"QQJ9", 53, 27),
];

/// Returns the triggers of [`signed`].
pub(crate) fn signatures() -> impl Iterator<Item = &'static [u8]> {
    SIGNED.iter().map(|(signature, ..)| *signature)
}

/// Returns the key whose signature ends at `last`.
pub(crate) fn signed(bytes: &[u8], last: usize) -> Option<(usize, usize)> {
    let is_key = |byte: &u8| is_alnum(*byte) || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let place = last.checked_sub(3)?;
    let (_, head, tail) = SIGNED.iter().find(|(signature, ..)| from(bytes, place).starts_with(signature))?;
    let (start, end) = (place.checked_sub(*head)?, last + 1 + tail);
    let is_whole = bytes.get(start..end)?.iter().all(is_key)
        && !is_key(&before(bytes, start))
        && !is_key(&at(bytes, end))
        && bytes.get(start..place).is_some_and(is_mixed);
    is_whole.then(|| (start, end + count(bytes, end, 2, |byte| byte == b'=')))
}

/// Returns the key whose signature is in the run that begins at `start`, or at the sign before it.
pub(crate) fn signed_in(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    const LONGEST: usize = 96;
    let end = start + count(bytes, start, LONGEST, is_alnum);
    let begin = start.saturating_sub(1);
    let marked = from(bytes, begin).iter().take(end - begin).enumerate();
    marked
        .filter(|(_, byte)| matches!(byte, b'N' | b'A' | b'+' | b'Q'))
        .find_map(|(offset, _)| signed(bytes, begin + offset + 3))
}

/// Returns the Mailgun key (32, 8 and 8 hexadecimal digits) whose second dash is at `index`.
pub(crate) fn mailgun(bytes: &[u8], index: usize) -> Option<(usize, usize)> {
    let (start, end) = (index.checked_sub(41)?, index + 9);
    let is_hex = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    let is_key = bytes.get(start..start + 32)?.iter().all(is_hex)
        && at(bytes, start + 32) == b'-'
        && bytes.get(start + 33..index)?.iter().all(is_hex)
        && bytes.get(index + 1..end)?.iter().all(is_hex);
    (is_key && !is_alnum(before(bytes, start)) && !is_alnum(at(bytes, end))).then_some((start, end))
}

/// A `MaxMind` license key: 6 and 29 signs and `_mmk`, whose last run is from `start` to `end`.
fn maxmind(bytes: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let first = start.checked_sub(37)?;
    let is_key = bytes.get(start..end)? == b"mmk"
        && bytes.get(first..first + 6)?.iter().all(u8::is_ascii_alphanumeric)
        && at(bytes, first + 6) == b'_'
        && bytes.get(first + 7..start - 1)?.iter().all(u8::is_ascii_alphanumeric);
    (is_key && before(bytes, start) == b'_' && !is_alnum(before(bytes, first))).then_some((first, end))
}
