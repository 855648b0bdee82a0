use std::{fmt, sync::Arc};

use opentelemetry::{Value, trace::SpanKind};

use super::NewSpan;
use crate::bridge::Carried;
use propagation_core::{Glob, SamplingDecision, model::SamplingPriority, semconv};

/// The conditions of a rule. A span matches if all of them match; without conditions every span matches.
///
/// Patterns are exact, or have a `*` for any number of characters. Conditions see only the data at the start of a span, not the status of
/// a response. To keep traces that fail, sample all of them here and use tail sampling in the Collector.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    conditions: Vec<Condition>,
}

#[derive(Clone)]
enum Condition {
    Root,
    Kind(SpanKind),
    Name(Glob),
    Route(Glob),
    Attribute(Box<str>, Glob),
    Baggage(Box<str>, Glob),
    Error,
    Priority,
    When(When),
}

type When = Arc<dyn Fn(&NewSpan<'_>) -> bool + Send + Sync>;

impl Rule {
    /// Matches every span.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires a span without a parent.
    #[must_use]
    pub fn root(self) -> Self {
        self.and(Condition::Root)
    }

    /// Requires this kind.
    #[must_use]
    pub fn kind(self, kind: SpanKind) -> Self {
        self.and(Condition::Kind(kind))
    }

    /// Requires a name at the start that matches this pattern.
    #[must_use]
    pub fn name(self, pattern: &str) -> Self {
        self.and(Condition::Name(Glob::new(pattern)))
    }

    /// Requires a route that matches this pattern: `http.route` or, before a router has matched, `url.path`.
    #[must_use]
    pub fn route(self, pattern: &str) -> Self {
        self.and(Condition::Route(Glob::new(pattern)))
    }

    /// Requires an attribute at the start whose value matches this pattern. Numbers and booleans are compared as text; `*` matches any value.
    #[must_use]
    pub fn attribute(self, key: &str, pattern: &str) -> Self {
        self.and(Condition::Attribute(key.into(), Glob::new(pattern)))
    }

    /// Requires a baggage key whose value matches this pattern. The policy decides about baggage of callers.
    #[must_use]
    pub fn baggage(self, key: &str, pattern: &str) -> Self {
        self.and(Condition::Baggage(key.into(), Glob::new(pattern)))
    }

    /// Requires an error at the start: `error.type`, `error` set to true, or an `http.response.status_code` from 500 on.
    #[must_use]
    pub fn error(self) -> Self {
        self.and(Condition::Error)
    }

    /// Requires a priority: `sampling.priority` above zero, or the caller's debug flag (B3, Jaeger) or user-keep (Datadog's 2).
    #[must_use]
    pub fn priority(self) -> Self {
        self.and(Condition::Priority)
    }

    /// Requires that this function returns true.
    #[must_use]
    pub fn when(self, condition: impl Fn(&NewSpan<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.and(Condition::When(Arc::new(condition)))
    }

    fn and(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    pub(super) fn is_met_by(&self, span: &NewSpan<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.is_met_by(span))
    }
}

impl Condition {
    fn is_met_by(&self, span: &NewSpan<'_>) -> bool {
        let matches = |pattern: &Glob, value: Option<&Value>| {
            value.is_some_and(|value| pattern.matches(value.as_str().as_bytes()))
        };
        match self {
            Self::Root => span.parent().is_none(),
            Self::Kind(kind) => span.kind() == kind,
            Self::Name(pattern) => pattern.matches(span.name()),
            Self::Route(pattern) => {
                matches(pattern, span.attribute(semconv::HTTP_ROUTE).or_else(|| span.attribute(semconv::URL_PATH)))
            }
            Self::Attribute(key, pattern) => matches(pattern, span.attribute(key)),
            Self::Baggage(key, pattern) => {
                let value = span.context().and_then(|context| Carried::member(context, key));
                value.is_some_and(|value| pattern.matches(&*value))
            }
            Self::Error => is_error(span),
            Self::Priority => has_priority(span),
            Self::When(condition) => condition(span),
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("Root"),
            Self::Kind(kind) => write!(f, "Kind({kind:?})"),
            Self::Name(pattern) => write!(f, "Name({:?})", pattern.as_str()),
            Self::Route(pattern) => write!(f, "Route({:?})", pattern.as_str()),
            Self::Attribute(key, pattern) => write!(f, "Attribute({key:?}, {:?})", pattern.as_str()),
            Self::Baggage(key, pattern) => write!(f, "Baggage({key:?}, {:?})", pattern.as_str()),
            Self::Error => f.write_str("Error"),
            Self::Priority => f.write_str("Priority"),
            Self::When(_) => f.write_str("When(…)"),
        }
    }
}

fn is_error(span: &NewSpan<'_>) -> bool {
    span.attributes().iter().any(|found| match found.key.as_str() {
        semconv::ERROR_TYPE => true,
        "error" => found.value == Value::Bool(true),
        semconv::HTTP_RESPONSE_STATUS_CODE => matches!(found.value, Value::I64(500..)),
        _ => false,
    })
}

fn has_priority(span: &NewSpan<'_>) -> bool {
    let asked = match span.attribute("sampling.priority") {
        Some(Value::I64(priority)) => *priority > 0,
        Some(Value::F64(priority)) => *priority > 0.0,
        _ => false,
    };
    asked || matches!(span.caller(), SamplingDecision::Debug | SamplingDecision::Priority(SamplingPriority::UserKeep))
}
