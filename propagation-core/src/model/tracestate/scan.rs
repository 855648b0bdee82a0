//! Validation of a list, and whether its bytes can be kept.

use smallvec::SmallVec;

use super::{TraceState, TraceStateError};
use crate::{
    model::list_header,
    octets::{self, STATE_KEY, STATE_VALUE},
};

const MALFORMED: TraceStateError = TraceStateError::Malformed;

/// The result of one pass over a list. Allocates nothing.
pub(super) struct Scan {
    pub(super) count: u8,
    /// No white space, no empty member, no duplicate: the bytes can stay as they are.
    pub(super) canonical: bool,
    pub(super) duplicates: bool,
}

impl Scan {
    pub(super) fn run(text: &[u8]) -> Result<Self, TraceStateError> {
        if text.len() > TraceState::MAX_BYTES {
            return Err(TraceStateError::TooManyBytes);
        }
        match canonical_members(text) {
            Some(count) => Ok(Self { count, canonical: true, duplicates: false }),
            None => Self::run_piecewise(text),
        }
    }

    /// Scans any list: white space, empty members and duplicates are allowed.
    fn run_piecewise(text: &[u8]) -> Result<Self, TraceStateError> {
        let mut scan = Self { count: 0, canonical: false, duplicates: false };
        let mut keys = Keys::default();
        for (_, member) in list_header::members(text) {
            // Duplicates count too: the limit applies to the received members.
            if usize::from(scan.count) == TraceState::MAX_MEMBERS {
                return Err(TraceStateError::TooManyMembers);
            }
            scan.duplicates |= keys.add(check_member(member)?);
            scan.count += 1;
        }
        Ok(scan)
    }
}

/// Returns the number of members of a canonical list, in one pass over its special bytes.
fn canonical_members(text: &[u8]) -> Option<u8> {
    let mut keys = Keys::default();
    let mut start = 0;
    let mut value = None;
    octets::each_odd(text, |at, byte| {
        match (byte, value) {
            (b'=', None) => {
                let key = text.get(start..at)?;
                // Parsing stops at the limit: members behind it are not looked at.
                if keys.keys.len() == TraceState::MAX_MEMBERS || !is_key(key) || keys.add(key) {
                    return None;
                }
                value = Some(at + 1);
            }
            (b',', Some(value_start)) => {
                if !ends_legally(text.get(value_start..at)?) {
                    return None;
                }
                start = at + 1;
                value = None;
            }
            (byte, Some(_)) if octets::is(byte, STATE_VALUE) => {}
            // The key is looked at once it is whole.
            (b'*' | b'/' | b'@', None) => {}
            _ => return None,
        }
        Some(())
    })?;
    let ends = ends_legally(text.get(value?..)?);
    u8::try_from(keys.keys.len()).ok().filter(|_| ends)
}

/// The keys so far. Most different keys have different marks, and are not compared.
#[derive(Default)]
struct Keys<'a> {
    keys: SmallVec<[&'a [u8]; TraceState::MAX_MEMBERS]>,
    marks: [u64; 4],
}

impl<'a> Keys<'a> {
    /// Adds a key. Returns whether it is a duplicate.
    fn add(&mut self, key: &'a [u8]) -> bool {
        let print = fingerprint(key);
        let mark = 1 << (print & 63);
        let seen = self.marks.get_mut(usize::from(print >> 6)).is_none_or(|marks| {
            let seen = *marks & mark != 0;
            *marks |= mark;
            seen
        });
        let known = seen && self.keys.contains(&key);
        self.keys.push(key);
        known
    }
}

/// Different for most keys that differ.
fn fingerprint(key: &[u8]) -> u8 {
    let number = match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)),
        _ => key.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)),
    };
    let [mixed, ..] = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    mixed
}

/// Checks a member without white space around it against Level 2, 3.3.1.3; returns its key.
pub(super) fn check_member(member: &[u8]) -> Result<&[u8], TraceStateError> {
    let (key, value) = list_header::split_once(member, b'=').ok_or(MALFORMED)?;
    if is_key(key) && octets::all(value, STATE_VALUE) && ends_legally(value) { Ok(key) } else { Err(MALFORMED) }
}

fn is_key(key: &[u8]) -> bool {
    let starts_legally = matches!(key, [b'a'..=b'z' | b'0'..=b'9', ..]);
    starts_legally && key.len() <= 256 && octets::all(key, STATE_KEY)
}

/// Whether a value of legal bytes is neither too short nor too long, and does not end in a space.
fn ends_legally(value: &[u8]) -> bool {
    matches!(value, [rest @ .., last] if rest.len() < 256 && *last != b' ')
}
