//! E-mail addresses, from the `@` outwards.

use super::class::{at, before, count, from};

/// RFC 5321, 4.5.3.1.1.
const LONGEST_LOCAL: usize = 64;
/// RFC 5321, 4.5.3.1.2.
const LONGEST_DOMAIN: usize = 255;

/// The address around the `@` at `index`.
pub(super) fn email(bytes: &[u8], index: usize) -> Option<(usize, usize)> {
    let head = bytes.get(..index)?;
    if !matches!(head.last(), Some(byte) if is_local(*byte) || *byte == b'"') {
        return None;
    }
    let end = index + 1 + domain(from(bytes, index + 1))?;
    let local = head.iter().rev().take(LONGEST_LOCAL).take_while(|byte| is_local(**byte)).count();
    if local > 0 {
        return Some((index - local, end));
    }
    // "John Doe"@example.com
    (before(bytes, index) == b'"' && index > 1).then(|| (index - 1, end))
}

/// What stands in a local part without quotes. Of what RFC 5322 allows, `=`, `&`, `/`, `?` and `|` are left out: next to
/// an address they are more often a separator, and without them the address is still found.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'!' | b'#' | b'$' | b'*' | b'~' | b'^')
}

/// The length of the domain that `bytes` begins with: at least two labels, and the last one is no number.
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

/// Full-width forms, which begin with 0xEF, are looked at in their plain form instead.
fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || (byte >= 0x80 && byte != 0xEF)
}

/// `icon@2x.png`: the scale of an image.
fn is_scale(label: &[u8]) -> bool {
    matches!(label, [b'1'..=b'9', b'x' | b'X'])
}

fn is_image(bytes: &[u8]) -> bool {
    [&b"png"[..], b"jpg", b"jpeg", b"gif", b"webp", b"svg"].into_iter().any(|name| bytes.starts_with(name))
}
