//! The `tracestate` list.

pub mod ot;
mod scan;

use std::fmt;

use scan::{Scan, check_member};

use crate::{FieldValue, RejectReason, model::list_header, octets};

/// The members of `tracestate`, leftmost first: data of each tracing system on the path.
///
/// Cheap to clone. Keeps the received bytes until something changes; members always match the Level 2 grammar, with
/// unique keys, and there are at most [`MAX_MEMBERS`](Self::MAX_MEMBERS) of them.
///
/// ```
/// use propagation_core::TraceState;
///
/// let mut state = TraceState::parse(b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")?;
/// state.set("rojo", "1")?;
/// assert_eq!(state.as_bytes(), b"rojo=1,congo=t61rcWkgMzE");
/// assert_eq!(state.get("congo"), Some("t61rcWkgMzE"));
/// # Ok::<(), propagation_core::model::TraceStateError>(())
/// ```
#[derive(Clone, Default)]
pub struct TraceState {
    /// Canonical: no white space around members, no empty member.
    text: FieldValue,
    count: u8,
    /// Whether a scrubber has found the text to be plain, so that later scans can skip it.
    plain: bool,
}

impl TraceState {
    /// The maximum number of members (Trace Context, 3.3.1.1).
    pub const MAX_MEMBERS: usize = 32;
    /// The maximum length of a field in bytes: 32 members of 256 + 1 + 256 bytes, and as much again for white space.
    pub const MAX_BYTES: usize = 32 * 514 * 2;

    /// An empty list.
    pub const EMPTY: Self = Self { text: FieldValue::EMPTY, count: 0, plain: false };

    /// Parses a list. Drops white space around members, empty members, and all but the first of equal keys.
    ///
    /// # Errors
    ///
    /// Returns an error if a member is malformed, or if the list has more than [`MAX_MEMBERS`](Self::MAX_MEMBERS) members or
    /// [`MAX_BYTES`](Self::MAX_BYTES) bytes.
    pub fn parse(text: &[u8]) -> Result<Self, TraceStateError> {
        Self::read(text, || text.to_vec().into()).map(|(state, _)| state)
    }

    /// Parses a list. If it is canonical, `keep` creates the shared value. Also returns whether a duplicate key was dropped.
    pub(crate) fn read(text: &[u8], keep: impl FnOnce() -> FieldValue) -> Result<(Self, bool), TraceStateError> {
        let scan = Scan::run(text)?;
        let state = match scan.count {
            0 => Self::EMPTY,
            count if scan.canonical => Self { text: keep(), count, plain: false },
            _ => Self::rebuild(text, &scan),
        };
        Ok((state, scan.duplicates))
    }

    /// Writes the members of a list again, without white space and without a key's second member.
    fn rebuild(text: &[u8], scan: &Scan) -> Self {
        let mut seen: Vec<&[u8]> = Vec::with_capacity(usize::from(scan.count));
        let mut out = Vec::with_capacity(text.len());
        for (_, member) in list_header::members(text) {
            let key = key_of(member);
            if !scan.duplicates || !seen.contains(&key) {
                seen.push(key);
                push(&mut out, member);
            }
        }
        Self { count: u8::try_from(seen.len()).unwrap_or(u8::MAX), text: out.into(), plain: false }
    }

