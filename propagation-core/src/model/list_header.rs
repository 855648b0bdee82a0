//! The grammar that `tracestate` and `baggage` share: a comma-separated list with optional white space.

use crate::octets;

/// The members of a list that are not empty, without white space around them, each with where it ends in the list.
pub(crate) fn members(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let from = rest.get(blank(rest)..).filter(|from| !from.is_empty())?;
        let (member, tail) = from.split_at_checked(octets::find(from, b',').unwrap_or(from.len()))?;
        rest = tail;
        Some((text.len() - tail.len(), trim_end(member)))
    })
}

/// How many bytes at the start are commas and white space. More than a list ever has are gone over sixteen at a time.
fn blank(text: &[u8]) -> usize {
    let is_blank = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
    let few = text.iter().take(4).take_while(|byte| is_blank(byte)).count();
    if few < 4 {
        return few;
    }
    let (chunks, _) = text.as_chunks::<16>();
    let chunks = chunks.iter().take_while(|chunk| chunk.iter().fold(true, |all, byte| all & is_blank(byte))).count();
    let rest = text.get(chunks * 16..).unwrap_or_default();
    chunks * 16 + rest.iter().take_while(|byte| is_blank(byte)).count()
}

/// Optional white space of both list grammars: space and tab.
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    // Most have none.
    if let [first, .., last] = text
        && *first > b' '
        && *last > b' '
    {
        return text;
    }
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    trim_end(text)
}

pub(crate) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Splits at the first `separator`; the separator itself is in neither part.
pub(crate) fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = octets::find(text, separator)?;
    let (head, tail) = text.split_at_checked(at)?;
    tail.split_first().map(|(_, tail)| (head, tail))
}
