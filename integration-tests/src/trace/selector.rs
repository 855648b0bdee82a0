//! Selectors of spans.

use std::fmt;

use super::span::shown;
use super::{Span, SpanId, SpanKind, Value};

/// A selector of spans: all its conditions must match.
///
/// Made by [`service`], [`named`], [`of_kind`] or from plain text: `"orders"` fits each span whose service **or** name is
/// exactly `orders`.
///
/// ```
/// use propagation_testkit::trace::{SpanKind, service};
/// let server = service("orders").kind(SpanKind::Server).attribute("rpc.system.name", "grpc");
/// assert_eq!(server.to_string(), "a server span of service `orders` with rpc.system.name=grpc");
/// ```
#[derive(Debug, Clone, Default)]
pub struct SpanSelector {
    either: Option<String>,
    service: Option<String>,
    name: Option<String>,
    name_prefix: Option<String>,
    kind: Option<SpanKind>,
    id: Option<SpanId>,
    attributes: Vec<(String, Value)>,
}

/// Selects the spans of this service (`service.name`).
#[must_use]
pub fn service(name: impl Into<String>) -> SpanSelector {
    SpanSelector { service: Some(name.into()), ..SpanSelector::default() }
}

/// Selects the spans with exactly this name.
#[must_use]
pub fn named(name: impl Into<String>) -> SpanSelector {
    SpanSelector { name: Some(name.into()), ..SpanSelector::default() }
}

/// Selects the spans of this kind.
#[must_use]
pub fn of_kind(kind: SpanKind) -> SpanSelector {
    SpanSelector { kind: Some(kind), ..SpanSelector::default() }
}

impl SpanSelector {
    /// Selects every span.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Requires this service.
    #[must_use]
    pub fn service(self, name: impl Into<String>) -> Self {
        Self { service: Some(name.into()), ..self }
    }

    /// Requires exactly this name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Requires a name with this prefix.
    #[must_use]
    pub fn name_starts(self, prefix: impl Into<String>) -> Self {
        Self { name_prefix: Some(prefix.into()), ..self }
    }

    /// Requires this kind.
    #[must_use]
    pub fn kind(self, kind: SpanKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Requires this span id.
    #[must_use]
    pub fn id(self, id: SpanId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Requires this attribute, with this type and value.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// Whether the span matches all conditions.
    #[must_use]
    pub fn fits(&self, span: &Span) -> bool {
        self.misses(span) == 0
    }

    /// Returns the number of conditions that do not match the span.
    #[must_use]
    pub fn misses(&self, span: &Span) -> usize {
        let text = |want: &Option<String>, fits: &dyn Fn(&str) -> bool| {
            usize::from(want.as_deref().is_some_and(|want| !fits(want)))
        };
        text(&self.either, &|want| want == span.service() || want == span.name)
            + text(&self.service, &|want| want == span.service())
            + text(&self.name, &|want| want == span.name)
            + text(&self.name_prefix, &|want| span.name.starts_with(want))
            + usize::from(self.kind.is_some_and(|kind| kind != span.kind))
            + usize::from(self.id.is_some_and(|id| id != span.span_id))
            + self.attributes.iter().filter(|(key, value)| span.attribute(key) != Some(value)).count()
    }

    /// Returns the number of conditions.
    fn parts(&self) -> usize {
        usize::from(self.either.is_some())
            + usize::from(self.service.is_some())
            + usize::from(self.name.is_some())
            + usize::from(self.name_prefix.is_some())
            + usize::from(self.kind.is_some())
            + usize::from(self.id.is_some())
            + self.attributes.len()
    }

    /// Returns the similarity of the span to the selector, from 0 to 100, to choose the nearest candidates.
    #[must_use]
    pub(crate) fn likeness(&self, span: &Span) -> usize {
        let parts = self.parts();
        if parts == 0 {
            return 100;
        }
        let fit = parts - self.misses(span);
        // A name that nearly fits counts for half a part: most mistakes are a prefix, a case or a route apart.
        let near = [&self.either, &self.name, &self.service, &self.name_prefix]
            .into_iter()
            .flatten()
            .any(|want| alike(want, &span.name) || alike(want, span.service()));
        (fit * 100 + usize::from(near) * 50) / parts
    }
}

fn alike(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    !a.is_empty() && !b.is_empty() && (a.contains(&b) || b.contains(&a))
}

impl fmt::Display for SpanSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind @ SpanKind::Internal) => write!(f, "an {kind} span")?,
            Some(kind) => write!(f, "a {kind} span")?,
            None => f.write_str("a span")?,
        }
        if let Some(either) = &self.either {
            write!(f, " of service or name `{}`", shown(either))?;
        }
        if let Some(name) = &self.name {
            write!(f, " named `{}`", shown(name))?;
        }
        if let Some(prefix) = &self.name_prefix {
            write!(f, " with a name like `{}…`", shown(prefix))?;
        }
        if let Some(service) = &self.service {
            write!(f, " of service `{}`", shown(service))?;
        }
        if let Some(id) = self.id {
            write!(f, " with id {id}")?;
        }
        for (index, (key, value)) in self.attributes.iter().enumerate() {
            let word = if index == 0 { " with" } else { " and" };
            write!(f, "{word} {}={}", shown(key), shown(&value.to_string()))?;
        }
        Ok(())
    }
}

impl From<&str> for SpanSelector {
    fn from(service_or_name: &str) -> Self {
        Self { either: Some(service_or_name.to_owned()), ..Self::default() }
    }
}

impl From<SpanId> for SpanSelector {
    fn from(id: SpanId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }
}

impl From<&Span> for SpanSelector {
    fn from(span: &Span) -> Self {
        span.span_id.into()
    }
}

impl From<SpanKind> for SpanSelector {
    fn from(kind: SpanKind) -> Self {
        of_kind(kind)
    }
}

impl From<&SpanSelector> for SpanSelector {
    fn from(which: &SpanSelector) -> Self {
        which.clone()
    }
}