    /// Returns the field value.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Returns whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns keys and values, leftmost first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members().filter_map(|member| {
            let end = octets::find(member, b'=')?;
            let member = std::str::from_utf8(member).ok()?;
            Some((member.get(..end)?, member.get(end + 1..)?))
        })
    }

    /// Returns the value of a key; `None` if no member has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        // No key has a `=` in it.
        let mut members = self.members();
        let member =
            members.find(|member| member.get(key.len()) == Some(&b'=') && member.starts_with(key.as_bytes()))?;
        std::str::from_utf8(member.get(key.len() + 1..)?).ok()
    }

    /// Sets a member and moves it leftmost, as the specification requires of its system (3.3.1.1). If there would be 33 members, the rightmost
    /// is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error for an invalid key or value. The list is not changed then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), TraceStateError> {
        let mut out = Vec::with_capacity(self.as_bytes().len() + key.len() + value.len() + 2);
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
        check_member(&out)?;
        let mut count = 1;
        let others = self.members().filter(|member| key_of(member) != key.as_bytes());
        for member in others.take(Self::MAX_MEMBERS - 1) {
            push(&mut out, member);
            count += 1;
        }
        *self = Self { text: out.into(), count, plain: false };
        Ok(())
    }

    /// Removes a member.
    pub fn remove(&mut self, key: &str) {
        self.retain(|found| found != key);
    }

    /// Keeps the members for whose key `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        let mut keep = |member: &&[u8]| std::str::from_utf8(key_of(member)).is_ok_and(&mut keep);
        let kept: Vec<&[u8]> = self.members().filter(|member| keep(member)).collect();
        if kept.len() < self.len() {
            *self = Self::from_members(&kept);
        }
    }

    /// Truncates to at most `max` bytes by whole members: those over 128 bytes first, then from the right (3.3.1.5).
    #[must_use]
    pub fn truncated(&self, max: usize) -> Self {
        let mut length = self.as_bytes().len();
        if length <= max {
            return self.clone();
        }
        let mut members: Vec<&[u8]> = self.members().collect();
        while length > max
            && let Some(at) = members.iter().rposition(|member| member.len() > 128)
        {
            length = length.saturating_sub(members.remove(at).len() + 1);
        }
        while length > max
            && let Some(member) = members.pop()
        {
            length = length.saturating_sub(member.len() + 1);
        }
        Self::from_members(&members)
    }

    /// Returns a copy that shares no bytes with the carrier.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self { text: self.text.detach(), count: self.count, plain: self.plain }
    }

    pub(crate) fn text(&self) -> &FieldValue {
        &self.text
    }

    /// Returns the list with its text in another place in memory.
    pub(crate) fn moved_to(&self, text: FieldValue) -> Self {
        Self { text, count: self.count, plain: self.plain }
    }

    /// Returns whether its text was [found](Self::set_plain) to be plain.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Stores the finding of a scrubber on the text.
    pub(crate) fn set_plain(&mut self) {
        self.plain = true;
    }

    fn members(&self) -> impl Iterator<Item = &[u8]> {
        list_header::members(self.as_bytes()).map(|(_, member)| member)
    }

    fn from_members(members: &[&[u8]]) -> Self {
        let count = u8::try_from(members.len()).unwrap_or(u8::MAX);
        Self { text: members.join(&b',').into(), count, plain: false }
    }
}

impl PartialEq for TraceState {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TraceState {}

impl fmt::Debug for TraceState {
    /// Keys only: a value may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TraceState")?;
        f.debug_list().entries(self.iter().map(|(key, _)| key)).finish()
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(self.as_bytes()).unwrap_or_default())
    }
}

/// The error of a `tracestate` list or member that is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceStateError {
    /// A member does not match the grammar of Level 2.
    Malformed,
    /// The list has more than [`TraceState::MAX_MEMBERS`] members.
    TooManyMembers,
    /// The field is longer than [`TraceState::MAX_BYTES`].
    TooManyBytes,
    /// The randomness of the trace is already set, and must not change.
    RandomnessIsSet,
}

impl TraceStateError {
    /// Returns the reason in counters and reports.
    #[must_use]
    pub fn reason(&self) -> RejectReason {
        match self {
            Self::Malformed => RejectReason::Malformed,
            Self::TooManyMembers => RejectReason::TooManyMembers,
            Self::TooManyBytes => RejectReason::TooManyBytes,
            Self::RandomnessIsSet => RejectReason::DuplicateKey,
        }
    }
}

