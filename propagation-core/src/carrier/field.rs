//! Fields as they stand on a wire.

use std::{borrow::Cow, fmt, sync::Arc};

use smallvec::SmallVec;

use crate::{FieldValue, Rejection, TraceParent, TraceState, model::is_token};

/// The name of a field: lower-case, legal on every transport.
///
/// ```
/// use propagation_core::FieldName;
///
/// static B3: FieldName = FieldName::from_static("b3");
/// assert_eq!(B3.as_str(), "b3");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct FieldName {
    text: Cow<'static, str>,
    #[cfg(feature = "http")]
    header: http::HeaderName,
}

impl FieldName {
    /// A name known when the program is compiled.
    ///
    /// # Panics
    ///
    /// If it is not a legal lower-case HTTP header name and the feature `http` is on: in a `static`, the compiler says so.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self {
            text: Cow::Borrowed(name),
            #[cfg(feature = "http")]
            header: http::HeaderName::from_static(name),
        }
    }

    /// A name made at run time, such as Jaeger's `uberctx-` and a key; lower-cased. `None` unless it is a token.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        if !is_token(name.as_bytes()) {
            return None;
        }
        Some(Self {
            #[cfg(feature = "http")]
            header: http::HeaderName::from_bytes(name.as_bytes()).ok()?,
            text: name.to_ascii_lowercase().into(),
        })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn to_cow(&self) -> Cow<'static, str> {
        self.text.clone()
    }

    /// The name as a header name: a look-up by it costs half of one by `&str`.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn as_header_name(&self) -> &http::HeaderName {
        &self.header
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldName({})", self.text)
    }
}

/// What gives way last when a carrier has no room for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldPriority {
    /// Baggage: the first to go.
    Baggage,
    /// `tracestate` and its likes.
    State,
    /// The ids: the last to go.
    Ids,
}

/// One field to write.
#[derive(Clone, Debug)]
pub struct Field {
    name: Name,
    value: Written,
    priority: FieldPriority,
}

/// Small, where a name by value is not: fields move.
#[derive(Clone, Debug)]
enum Name {
    Static(&'static FieldName),
    Made(Box<FieldName>),
}

#[derive(Clone, Debug)]
enum Written {
    Parent([u8; TraceParent::LEN]),
    Text(FieldValue),
}

impl Field {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &FieldName {
        match &self.name {
            Name::Static(name) => name,
            Name::Made(name) => name,
        }
    }

    /// Its value: visible ASCII, spaces and tabs.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        match &self.value {
            Written::Parent(bytes) => bytes,
            Written::Text(text) => text.as_bytes(),
        }
    }

    /// Its value as text. Never lossy: formats write ASCII only.
    #[must_use]
    pub fn value_str(&self) -> &str {
        std::str::from_utf8(self.value()).unwrap_or_default()
    }

    /// What it yields to.
    #[must_use]
    pub fn priority(&self) -> FieldPriority {
        self.priority
    }

    /// The value as a header value, sharing what can be shared.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn to_header_value(&self) -> Option<http::HeaderValue> {
        match &self.value {
            Written::Parent(bytes) => http::HeaderValue::from_bytes(bytes).ok(),
            Written::Text(text) => text.to_header_value(),
        }
    }
}

/// All that one injection has to write, in order, and the names it owns.
///
/// A carrier sees the whole before it writes: what has a name here and no value is to be removed, so that a stale value
/// never stands beside a new one.
#[derive(Clone, Debug, Default)]
pub struct OutgoingFields {
    fields: SmallVec<[Field; 3]>,
    owned: Arc<Owned>,
    /// A bit for each length that a name among them has.
    lengths: u64,
    /// What goes no further, because the policy or a format's grammar says so.
    left_out: Vec<Rejection>,
}

/// What a propagator's formats own: the same for each of its injections.
#[derive(Clone, Debug, Default)]
struct Owned {
    names: Vec<&'static FieldName>,
    prefixes: Vec<&'static str>,
}

impl OutgoingFields {
    /// Nothing to write.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing to write yet, and the same names owned.
    pub(crate) fn sharing_owned(&self) -> Self {
        Self { fields: SmallVec::new(), owned: Arc::clone(&self.owned), lengths: self.lengths, left_out: Vec::new() }
    }

