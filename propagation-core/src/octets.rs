//! Byte classes of the two list grammars, tested eight bytes at a time where possible.

/// `tchar` of RFC 7230, 3.2.6: keys of baggage.
pub(crate) const TOKEN: u8 = 1;
/// `baggage-octet` of W3C Baggage, 3.3.1.3: values of baggage.
pub(crate) const VALUE: u8 = 2;
/// Properties of baggage are opaque, but never a control byte (a tab is white space here), a byte over 0x7e, or a comma.
pub(crate) const PROPERTY: u8 = 4;
/// Keys of tracestate, behind their first byte (Trace Context Level 2, 3.3.1.3.1).
pub(crate) const STATE_KEY: u8 = 8;
/// Values of tracestate (Trace Context Level 2, 3.3.1.3.2).
pub(crate) const STATE_VALUE: u8 = 16;
/// `HEXDIG` of either case: the digits of a percent escape (RFC 3986, 2.1).
pub(crate) const HEX: u8 = 32;

/// The grammar elements that allow each byte.
const CLASSES: [u8; 256] = classes();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, and never out of bounds")]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    classes[b'\t' as usize] = PROPERTY;
    let mut byte = 0x20_u8;
    while byte < 0x7f {
        let mut class = 0;
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            )
        {
            class |= TOKEN;
        }
        if !matches!(byte, b' ' | b'"' | b',' | b';' | b'\\') {
            class |= VALUE;
        }
        if byte.is_ascii_hexdigit() {
            class |= HEX;
        }
        if byte != b',' {
            class |= PROPERTY;
        }
        if matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@') {
            class |= STATE_KEY;
        }
        if !matches!(byte, b',' | b'=') {
            class |= STATE_VALUE;
        }
        classes[byte as usize] = class;
        byte += 1;
    }
    classes
}

/// Returns whether an element allows a byte.
#[inline]
pub(crate) fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

/// Returns whether an element allows every byte. Has no early exit, so that the compiler can vectorise it.
#[inline]
pub(crate) fn all(text: &[u8], class: u8) -> bool {
    text.iter().fold(class, |all, &byte| all & CLASSES.get(usize::from(byte)).copied().unwrap_or(0)) & class != 0
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Bytes that are marked at a time.
const CHUNK: usize = 16;

/// Marks with `0x80` every byte that is not an ASCII letter, digit, `-`, `.` or `_`. Most keys and values consist of these, and every element
/// allows them (except for keys of tracestate).
///
/// Has no early exit, so that the compiler can process sixteen bytes at once.
#[inline(never)]
fn mark(bytes: &[u8; CHUNK], marks: &mut [u8; CHUNK]) {
    for (mark, &byte) in marks.iter_mut().zip(bytes) {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let dash_to_nine = (byte.wrapping_sub(b'-') < 13) & (byte != b'/');
        *mark = if letter | dash_to_nine | (byte == b'_') { 0 } else { 0x80 };
    }
}

/// Calls `each` for every byte that is not an ASCII letter, digit, `-`, `.` or `_`, in order, with its position. Stops if it returns
/// `None`.
#[inline]
pub(crate) fn each_odd(text: &[u8], mut each: impl FnMut(usize, u8) -> Option<()>) -> Option<()> {
    let (chunks, mut tail) = text.as_chunks::<CHUNK>();
    let mut chunks = chunks.iter();
    let (mut marks, mut last) = ([0; CHUNK], [b'a'; CHUNK]);
    let mut start = 0;
    loop {
        let chunk = match chunks.next() {
            Some(chunk) => chunk,
            None if tail.is_empty() => return Some(()),
            None => {
                last.get_mut(..tail.len())?.copy_from_slice(tail);
                tail = &[];
                &last
            }
        };
        mark(chunk, &mut marks);
        if marks != [0; CHUNK] {
            for (nth, marks) in marks.as_chunks::<8>().0.iter().enumerate() {
                let mut marks = u64::from_le_bytes(*marks);
                while marks != 0 {
                    let place = nth * 8 + marks.trailing_zeros() as usize / 8;
                    each(start + place, *chunk.get(place)?)?;
                    marks &= marks - 1;
                }
            }
        }
        start += CHUNK;
    }
}

/// Returns the first position of a byte.
#[inline]
pub(crate) fn find(text: &[u8], byte: u8) -> Option<usize> {
    let (words, tail) = text.as_chunks::<8>();
    let wanted = ONES * u64::from(byte);
    for (at, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ wanted;
        // The lowest byte that is zero is found exactly: borrows only go upwards.
        let same = differs.wrapping_sub(ONES) & !differs & HIGH;
        if same != 0 {
            return Some(at * 8 + same.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&found| found == byte)?;
    Some(text.len() - tail.len() + at)
}

/// Pieces between separators, at least one.
pub(crate) fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some((piece, [_, tail @ ..])) = find(text, separator).and_then(|at| text.split_at_checked(at)) else {
            return Some(text);
        };
        rest = Some(tail);
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_bytes_are_found_at_every_position() {
        for length in 1..=33 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'x'; length];
                    text[place] = byte;
                    let mut found = Vec::new();
                    let _ = each_odd(&text, |at, byte| {
                        found.push((at, byte));
                        Some(())
                    });
                    let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
                    let expected = if plain { Vec::new() } else { vec![(place, byte)] };
                    assert_eq!(found, expected, "{byte:#x} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn neighbours_do_not_disturb_each_other() {
        for pair in 0..=u16::MAX {
            let [first, second] = pair.to_be_bytes();
            let text = [b'a', first, second, b'z', b'0', b'9', b'A', b'Z'];
            let mut found = 0;
            let _ = each_odd(&text, |_, _| {
                found += 1;
                Some(())
            });
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            assert_eq!(found, usize::from(!plain(first)) + usize::from(!plain(second)), "{text:?}");
            for byte in [first, second, b',', 0, 0x80] {
                let expected = text.iter().position(|&found| found == byte);
                assert_eq!(find(&text, byte), expected, "{byte} in {text:?}");
            }
        }
    }

    #[test]
    fn split_agrees_with_the_standard_library() {
        for text in ["", ",", "a", "a,", ",a", "a,b", "0123456,89,abcdefgh,,i", ",,,,,,,,,,,"] {
            let expected: Vec<&[u8]> = text.as_bytes().split(|&byte| byte == b',').collect();
            assert_eq!(split(text.as_bytes(), b',').collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}
