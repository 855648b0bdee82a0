//! The values of a list field, joined.

use super::{Extract, FieldName};
use crate::{FieldValue, Value};

/// The values of a list field. Borrows a single value; joins several with commas.
pub(crate) enum Joined<'a> {
    None,
    One(Value<'a>),
    Many(Vec<u8>),
}

impl<'a> Joined<'a> {
    /// Reads the values of a name. Joins several with commas, in wire order, until the list is longer than `limit` bytes.
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

    /// Returns the bytes as a value. Shares those of the carrier if possible.
    pub(crate) fn to_text(&self) -> FieldValue {
        match self {
            Self::None => FieldValue::EMPTY,
            Self::One(value) => FieldValue::from_value(value),
            Self::Many(bytes) => bytes.clone().into(),
        }
    }
}

/// Appends a value to the list, or starts the list with `first` and the value.
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

/// Appends bytes up to a length of `limit` and one more, by which the parser notices that the limit is exceeded.
fn append(all: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let room = (limit + 1).saturating_sub(all.len());
    all.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
}
