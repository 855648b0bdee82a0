//! United States social security numbers.

use super::class::{at, before, is_alnum};

/// Whether the nine digits from `start` to `end` are a number without dashes, which follows the word `SSN`.
pub(super) fn is_bare(bytes: &[u8], start: usize, end: usize) -> bool {
    is_assigned(bytes.get(start..start + 3), bytes.get(start + 3..start + 5), bytes.get(start + 5..end))
        && !is_alnum(at(bytes, end))
        && follows_word(bytes, start)
}

/// Whether the word comes before: `SSN 536904399`, `ssn=…`, `SSN: …`, `"ssn":"…"`.
fn follows_word(bytes: &[u8], start: usize) -> bool {
    let head = bytes.get(..start).unwrap_or(&[]);
    let gap =
        head.iter().rev().take(4).take_while(|byte| matches!(byte, b' ' | b':' | b'=' | b'#' | b'"' | b'\'')).count();
    let head = head.get(..head.len() - gap).unwrap_or(&[]);
    let Some((rest, word)) = head.split_last_chunk::<3>() else { return false };
    gap > 0 && word.eq_ignore_ascii_case(b"ssn") && !rest.last().is_some_and(u8::is_ascii_alphanumeric)
}

/// Returns the end of the number in groups whose area is at `start`.
pub(super) fn ssn(bytes: &[u8], start: usize) -> Option<usize> {
    let separator = at(bytes, start + 3);
    if at(bytes, start + 6) != separator {
        return None;
    }
    let end = start + 11;
    if !is_assigned(bytes.get(start..start + 3), bytes.get(start + 4..start + 6), bytes.get(start + 7..end)) {
        return None;
    }
    let (previous, next) = (before(bytes, start), at(bytes, end));
    let in_chain = |neighbour: u8, beyond: u8| match neighbour {
        b'-' | b'.' | b'/' | b'_' => beyond.is_ascii_digit(),
        b' ' => separator == b' ' && beyond.is_ascii_digit(),
        _ => false,
    };
    (!is_alnum(next)
        && !in_chain(next, at(bytes, end + 1))
        && !in_chain(previous, before(bytes, start.saturating_sub(1))))
    .then_some(end)
}

/// Whether the Social Security Administration assigns such an area, group and serial.
fn is_assigned(area: Option<&[u8]>, group: Option<&[u8]>, serial: Option<&[u8]>) -> bool {
    let (Some(area), Some(group), Some(serial)) = (area, group, serial) else {
        return false;
    };
    [area, group, serial].into_iter().flatten().all(u8::is_ascii_digit)
        && area != b"000"
        && area != b"666"
        && area.first() != Some(&b'9')
        && group != b"00"
        && serial != b"0000"
}

/// Whether a text is nine digits in any groups.
pub(super) fn is_in_any_groups(bytes: &[u8]) -> bool {
    let mut digits = [0; 9];
    let mut length = 0;
    for byte in bytes {
        if byte.is_ascii_digit() {
            let Some(room) = digits.get_mut(length) else { return false };
            *room = *byte;
            length += 1;
        } else if !matches!(byte, b' ' | b'-' | b'.' | b'_' | b'/') {
            return false;
        }
    }
    length == digits.len() && is_assigned(digits.get(..3), digits.get(3..5), digits.get(5..))
}
