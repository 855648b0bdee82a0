use super::{Baggage, member::Checked};
use crate::{Reason, Text, list};

/// What was left out while reading: the member's key where one can be told, and why.
type Found<'f> = dyn FnMut(&[u8], Reason) + 'f;

impl Baggage {
    /// Reads a list, taking `share` of it if all of it can be written again as it came.
    pub(crate) fn read(text: &[u8], share: &dyn Fn(&[u8]) -> Text, refused: &mut Found<'_>) -> Self {
        if text.is_empty() {
            return Self::EMPTY;
        }
        match canonical_members(text) {
            Some(count) => Self::whole(share(text), count),
            None => rebuild(text, refused),
        }
    }
}

/// How many members a list has that is canonical and within the limits.
fn canonical_members(text: &[u8]) -> Option<usize> {
    if text.len() > Baggage::MAX_BYTES {
        return None;
    }
    let mut count = 0;
    for member in text.split(|&byte| byte == b',') {
        count += 1;
        let checked = Checked::read(member).ok()?;
        let trimmed = list::trim_end(checked.tail).len() == checked.tail.len();
        if !checked.canonical || !trimmed || count > Baggage::MAX_MEMBERS {
            return None;
        }
    }
    Some(count)
}

/// Writes every legal member again, up to the limits.
///
/// The limits count what the wire holds, malformed members and separators included, so that nobody pays for more.
fn rebuild(text: &[u8], refused: &mut Found<'_>) -> Baggage {
    let mut out = Vec::with_capacity(text.len().min(Baggage::MAX_BYTES));
    let (mut kept, mut members, mut read) = (0, 0, 0);
    for piece in text.split(|&byte| byte == b',') {
        read += piece.len() + usize::from(read > 0);
        let member = list::trim(piece);
        if member.is_empty() {
            if read > Baggage::MAX_BYTES {
                refused(&[], Reason::TooLong);
                break;
            }
            continue;
        }
        members += 1;
        if members > Baggage::MAX_MEMBERS || read > Baggage::MAX_BYTES {
            refused(&[], if read > Baggage::MAX_BYTES { Reason::TooLong } else { Reason::TooManyMembers });
            break;
        }
        match Checked::read(member) {
            Ok(checked) => {
                let before = out.len();
                if before > 0 {
                    out.push(b',');
                }
                checked.write(&mut out);
                if out.len() > Baggage::MAX_BYTES {
                    out.truncate(before);
                    refused(checked.key, Reason::TooLong);
                } else {
                    kept += 1;
                }
            }
            Err(reason) => refused(key_like(member), reason),
        }
    }
    Baggage::whole(out.into(), kept)
}

/// What stands where the key should be.
fn key_like(member: &[u8]) -> &[u8] {
    list::split_once(member, b'=').map_or(&[], |(key, _)| list::trim_end(key))
}
