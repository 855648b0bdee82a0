//! What `tracestate` and `baggage` share: one comma-separated list over any number of fields.

use crate::{Extract, FieldName, FieldValue, Value, octets};

/// All values of a list field: the one that most requests have is only borrowed, several are joined.
pub(crate) enum Joined<'a> {
    None,
    One(Value<'a>),
    Many(Vec<u8>),
}

impl<'a> Joined<'a> {
    /// Reads every value of `name`. Several are joined with commas in wire order; joining stops once `limit` bytes are
    /// exceeded, so that what is kept stays bounded.
    pub(crate) fn read(from: &'a dyn Extract, name: &FieldName, limit: usize) -> Self {
        let (mut first, mut all): (Option<Value<'a>>, Vec<u8>) = (None, Vec::new());
        from.visit(name, &mut |value| match first {
            None => first = Some(value),
            Some(first) => join(&mut all, first.as_bytes(), value.as_bytes(), limit),
        });
        match first {
            None => Self::None,
            Some(value) if all.is_empty() => Self::One(value),
            Some(_) => Self::Many(all),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::One(value) => value.as_bytes(),
            Self::Many(bytes) => bytes,
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Keeps the bytes as they are, shared with the carrier if it can share.
    pub(crate) fn to_text(&self) -> FieldValue {
        match self {
            Self::None => FieldValue::EMPTY,
            Self::One(value) => FieldValue::from_value(value),
            Self::Many(bytes) => bytes.clone().into(),
        }
    }
}

/// Joins one more value to those so far, or to the first.
#[cold]
fn join(all: &mut Vec<u8>, first: &[u8], value: &[u8], limit: usize) {
    if all.is_empty() {
        all.reserve_exact((first.len() + value.len() + 1).min(limit + 2));
        append(all, first, limit);
    } else if all.len() > limit {
        return;
    }
    all.push(b',');
    append(all, value, limit);
}

/// Appends up to one byte more than `limit` allows: enough to see that it was exceeded.
fn append(all: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let room = (limit + 1).saturating_sub(all.len());
    all.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
}

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
