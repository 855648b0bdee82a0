use std::{borrow::Cow, fmt};

use crate::model;

/// The name of a field: lower case, and legal on every transport.
///
/// ```
/// use propagation_core::FieldName;
///
/// static B3: FieldName = FieldName::from_static("b3");
/// assert_eq!(B3.as_str(), "b3");
/// ```
#[derive(Clone)]
pub struct FieldName {
    text: Text,
    #[cfg(feature = "http")]
    header: http::HeaderName,
}

#[derive(Clone)]
enum Text {
    Literal(&'static str),
    /// The header name holds the text.
    #[cfg(feature = "http")]
    Header,
    #[cfg(not(feature = "http"))]
    Owned(Box<str>),
}

impl FieldName {
    /// Creates a name from a literal.
    ///
    /// # Panics
    ///
    /// Panics unless the name is a lower-case HTTP token of at least one byte. In a `static` or `const`, this is a compile error:
    ///
    /// ```compile_fail
    /// use propagation_core::FieldName;
    ///
    /// static TRACEPARENT: FieldName = FieldName::from_static("Traceparent");
    /// ```
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(
            is_lower_case_token(name.as_bytes()),
            "a field name must be a lower-case HTTP token of at least one byte"
        );
        Self {
            text: Text::Literal(name),
            #[cfg(feature = "http")]
            header: http::HeaderName::from_static(name),
        }
    }

    /// Creates a name at run time, such as Jaeger's `uberctx-` and a key. Converts upper-case letters to lower case.
    ///
    /// Returns `None` unless the name is an HTTP token.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        if !model::is_token(name.as_bytes()) {
            return None;
        }
        #[cfg(feature = "http")]
        return Some(Self { text: Text::Header, header: http::HeaderName::from_bytes(name.as_bytes()).ok()? });
        #[cfg(not(feature = "http"))]
        Some(Self { text: Text::Owned(name.to_ascii_lowercase().into()) })
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.text {
            Text::Literal(name) => name,
            #[cfg(feature = "http")]
            Text::Header => self.header.as_str(),
            #[cfg(not(feature = "http"))]
            Text::Owned(name) => name,
        }
    }

    /// Returns the name as a header name. Looking up a header by it costs half of a look-up by `&str`.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn as_header_name(&self) -> &http::HeaderName {
        &self.header
    }

    /// Returns the literal that the name was made from.
    pub(crate) fn literal(&self) -> Option<&'static str> {
        match self.text {
            Text::Literal(name) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn to_cow(&self) -> Cow<'static, str> {
        self.literal().map_or_else(|| Cow::Owned(self.as_str().to_owned()), Cow::Borrowed)
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for FieldName {}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldName({})", self.as_str())
    }
}

/// Returns true for `1*tchar` (RFC 9110, 5.6.2) without upper-case letters.
const fn is_lower_case_token(mut name: &[u8]) -> bool {
    if name.is_empty() {
        return false;
    }
    while let [first, rest @ ..] = name {
        if !matches!(
            first,
            b'a'..=b'z'
                | b'0'..=b'9'
                | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        ) {
            return false;
        }
        name = rest;
    }
    true
}

/// A set of header names that may seem to contain others: it answers "absent" exactly, and "present" with a small error.
///
/// Building it takes one pass over a message. It spares a look-up for each name of each format that is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameFilter {
    names: u64,
    /// The first two bytes of the names.
    starts: u64,
}

impl NameFilter {
    /// The filter of a carrier that does not know its names: every name may be present.
    pub const ALL: Self = Self { names: u64::MAX, starts: u64::MAX };

    /// The filter of a carrier without names.
    pub const EMPTY: Self = Self { names: 0, starts: 0 };

    /// Adds a name. Ignores ASCII case.
    pub fn insert(&mut self, name: &[u8]) {
        self.names |= name_bit(name);
        self.starts |= start_bit(name);
    }

    /// Returns false if a name is certainly absent.
    #[must_use]
    pub fn might_contain(&self, name: &FieldName) -> bool {
        self.names & name_bit(name.as_str().as_bytes()) != 0
    }

    /// Returns false if certainly no name has this prefix of at least two bytes.
    #[must_use]
    pub fn might_start_with(&self, prefix: &str) -> bool {
        prefix.len() < 2 || self.starts & start_bit(prefix.as_bytes()) != 0
    }
}

/// Returns a bit for the length and the last byte, in lower case.
fn name_bit(name: &[u8]) -> u64 {
    let last = name.last().map_or(0, |last| usize::from(last | 0x20));
    1 << ((name.len() * 7 + last) % 64)
}

/// Returns a bit for the first two bytes, in lower case.
fn start_bit(name: &[u8]) -> u64 {
    match name {
        [first, second, ..] => 1 << ((usize::from(first | 0x20) * 5 + usize::from(second | 0x20)) % 64),
        _ => 0,
    }
}

