//! The `baggage` list.

mod changes;
mod encoding;
mod member;
mod read;

use std::{borrow::Cow, fmt};

pub(crate) use encoding::{decode_each, encode, is_token};
pub use member::{BaggageError, Member};

use self::member::check_properties;
use crate::{FieldValue, octets};

/// The business keys that travel with a trace, in order.
///
/// Cheap to clone. Keeps the received bytes until something changes; values are decoded when they are read. At most
/// [`MAX_MEMBERS`](Self::MAX_MEMBERS) members and [`MAX_BYTES`](Self::MAX_BYTES) bytes on the wire.
///
/// ```
/// use propagation_core::Baggage;
///
/// let mut baggage = Baggage::new();
/// baggage.set("tenant.id", "blue & green")?;
/// assert_eq!(baggage.as_wire(), b"tenant.id=blue%20&%20green".as_slice());
/// assert_eq!(baggage.get("tenant.id").as_deref(), Some("blue & green"));
/// # Ok::<(), propagation_core::model::BaggageError>(())
/// ```
#[derive(Clone, Default)]
pub struct Baggage {
    /// Canonical: no white space around members, no empty member, every value valid. At most 64 members.
    text: FieldValue,
    /// Bit n: member n of `text` is part of the baggage. Removing members copies nothing.
    keep: u64,
    /// The number of members of `text`.
    total: u8,
}

impl Baggage {
    /// The maximum number of members (W3C Baggage, 3.3.2).
    pub const MAX_MEMBERS: usize = 64;
    /// The maximum number of bytes over all fields, with separators (W3C Baggage, 3.3.2).
    pub const MAX_BYTES: usize = 8192;

