use crate::{FieldName, FieldValue, TraceParent};

/// The order in which a carrier drops fields that do not fit. Lower values are dropped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldPriority {
    /// Baggage: dropped first.
    Baggage,
    /// `tracestate`.
    State,
    /// The ids and the sampling decision: dropped last.
    Ids,
}

/// A field to write.
#[derive(Clone, Debug)]
pub struct Field {
    name: Name,
    value: Written,
    priority: FieldPriority,
}

/// Fields are moved, so a name made at run time is boxed.
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
    pub(super) fn new(name: &'static FieldName, value: FieldValue, priority: FieldPriority) -> Self {
        Self { name: Name::Static(name), value: Written::Text(value), priority }
    }

    pub(super) fn of_parent(name: &'static FieldName, value: [u8; TraceParent::LEN]) -> Self {
        Self { name: Name::Static(name), value: Written::Parent(value), priority: FieldPriority::Ids }
    }

    pub(super) fn made(name: FieldName, value: FieldValue, priority: FieldPriority) -> Self {
        Self { name: Name::Made(Box::new(name)), value: Written::Text(value), priority }
    }

    pub(super) fn set_value(&mut self, value: FieldValue) {
        self.value = Written::Text(value);
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &FieldName {
        match &self.name {
            Name::Static(name) => name,
            Name::Made(name) => name,
        }
    }

    /// Returns the value: visible ASCII, spaces and tabs.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        match &self.value {
            Written::Parent(bytes) => bytes,
            Written::Text(text) => text.as_bytes(),
        }
    }

    /// Returns the value as text.
    #[must_use]
    pub fn value_str(&self) -> &str {
        // Never lossy: formats write ASCII.
        std::str::from_utf8(self.value()).unwrap_or_default()
    }

    /// Returns the priority.
    #[must_use]
    pub fn priority(&self) -> FieldPriority {
        self.priority
    }

    /// Returns the value as a header value, without a copy where possible. `None` if a byte is not legal in a header.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn to_header_value(&self) -> Option<http::HeaderValue> {
        match &self.value {
            Written::Parent(bytes) => http::HeaderValue::from_bytes(bytes).ok(),
            Written::Text(text) => text.to_header_value(),
        }
    }
}