/// The names that formats declare: those that they read, write, and remove from a message where nothing is written under them.
///
/// [`Propagator::fields`](crate::Propagator::fields) returns those of all of its formats: a stale `b3` must not stay beside a new
/// `traceparent`. Some transports deliver only the fields that a receiver names.
///
/// ```
/// use propagation_core::Propagator;
///
/// let propagator = Propagator::default();
/// let names: Vec<&str> = propagator.fields().iter().map(|name| name.as_str()).collect();
/// assert_eq!(names, ["traceparent", "tracestate", "baggage"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct FieldNames {
    names: Vec<&'static FieldName>,
    prefixes: Vec<&'static str>,
    /// The lengths of the names, as [`length_bit`]s.
    lengths: u64,
}

impl FieldNames {
    /// Creates an empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { names: Vec::new(), prefixes: Vec::new(), lengths: 0 }
    }

    /// Adds a name.
    pub fn declare(&mut self, name: &'static FieldName) {
        if !self.names.contains(&name) {
            self.names.push(name);
            self.lengths |= length_bit(name.as_str());
        }
    }

    /// Adds all names that start with a prefix, such as `uberctx-`.
    pub fn declare_prefix(&mut self, prefix: &'static str) {
        if !self.prefixes.contains(&prefix) {
            self.prefixes.push(prefix);
        }
    }

    /// Returns the names, without those that only a prefix declares.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'static FieldName> + '_ {
        self.names.iter().copied()
    }

    /// Returns the prefixes.
    pub fn prefixes(&self) -> impl ExactSizeIterator<Item = &'static str> + '_ {
        self.prefixes.iter().copied()
    }

    /// Returns true if there are prefixes.
    #[must_use]
    pub fn has_prefixes(&self) -> bool {
        !self.prefixes.is_empty()
    }

    /// Returns true if a name is declared, or starts with a declared prefix. Ignores ASCII case.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        (self.might_contain(name) && self.names.iter().any(|declared| declared.as_str().eq_ignore_ascii_case(name)))
            || self.prefixes.iter().any(|prefix| starts_with(name, prefix))
    }

    /// Returns false if a name is certainly not declared, prefixes apart. Compares the length alone, so it is cheaper than
    /// [`contains`](Self::contains).
    #[must_use]
    pub fn might_contain(&self, name: &str) -> bool {
        self.lengths & length_bit(name) != 0
    }

    pub(super) fn lengths(&self) -> u64 {
        self.lengths
    }
}

/// Returns the bit of a name's length.
pub(super) fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.as_bytes().get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    static ONE: FieldName = FieldName::from_static("x-one");
    static SAME: FieldName = FieldName::from_static("x-one");

    #[test]
    fn literals_are_lower_case_tokens() {
        for name in ["traceparent", "x-b3-traceid", "!#$%&'*+-.^_`|~09az"] {
            assert!(is_lower_case_token(name.as_bytes()), "{name}");
        }
        for name in ["", "Traceparent", "trace parent", "a:b", "a\n", "größe", "a/b"] {
            assert!(!is_lower_case_token(name.as_bytes()), "{name:?}");
        }
    }

    #[test]
    fn names_made_at_run_time_equal_literals() {
        let made = FieldName::new("X-One").unwrap();
        assert_eq!((made.as_str(), &made), ("x-one", &ONE));
        assert_eq!(FieldName::new("x one"), None);
    }

    #[test]
    fn filter_never_misses_a_name_in_any_case() {
        let names = ["traceparent", "b3", "x-b3-traceid", "x", "uberctx-tenant.id", "x-datadog-sampling-priority"];
        for name in names.map(FieldName::new).map(Option::unwrap) {
            for spelling in [name.as_str().to_owned(), name.as_str().to_ascii_uppercase()] {
                let mut filter = NameFilter::EMPTY;
                assert!(!filter.might_contain(&name));
                filter.insert(spelling.as_bytes());
                assert!(filter.might_contain(&name), "{spelling}");
                let prefix = name.as_str().get(..2).unwrap_or(name.as_str());
                assert!(filter.might_start_with(prefix), "{spelling}");
            }
        }
        assert!(NameFilter::ALL.might_contain(&ONE) && NameFilter::ALL.might_start_with("x-"));
        assert!(!NameFilter::EMPTY.might_start_with("x-"));
    }

    #[test]
    fn declared_names_and_prefixes_are_contained_in_any_case() {
        let mut names = FieldNames::new();
        names.declare(&ONE);
        names.declare(&SAME);
        names.declare_prefix("uberctx-");
        assert_eq!(names.iter().len(), 1);
        for (name, contained) in
            [("x-one", true), ("X-ONE", true), ("UberCtx-k", true), ("uberctx-", true), ("x-two", false), ("", false)]
        {
            assert_eq!(names.contains(name), contained, "{name:?}");
        }
        assert!(names.might_contain("x-one") && names.might_contain("x-two") && !names.might_contain("x-three"));
    }
}