    /// An empty list.
    pub const EMPTY: Self = Self { text: FieldValue::EMPTY, keep: 0, total: 0 };

    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self::EMPTY
    }

    /// Parses a field value. Drops malformed members, and those over a limit.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        Self::read(text, || text.to_vec().into(), &mut |_, _| {})
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keep.count_ones() as usize
    }

    /// Returns whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keep == 0
    }

    /// Returns the members, in order.
    pub fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        self.pieces().map(Member::from_wire)
    }

    /// Returns the keys, decoded values and properties of the members, in order. Cheaper than the methods of each [`Member`].
    pub fn entries(&self) -> impl Iterator<Item = (&str, Cow<'_, str>, &str)> {
        let mut rest = std::str::from_utf8(self.text.as_bytes()).ok();
        let mut keep = self.keep;
        std::iter::from_fn(move || {
            while let Some(text) = rest.take() {
                let (member, tail) =
                    member::split_once(text, b',').map_or((text, None), |(own, tail)| (own, Some(tail)));
                rest = tail;
                let is_kept = keep & 1 == 1;
                keep >>= 1;
                if is_kept {
                    return Some(member::parts(member));
                }
            }
            None
        })
    }

    /// Returns the decoded value of a key; the last one if the key is repeated.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        self.member(key).map(|member| member.value())
    }

    /// Returns the member of a key; the last one if the key is repeated.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<Member<'_>> {
        self.iter().filter(|member| member.has_key(key)).last()
    }

    /// Sets a key to a value, in place of every member that has the key, or at the end.
    ///
    /// # Errors
    ///
    /// As [`set_with_properties`](Self::set_with_properties).
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), BaggageError> {
        self.set_with_properties(key, value, "")
    }

    /// Like [`set`](Self::set), with properties: `name` or `name=value`, separated by `;`, written unchanged.
    ///
    /// # Errors
    ///
    /// Returns an error for a key that is not a token (RFC 7230), for properties with a comma or a control byte, and if the list would
    /// exceed its limits. The list is not changed then.
    pub fn set_with_properties(&mut self, key: &str, value: &str, properties: &str) -> Result<(), BaggageError> {
        if !encoding::is_token(key.as_bytes()) {
            return Err(BaggageError::Key);
        }
        if !check_properties(properties.as_bytes()) {
            return Err(BaggageError::Properties);
        }
        let member = member::write(key, value, properties);
        self.splice(key, &member)
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        self.retain(|member| !member.has_key(key));
    }

    /// Keeps the members for which `keep` returns true. Copies nothing.
    pub fn retain(&mut self, mut keep: impl FnMut(&Member<'_>) -> bool) {
        let mut kept = self.keep;
        for (place, piece) in self.places() {
            if !keep(&Member::from_wire(piece)) {
                kept &= !(1 << place);
            }
        }
        self.keep = kept;
    }

    /// Returns `true` if both are parts of one text in memory: a member has the same place in both.
    pub(crate) fn shares_text(&self, other: &Self) -> bool {
        std::ptr::eq(self.text.as_bytes(), other.text.as_bytes())
    }

    /// Returns `true` if both keep the same members of [one text](Self::shares_text).
    pub(crate) fn keeps_same(&self, other: &Self) -> bool {
        self.keep == other.keep
    }

    /// Applies a decision to each member, which is called with the member's place in the text. Copies bytes only if a member is changed;
    /// returns `None` if no member is.
    pub(crate) fn rewritten(&self, mut decide: impl FnMut(usize, &Member<'_>) -> Rewrite) -> Option<Self> {
        let mut keep = self.keep;
        let mut changed: Vec<(usize, Vec<u8>)> = Vec::new();
        for (place, piece) in self.places() {
            let member = Member::from_wire(piece);
            match decide(place, &member) {
                Rewrite::Keep => {}
                Rewrite::Drop => keep &= !(1 << place),
                Rewrite::Set { value, properties } => {
                    let properties = if properties { member.properties() } else { "" };
                    changed.push((place, member::write(member.key(), &value, properties)));
                }
            }
        }
        if keep == self.keep && changed.is_empty() {
            return None;
        }
        let left = Self { keep, ..self.clone() };
        if changed.is_empty() {
            return Some(left);
        }
        let pieces = left.places().map(|(place, piece)| {
            let change = changed.iter().find(|(at, _)| *at == place);
            change.map_or(piece, |(_, piece)| piece.as_slice())
        });
        Some(Self::from_pieces(pieces))
    }

    /// Adds the members of `other` with new keys, up to the limits.
    pub fn merge(&mut self, other: &Self) {
        if self.is_empty() {
            *self = other.clone();
        } else if !other.is_empty() {
            let fresh: Vec<&[u8]> = other
                .pieces()
                .filter(|piece| !self.iter().any(|member| member.key() == Member::from_wire(piece).key()))
                .collect();
            let all = self.pieces().chain(fresh);
            *self = Self::from_pieces(all);
        }
    }

    /// Returns the field value, with encoded values and no white space between members. Borrowed if no member was removed.
    #[must_use]
    pub fn as_wire(&self) -> Cow<'_, [u8]> {
        if self.is_whole() {
            Cow::Borrowed(self.text.as_bytes())
        } else {
            let mut out = Vec::with_capacity(self.text.as_bytes().len());
            for piece in self.pieces() {
                if !out.is_empty() {
                    out.push(b',');
                }
                out.extend_from_slice(piece);
            }
            Cow::Owned(out)
        }
    }

    /// Returns a copy that shares no bytes with the carrier.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self::whole(self.to_text().detach(), self.len())
    }

    /// Returns the list with its [wire form](Self::as_wire) in another place in memory.
    pub(crate) fn moved_to(&self, text: FieldValue) -> Self {
        Self::whole(text, self.len())
    }

    pub(crate) fn to_text(&self) -> FieldValue {
        if self.is_whole() { self.text.clone() } else { self.as_wire().into_owned().into() }
    }

    /// Returns whether every member of the text is kept: the text is the field value then.
    fn is_whole(&self) -> bool {
        self.keep == low_bits(usize::from(self.total))
    }

    /// All members of a canonical text.
    fn whole(text: FieldValue, members: usize) -> Self {
        Self { text, keep: low_bits(members), total: u8::try_from(members).unwrap_or(u8::MAX) }
    }

    fn places(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut keep = self.keep;
        octets::split(self.text.as_bytes(), b',').enumerate().filter(move |_| {
            let kept = keep & 1 == 1;
            keep >>= 1;
            kept
        })
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.places().map(|(_, piece)| piece)
    }

    /// Puts `member` where the first member with `key` is, or at the end; other members with the key go.
    fn splice(&mut self, key: &str, member: &[u8]) -> Result<(), BaggageError> {
        let mut member = Some(member);
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(self.len() + 1);
        for piece in self.pieces() {
            if !Member::from_wire(piece).has_key(key) {
                pieces.push(piece);
            } else if let Some(member) = member.take() {
                pieces.push(member);
            }
        }
        pieces.extend(member);
        let bytes = pieces.iter().map(|piece| piece.len() + 1).sum::<usize>().saturating_sub(1);
        if pieces.len() > Self::MAX_MEMBERS || bytes > Self::MAX_BYTES {
            return Err(BaggageError::Limit);
        }
        *self = Self::from_pieces(pieces.into_iter());
        Ok(())
    }

    /// From canonical pieces; those past a limit are left out.
    fn from_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut out = Vec::new();
        let mut count = 0;
        for piece in pieces.take(Self::MAX_MEMBERS) {
            if out.len() + piece.len() + usize::from(count > 0) > Self::MAX_BYTES {
                continue;
            }
            if count > 0 {
                out.push(b',');
            }
            out.extend_from_slice(piece);
            count += 1;
        }
        Self::whole(out.into(), count)
    }
}

/// The decision on a member.
pub(crate) enum Rewrite {
    Keep,
    Drop,
    /// Another value, with the member's properties or without any.
    Set {
        value: String,
        properties: bool,
    },
}

impl PartialEq for Baggage {
    fn eq(&self, other: &Self) -> bool {
        let shared = self.keep == other.keep && std::ptr::eq(self.text.as_bytes(), other.text.as_bytes());
        shared || self.pieces().eq(other.pieces())
    }
}

impl Eq for Baggage {}

impl fmt::Debug for Baggage {
    /// Keys only: a value may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Baggage")?;
        f.debug_list().entries(self.iter().map(|member| member.key())).finish()
    }
}

/// The lowest `n` bits set.
fn low_bits(n: usize) -> u64 {
    u32::try_from(64_usize.saturating_sub(n)).ok().and_then(|shift| u64::MAX.checked_shr(shift)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