impl fmt::Display for TraceStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => {
                f.write_str("invalid tracestate: a member is not of the form KEY=VALUE of Trace Context Level 2")
            }
            Self::TooManyMembers => {
                write!(f, "invalid tracestate: more than {} members", TraceState::MAX_MEMBERS)
            }
            Self::TooManyBytes => write!(f, "invalid tracestate: more than {} bytes", TraceState::MAX_BYTES),
            Self::RandomnessIsSet => f.write_str("tracestate not changed: the randomness of the trace is already set"),
        }
    }
}

impl std::error::Error for TraceStateError {}

fn key_of(member: &[u8]) -> &[u8] {
    list_header::split_once(member, b'=').map_or(member, |(key, _)| key)
}

fn push(out: &mut Vec<u8>, member: &[u8]) {
    if !out.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(member);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        TraceState::parse(text.as_bytes()).ok().map(|state| state.to_string())
    }

    #[test]
    fn lists_are_read_as_level_2_says() {
        let long_key = format!("{}=1", "k".repeat(256));
        let too_long_key = format!("{}=1", "k".repeat(257));
        let long_value = format!("k={}", "v".repeat(256));
        let too_long_value = format!("k={}", "v".repeat(257));
        for (text, reads) in [
            ("", Some("")),
            ("foo=1", Some("foo=1")),
            ("foo=1 \t , \t bar=2", Some("foo=1,bar=2")),
            (",foo=1,, ,bar=2,", Some("foo=1,bar=2")),
            ("foo= 1", Some("foo= 1")),
            ("foo=1 ", Some("foo=1")),
            ("0foo@bar@baz=1", Some("0foo@bar@baz=1")),
            ("foo=1,foo=2,bar=3", Some("foo=1,bar=3")),
            ("foo=1,foo=1", Some("foo=1")),
            (&long_key, Some(&long_key)),
            (&too_long_key, None),
            (&long_value, Some(&long_value)),
            (&too_long_value, None),
            ("foo =1", None),
            ("FOO=1", None),
            ("@foo=1", None),
            ("foo", None),
            ("foo=", None),
            ("foo=bar=baz", None),
            ("foo=\u{e9}", None),
            ("foo=1;2", Some("foo=1;2")),
            ("foo=1;bar=2", None),
        ] {
            assert_eq!(read(text).as_deref(), reads, "{text:?}");
        }
    }

    #[test]
    fn the_thirty_third_member_refuses_the_list() {
        let list = |n: usize| (0..n).map(|i| format!("k{i}=1")).collect::<Vec<_>>().join(",");
        assert!(read(&list(32)).is_some());
        assert!(read(&list(33)).is_none());
    }

    #[test]
    fn an_own_member_goes_leftmost_and_evicts_the_rightmost() {
        let list = (0..32).map(|i| format!("k{i}=1")).collect::<Vec<_>>().join(",");
        let mut state = TraceState::parse(list.as_bytes()).unwrap();
        state.set("own", "x").unwrap();
        assert_eq!((state.len(), state.get("own"), state.get("k31")), (32, Some("x"), None));
        assert!(state.to_string().starts_with("own=x,k0=1,"));
        assert!(state.set("own", "a,b").is_err());
        assert!(state.set("own", "a ").is_err());
        assert_eq!(state.get("own"), Some("x"));
    }

    #[test]
    fn members_are_found_by_their_whole_key() {
        let state = TraceState::parse(b"ot@a=1,o=2,ot=x:y,otx=3").unwrap();
        for (key, value) in
            [("o", Some("2")), ("ot", Some("x:y")), ("otx", Some("3")), ("ot@a", Some("1")), ("x", None), ("", None)]
        {
            assert_eq!(state.get(key), value, "{key}");
        }
    }

    #[test]
    fn truncation_takes_long_members_first_and_only_whole_ones() {
        let text = format!("a=1,long={},b=2,c=3", "x".repeat(200));
        let state = TraceState::parse(text.as_bytes()).unwrap();
        assert_eq!(state.truncated(11).to_string(), "a=1,b=2,c=3");
        assert_eq!(state.truncated(10).to_string(), "a=1,b=2");
        assert_eq!(state.truncated(0).to_string(), "");
    }
}
