//! Tokens that no prefix marks, but their parts and what is between them.

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
