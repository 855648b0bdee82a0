//! All values of a list field as one list.

use super::{Extract, FieldName};
use crate::{FieldValue, Value};

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
