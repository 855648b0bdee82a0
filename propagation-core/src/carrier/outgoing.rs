use smallvec::SmallVec;

use super::field_name::length_bit;
use crate::{Field, FieldName, FieldNames, FieldPriority, FieldValue, Rejection, TraceParent, TraceState};

/// The fields that one injection writes, in order, and the names that it removes where nothing is written under them.
#[derive(Clone, Debug)]
pub struct OutgoingFields<'n> {
    names: &'n FieldNames,
    fields: SmallVec<[Field; 3]>,
    /// The lengths of all names, declared or written.
    lengths: u64,
    rejections: Vec<Rejection>,
}

impl<'n> OutgoingFields<'n> {
    /// Creates an empty list of fields. `names` are the names that the formats declare.
    #[must_use]
    pub fn new(names: &'n FieldNames) -> Self {
        Self { names, fields: SmallVec::new(), lengths: names.lengths(), rejections: Vec::new() }
    }

    /// Returns the declared names.
    #[must_use]
    pub fn names(&self) -> &'n FieldNames {
        self.names
    }

    /// Reserves room for more fields.
    pub fn reserve(&mut self, additional: usize) {
        self.fields.reserve(additional);
    }

    /// Adds a `traceparent`, or a field of the same grammar.
    pub fn push_parent(&mut self, name: &'static FieldName, value: [u8; TraceParent::LEN]) {
        self.lengths |= length_bit(name.as_str());
        self.fields.push(Field::of_parent(name, value));
    }

    /// Adds a field, unless its value is empty.
    pub fn push(&mut self, name: &'static FieldName, value: FieldValue, priority: FieldPriority) {
        if !value.is_empty() {
            self.lengths |= length_bit(name.as_str());
            self.fields.push(Field::new(name, value, priority));
        }
    }

    /// Adds a field whose name was made at run time, under a [declared prefix](FieldNames::declare_prefix). Its value may be empty.
    pub fn push_named(&mut self, name: FieldName, value: FieldValue, priority: FieldPriority) {
        self.lengths |= length_bit(name.as_str());
        self.fields.push(Field::made(name, value, priority));
    }

    /// Records a field or key that the format cannot express. It is counted and reported like one that the carrier rejects.
    pub fn reject(&mut self, rejection: Rejection) {
        self.rejections.push(rejection);
    }

    pub(crate) fn rejections_mut(&mut self) -> &mut Vec<Rejection> {
        &mut self.rejections
    }

    /// Returns the fields, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Field> {
        self.fields.iter()
    }

    /// Returns the number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Returns true if there are no fields. There may still be names to remove.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Returns true if an injection replaces or removes a name: if it is declared, or written. Ignores ASCII case.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        let is_written = || self.fields.iter().any(|field| field.name().as_str().eq_ignore_ascii_case(name));
        (self.might_contain(name) || self.names.has_prefixes()) && (self.names.contains(name) || is_written())
    }

    /// Returns false if [`contains`](Self::contains) certainly does, prefixes apart. Compares the length alone.
    #[must_use]
    pub fn might_contain(&self, name: &str) -> bool {
        self.lengths & length_bit(name) != 0
    }

    /// Returns true if a field is written under a lower-case name.
    #[must_use]
    pub fn writes(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name().as_str() == name)
    }

    /// Keeps the fields that fit into the carrier. Calls `fits` with the most important fields first.
    ///
    /// If all ids are dropped, `tracestate` is dropped without a call: it has no meaning without them. Returns the names of the dropped
    /// fields.
    pub fn retain_fitting(&mut self, mut fits: impl FnMut(&Field) -> bool) -> Vec<FieldName> {
        let mut order: SmallVec<[usize; 4]> = (0..self.fields.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(self.fields.get(at).map(Field::priority)));
        let (mut ids, mut ids_kept) = (0, 0);
        let mut keeps = |field: &Field| match field.priority() {
            FieldPriority::Ids => {
                let kept = fits(field);
                ids += 1;
                ids_kept += usize::from(kept);
                kept
            }
            FieldPriority::State if ids > 0 && ids_kept == 0 => false,
            FieldPriority::State | FieldPriority::Baggage => fits(field),
        };
        let mut dropped: SmallVec<[usize; 4]> =
            order.into_iter().filter(|&at| !self.fields.get(at).is_some_and(&mut keeps)).collect();
        dropped.sort_unstable();
        dropped.iter().rev().map(|&at| self.fields.remove(at).name().clone()).collect()
    }

    /// Truncates `tracestate` by whole members (Trace Context, 3.3.1.5) if it does not fit beside the ids: members longer than 128
    /// bytes first, then from the end. Call it before [`retain_fitting`](Self::retain_fitting), which drops a list without a member that
    /// fits.
    ///
    /// `room` is the number of bytes that the carrier has for all fields, `cost` returns the bytes that one field takes: the length of its
    /// value and a constant. Returns the name of the truncated field.
    pub fn truncate_state(&mut self, room: usize, cost: impl Fn(&Field) -> usize) -> Option<FieldName> {
        let total =
            |priority| self.fields.iter().filter(|field| field.priority() == priority).map(&cost).sum::<usize>();
        let left = room.checked_sub(total(FieldPriority::Ids))?;
        let excess = total(FieldPriority::State).checked_sub(left).filter(|excess| *excess > 0)?;
        let field = self.fields.iter_mut().find(|field| field.name().as_str() == "tracestate")?;
        let fitting = field.value().len().checked_sub(excess)?;
        let state = TraceState::parse(field.value()).ok()?.truncated(fitting);
        if state.is_empty() {
            return None;
        }
        field.set_value(state.text().clone());
        Some(field.name().clone())
    }
}
