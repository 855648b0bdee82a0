//! E-mail addresses, from the `@` outwards.

use super::class::{at, count, from};

/// RFC 5321, 4.5.3.1.1.
const LONGEST_LOCAL: usize = 64;
/// RFC 5321, 4.5.3.1.2.
const LONGEST_DOMAIN: usize = 255;

/// Returns the address around the `@` at `index`.
pub(super) fn email(bytes: &[u8], index: usize) -> Option<(usize, usize)> {
    let head = bytes.get(..index)?;
    if !matches!(head.last(), Some(byte) if is_local(*byte) || *byte == b'"') {
        return None;
    }
    let rest = from(bytes, index + 1);
    let end = index + 1 + literal(rest).or_else(|| domain(rest))?;
    let local = head.iter().rev().take(LONGEST_LOCAL).take_while(|byte| is_local(**byte)).count();
    if local > 0 {
        return Some((index - local, end));
    }
    // `"John Doe"@example.com`: from the quotation mark that opens the name, if it is near.
    let name = head.strip_suffix(b"\"").filter(|name| !name.is_empty())?;
    let length = name.iter().rev().take(LONGEST_LOCAL).position(|byte| *byte == b'"');
    Some((length.map_or(index - 1, |length| index - length - 2), end))
}

/// Returns the address that is spelled out around `last`, its ` dot `, `[dot]`, `(at)` or HTML entity: `anna at example dot com`.
pub(super) fn spelled(bytes: &[u8], last: usize) -> Option<(usize, usize)> {
    let head = bytes.get(..=last)?;
    let entity =
        [&b"&#64;"[..], b"&#x40;", b"&#X40;", b"&commat;"].iter().find_map(|entity| head.strip_suffix(*entity));
    let rest = from(bytes, last + 1);
    let rest = from(rest, usize::from(at(rest, 0) == b' '));
    let (user, length) = if let Some((user, _)) = entity.map(|user| (user, true)).or_else(|| strip_word(head, b"at")) {
        (user, domain(rest).or_else(|| label_and_dot(rest))?)
    } else {
        let (head, is_bracketed) = strip_word(head, b"dot")?;
        let label = head.iter().rev().take(63).take_while(|byte| is_label(**byte)).count();
        let (head, label) = head.split_at_checked(head.len() - label)?;
        let user = strip_word(head, b"at").map(|(user, _)| user).or_else(|| head.strip_suffix(b"@"))?;
        let letters = count(rest, 0, 64, |byte| byte.is_ascii_alphabetic());
        let is_domain = is_bracketed || rest.get(..letters).is_some_and(is_common);
        (user, ((2..=24).contains(&letters) && !label.is_empty() && is_domain).then_some(letters)?)
    };
    let local = user.iter().rev().take(LONGEST_LOCAL).take_while(|byte| is_local(**byte)).count();
    (local > 0).then(|| (user.len() - local, bytes.len() - rest.len() + length))
}

/// Whether a top-level domain is common enough to be recognised after the word `dot`.
fn is_common(label: &[u8]) -> bool {
    const COMMON: [&[u8]; 40] = [
        b"com", b"org", b"net", b"edu", b"gov", b"mil", b"info", b"biz", b"io", b"dev", b"app", b"ai", b"co", b"me",
        b"eu", b"uk", b"de", b"fr", b"it", b"es", b"nl", b"be", b"ch", b"at", b"pl", b"se", b"no", b"dk", b"fi", b"pt",
        b"ru", b"cn", b"jp", b"kr", b"br", b"ca", b"au", b"nz", b"example", b"test",
    ];
    COMMON.iter().any(|known| label.eq_ignore_ascii_case(known))
}

