//! Changes of many members at once. Keys are looked up in a map, not in the list.

use std::collections::BTreeMap;

use super::{
    Baggage, Member, encoding,
    member::{self, check_properties},
};

impl Baggage {
    /// Applies the changes that user code made in a copy without order and repeated keys, such as OpenTelemetry's map.
    ///
    /// Members that are not in the copy are removed. A member with another value replaces the first one with its key. New members go to the
    /// end, as far as the limits allow.
    pub fn follow(&mut self, copy: &Self) {
        self.apply(copy, false);
    }

    /// Sets all members of another list, in place of members with their keys or at the end, as far as the limits allow.
    ///
    /// ```
    /// use propagation_core::Baggage;
    ///
    /// let mut baggage = Baggage::parse(b"tenant.id=blue,plan=free");
    /// baggage.update(&Baggage::parse(b"plan=paid,locale=de"));
    /// assert_eq!(baggage.as_wire(), b"tenant.id=blue,plan=paid,locale=de".as_slice());
    /// ```
    pub fn update(&mut self, other: &Self) {
        self.apply(other, true);
    }

    fn apply(&mut self, other: &Self, keeps_others: bool) {
        if self == other {
            return;
        }
        let (ours, theirs) = (self.by_key(), other.by_key());
        let has_changed = |key: &[u8]| match (ours.get(key), theirs.get(key)) {
            (Some(own), Some(their)) => own.value() != their.value(),
            _ => false,
        };
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(self.len() + other.len());
        let mut replaced: Vec<&[u8]> = Vec::new();
        for own in self.iter() {
            let key = own.wire_key();
            match theirs.get(key) {
                None if !keeps_others => {}
                Some(their) if has_changed(key) => {
                    if !replaced.contains(&key) {
                        replaced.push(key);
                        pieces.push(their.as_wire());
                    }
                }
                _ => pieces.push(own.as_wire()),
            }
        }
        pieces.extend(other.iter().filter(|their| !ours.contains_key(their.wire_key())).map(|their| their.as_wire()));
        *self = Self::from_pieces(pieces.into_iter());
    }

    /// The members by their keys; the last one, where the key is repeated.
    fn by_key(&self) -> BTreeMap<&[u8], Member<'_>> {
        self.iter().map(|member| (member.wire_key(), member)).collect()
    }
}

/// Collects keys, values and properties. Members that are not legal, and those beyond the limits, are left out.
impl<'a> FromIterator<(&'a str, &'a str, &'a str)> for Baggage {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str, &'a str)>>(members: I) -> Self {
        let legal = members.into_iter().filter(|(key, _, properties)| {
            encoding::is_token(key.as_bytes()) && check_properties(properties.as_bytes())
        });
        let pieces: Vec<Vec<u8>> =
            legal.map(|(key, value, properties)| member::write(key, value, properties)).collect();
        Self::from_pieces(pieces.iter().map(Vec::as_slice))
    }
}