    /// Declares a name: if nothing is written under it, what a carrier has there is to be removed.
    pub fn declare(&mut self, name: &'static FieldName) {
        self.lengths |= length_bit(name.as_str());
        if !self.owned.names.contains(&name) {
            Arc::make_mut(&mut self.owned).names.push(name);
        }
    }

    /// Declares all names with a prefix, such as `uberctx-`.
    pub fn declare_prefix(&mut self, prefix: &'static str) {
        if !self.owned.prefixes.contains(&prefix) {
            Arc::make_mut(&mut self.owned).prefixes.push(prefix);
        }
    }

    /// Writes a `traceparent`-like value of fixed length.
    pub fn push_parent(&mut self, name: &'static FieldName, value: [u8; TraceParent::LEN]) {
        self.lengths |= length_bit(name.as_str());
        self.fields.push(Field {
            name: Name::Static(name),
            value: Written::Parent(value),
            priority: FieldPriority::Ids,
        });
    }

    /// Writes a field; an empty value is never written.
    pub fn push(&mut self, name: &'static FieldName, value: FieldValue, priority: FieldPriority) {
        if !value.is_empty() {
            self.lengths |= length_bit(name.as_str());
            self.fields.push(Field { name: Name::Static(name), value: Written::Text(value), priority });
        }
    }

    /// Writes a field with a name made at run time, under a prefix that is [owned](Self::declare_prefix). Each is a key of its own, and so
    /// an empty value is one, too.
    pub fn push_named(&mut self, name: FieldName, value: FieldValue, priority: FieldPriority) {
        self.fields.push(Field { name: Name::Made(Box::new(name)), value: Written::Text(value), priority });
    }

    /// Notes what a format can't say, so that it is counted and reported like what a carrier has no room for.
    pub fn leave_out(&mut self, rejection: Rejection) {
        self.left_out.push(rejection);
    }

    pub(crate) fn left_out_mut(&mut self) -> &mut Vec<Rejection> {
        &mut self.left_out
    }

    /// What is to be written, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Field> {
        self.fields.iter()
    }

    /// How many fields there are to write.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is nothing to write. There may still be names to remove.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The names to remove where nothing is written under them.
    pub fn names(&self) -> impl Iterator<Item = &'static FieldName> {
        self.owned.names.iter().copied()
    }

    /// The prefixes of names to remove, such as `uberctx-`.
    pub fn prefixes(&self) -> impl Iterator<Item = &'static str> {
        self.owned.prefixes.iter().copied()
    }

    /// Whether there are whole families of names to remove.
    #[must_use]
    pub fn has_prefixes(&self) -> bool {
        !self.owned.prefixes.is_empty()
    }

    /// Whether a name on a carrier is one of ours. Names are compared without regard to ASCII case.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        let starts = |prefix: &&str| {
            name.as_bytes().get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        self.owned.names.iter().any(|owned| owned.as_str().eq_ignore_ascii_case(name))
            || self.fields.iter().any(|field| field.name().as_str().eq_ignore_ascii_case(name))
            || self.owned.prefixes.iter().any(starts)
    }

    /// Whether a lower-case name may be one of ours, prefixes apart: tells most of the others by their length alone, which is cheap.
    #[must_use]
    pub fn might_contain(&self, name: &str) -> bool {
        self.lengths & length_bit(name) != 0
    }

    /// Whether something is written under a name.
    #[must_use]
    pub fn writes(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name().as_str() == name)
    }

    /// Keeps the fields that pass, asking for the most important first. Fields that a carrier has no room for are dropped this way. State
    /// is dropped without being asked for where all ids are: it is meaningless without them.
    ///
    /// Returns the names of the dropped fields.
    pub fn fit(&mut self, mut fits: impl FnMut(&Field) -> bool) -> Vec<FieldName> {
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
        let mut out: SmallVec<[usize; 4]> =
            order.into_iter().filter(|&at| !self.fields.get(at).is_some_and(&mut keeps)).collect();
        out.sort_unstable();
        out.iter().rev().map(|&at| self.fields.remove(at).name().clone()).collect()
    }

    /// Truncates `tracestate` by whole members (Trace Context, 3.3.1.5) where it does not fit beside the ids: members longer than 128
    /// bytes first, then from the end. Call it before [`fit`](Self::fit), which drops a list of which no member fits.
    ///
    /// `room` is the number of bytes that the carrier has for all fields, `cost` what one field takes: its value's length and a constant.
    /// Returns the name of the truncated field.
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
        field.value = Written::Text(state.text().clone());
        Some(field.name().clone())
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}