/// Returns the length of `example [dot] com` or `example dot com`.
fn label_and_dot(rest: &[u8]) -> Option<usize> {
    let label = count(rest, 0, 63, is_label);
    let word = from(rest, label);
    let length = [&b" dot "[..], b" [dot] ", b" (dot) ", b"[dot]", b"(dot)", b"{dot}", b" {dot} "]
        .iter()
        .find(|dot| word.get(..dot.len()).is_some_and(|head| head.eq_ignore_ascii_case(dot)))?
        .len();
    let letters = count(word, length, 64, |byte| byte.is_ascii_alphabetic());
    (label > 0 && (2..=24).contains(&letters)).then_some(label + length + letters)
}

/// Returns the text before ` word `, `(word)`, `[word]` or `{word}`, with or without spaces around, and whether it has brackets.
fn strip_word<'b>(head: &'b [u8], word: &[u8]) -> Option<(&'b [u8], bool)> {
    let trimmed = head.strip_suffix(b" ").unwrap_or(head);
    let (inner, open) = match trimmed.split_last()? {
        (b')', inner) => (inner, Some(b'(')),
        (b']', inner) => (inner, Some(b'[')),
        (b'}', inner) => (inner, Some(b'{')),
        _ => (trimmed, None),
    };
    if open.is_none() && trimmed.len() == head.len() {
        return None;
    }
    let (rest, found) = inner.split_at_checked(inner.len().checked_sub(word.len())?)?;
    if !found.eq_ignore_ascii_case(word) {
        return None;
    }
    match open {
        Some(open) => {
            let rest = rest.strip_suffix(&[open])?;
            Some((rest.strip_suffix(b" ").unwrap_or(rest), true))
        }
        None => Some((rest.strip_suffix(b" ")?, false)),
    }
}

/// Returns the length of an address literal: `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321, 4.1.3).
fn literal(rest: &[u8]) -> Option<usize> {
    let inner = rest.strip_prefix(b"[")?;
    let inner_length = count(inner, 0, 64, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':'));
    let is_address = inner.get(..inner_length)?.iter().filter(|byte| matches!(byte, b'.' | b':')).count() >= 2;
    (is_address && at(inner, inner_length) == b']').then_some(inner_length + 2)
}

/// The bytes of a local part without quotes. RFC 5322 also allows `=`, `&`, `/`, `?` and `|`: next to an address they are more often
/// separators, and the address is found without them.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'!' | b'#' | b'$' | b'*' | b'~' | b'^')
}

/// Returns the length of the domain that `bytes` begins with: at least two labels, of which the last is not a number.
fn domain(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    let mut labels = 0;
    let mut numbers = 0;
    let mut end = None;
    loop {
        let length = count(bytes, start, LONGEST_DOMAIN - start.min(LONGEST_DOMAIN), is_label);
        if length == 0 {
            break;
        }
        let label = bytes.get(start..start + length).unwrap_or(&[]);
        if label.iter().all(u8::is_ascii_digit) {
            numbers += 1;
        }
        if labels == 0 && is_scale(label) && is_image(from(bytes, length + 1)) {
            return None;
        }
        labels += 1;
        if labels >= 2 {
            let letters = count(label, 0, length, |byte| byte.is_ascii_alphabetic() || byte >= 0x80);
            let top = if label.starts_with(b"xn--") { length } else { letters };
            if top >= 2 {
                end = Some(start + top);
            } else {
                end = None;
            }
        }
        start += length;
        if at(bytes, start) != b'.' {
            break;
        }
        start += 1;
    }
    // `package@1.2.3-beta.rc` is a version.
    if numbers >= 2 { None } else { end }
}

/// Full-width forms, which begin with 0xEF, are recognised in their plain form instead.
fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || (byte >= 0x80 && byte != 0xEF)
}

/// Whether a label is the scale of an image: `icon@2x.png`.
fn is_scale(label: &[u8]) -> bool {
    matches!(label, [b'1'..=b'9', b'x' | b'X'])
}

fn is_image(bytes: &[u8]) -> bool {
    [&b"png"[..], b"jpg", b"jpeg", b"gif", b"webp", b"svg"].into_iter().any(|name| bytes.starts_with(name))
}
