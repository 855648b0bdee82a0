//! Parser of the `baggage` list.

use super::{Baggage, encoding, member::Checked};
use crate::{
    FieldValue, RejectReason,
    model::list_header,
    octets::{self, PROPERTY, TOKEN, VALUE},
};

/// Members that were dropped while parsing: key, if it is valid, and reason.
type Found<'f> = dyn FnMut(&[u8], RejectReason) + 'f;

impl Baggage {
    /// Parses a list. If its bytes are canonical, `keep` creates the shared value.
    pub(crate) fn read(text: &[u8], keep: impl FnOnce() -> FieldValue, refused: &mut Found<'_>) -> Self {
        if text.is_empty() {
            return Self::EMPTY;
        }
        match canonical_members(text) {
            Some(count) => Self::whole(keep(), count),
            None => rebuild(text, refused),
        }
    }
}

/// Returns the number of members of a canonical list within the limits, in one pass over its special bytes.
fn canonical_members(text: &[u8]) -> Option<usize> {
    if text.len() > Baggage::MAX_BYTES {
        return None;
    }
    let mut members = 0;
    let mut start = 0;
    // The byte class of the grammar element at the current position.
    let mut inside = TOKEN;
    octets::each_odd(text, |at, byte| {
        if octets::is(byte, inside) {
            let escapes = byte == b'%' && inside == VALUE;
            return (!escapes || starts_escape(text, at)).then_some(());
        }
        match byte {
            b',' if ends_canonically(text, at, inside) => {
                members += 1;
                start = at + 1;
                inside = TOKEN;
            }
            b'=' if inside == TOKEN => {
                if at == start {
                    return None;
                }
                inside = VALUE;
            }
            b';' if inside == VALUE => inside = PROPERTY,
            _ => return None,
        }
        Some(())
    })?;
    members += 1;
    (ends_canonically(text, text.len(), inside) && members <= Baggage::MAX_MEMBERS).then_some(members)
}

/// Returns whether the `%` at a position starts an escape. Out of line, because most lists have none.
#[inline(never)]
fn starts_escape(text: &[u8], at: usize) -> bool {
    matches!(text.get(at + 1..), Some([high, low, ..]) if encoding::is_escape(*high, *low))
}

/// Returns whether a member may end before `end`: it needs a `=` and no trailing white space.
fn ends_canonically(text: &[u8], end: usize, inside: u8) -> bool {
    inside == VALUE || inside == PROPERTY && !matches!(text.get(..end), Some([.., b' ' | b'\t']))
}

/// Writes every valid member in canonical form, up to the limits.
///
/// The limits count received bytes and members, malformed ones and separators included, to bound the work.
fn rebuild(text: &[u8], refused: &mut Found<'_>) -> Baggage {
    // One byte more than may be read is enough to see that there are too many.
    let text = text.get(..=Baggage::MAX_BYTES).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len().min(Baggage::MAX_BYTES));
    let (mut kept, mut too_long) = (0, text.len() > Baggage::MAX_BYTES);
    for (nth, (end, member)) in list_header::members(text).enumerate() {
        if nth == Baggage::MAX_MEMBERS || end > Baggage::MAX_BYTES {
            refused(
                &[],
                if end > Baggage::MAX_BYTES { RejectReason::TooManyBytes } else { RejectReason::TooManyMembers },
            );
            too_long = false;
            break;
        }
        match Checked::read(member) {
            Ok(checked) => {
                let before = out.len();
                if before > 0 {
                    out.push(b',');
                }
                checked.write(&mut out, Baggage::MAX_BYTES);
                if out.len() > Baggage::MAX_BYTES {
                    out.truncate(before);
                    refused(checked.key, RejectReason::TooManyBytes);
                } else {
                    kept += 1;
                }
            }
            Err(reason) => refused(key_like(member), reason),
        }
    }
    if too_long {
        refused(&[], RejectReason::TooManyBytes);
    }
    Baggage::whole(out.into(), kept)
}

/// Returns the text in place of the key.
fn key_like(member: &[u8]) -> &[u8] {
    list_header::split_once(member, b'=').map_or(&[], |(key, _)| list_header::trim_end(key))
}
