//! Rules applied to spans.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Rule, Scope, Test};
use crate::text::glob;
use crate::trace::span::shown;
use crate::trace::tree::plural;
use crate::trace::{Attributes, Span, SpanId, TraceGraph, TraceId, Value};

/// A failure shows at most this many values.
const SHOWN: usize = 5;

/// A deviation from a rule of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaFinding {
    /// The line on which the rule begins, from 1.
    pub line: usize,
    /// The deviation.
    pub problem: SchemaProblem,
    /// The number of spans with it.
    pub spans: usize,
    /// The first span with it.
    pub example: Option<(TraceId, SpanId)>,
    label: String,
}

/// The kind of a deviation from a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaProblem {
    /// A span has no such attribute, or an empty one.
    MissingAttribute(String),
    /// A span's resource has no such attribute, or an empty one.
    MissingResourceAttribute(String),
    /// A key is forbidden.
    ForbiddenKey {
        /// The key.
        key: String,
        /// The key to use.
        instead: String,
    },
    /// Keys differ only in case and separators.
    InconsistentSpelling(Vec<String>),
    /// A value is not one of those allowed.
    ValueNotAllowed {
        /// The key.
        key: String,
        /// The value, as text.
        value: String,
    },
    /// A key has too many values.
    TooManyValues {
        /// The key.
        key: String,
        /// The number of values.
        distinct: usize,
        /// The allowed number.
        max: usize,
        /// Some of the values.
        some: Vec<String>,
    },
    /// A service has too many span names.
    TooManySpanNames {
        /// The service.
        service: String,
        /// The number of names.
        distinct: usize,
        /// The allowed number.
        max: usize,
        /// Some of the names.
        some: Vec<String>,
    },
}

impl fmt::Display for SchemaProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |texts: &[String]| texts.iter().map(|text| format!("`{}`", shown(text))).collect::<Vec<_>>().join(", ");
        match self {
            Self::MissingAttribute(key) => write!(f, "the attribute `{}` is missing", shown(key)),
            Self::MissingResourceAttribute(key) => write!(f, "the resource attribute `{}` is missing", shown(key)),
            Self::ForbiddenKey { key, instead } => {
                write!(f, "the key `{}` is forbidden: use `{}`", shown(key), shown(instead))
            }
            Self::InconsistentSpelling(keys) => write!(f, "keys differ only in case and separators: {}", list(keys)),
            Self::ValueNotAllowed { key, value } => {
                write!(f, "`{}` has the value `{}`, which is not allowed", shown(key), shown(value))
            }
            Self::TooManyValues { key, distinct, max, some } => {
                write!(f, "`{}` has {distinct} values, more than {max}: {}, …", shown(key), list(some))
            }
            Self::TooManySpanNames { service, distinct, max, some } => {
                write!(f, "service `{}` has {distinct} span names, more than {max}: {}, …", shown(service), list(some))
            }
        }
    }
}

impl fmt::Display for SchemaFinding {
    /// Writes line, problem, number of spans and the first of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}: {}", self.line, self.problem, plural(self.spans, "span"), self.label)?;
        f.write_str(if self.spans > 1 { ", …)" } else { ")" })
    }
}

/// Returns the deviations from one rule.
pub(super) fn findings(rule: &Rule, graph: &TraceGraph) -> Vec<SchemaFinding> {
    let mut found = Found { line: rule.line, findings: Vec::new() };
    let spans = || matching(graph, &rule.scope);
    match &rule.test {
        Test::Required { attributes, resource } => {
            for key in attributes {
                let missing = spans().filter(|span| is_missing(&span.attributes, key));
                found.push(SchemaProblem::MissingAttribute(key.clone()), missing);
            }
            for key in resource {
                let missing = spans().filter(|span| is_missing(&span.resource, key));
                found.push(SchemaProblem::MissingResourceAttribute(key.clone()), missing);
            }
        }
        Test::Synonyms { key: instead, forbidden } => {
            let used: BTreeSet<&str> = spans().flat_map(keys).collect();
            for key in used.into_iter().filter(|key| forbidden.iter().any(|pattern| glob::matches(pattern, key))) {
                let problem = SchemaProblem::ForbiddenKey { key: key.to_owned(), instead: instead.clone() };
                found.push(problem, spans().filter(|span| keys(span).any(|used| used == key)));
            }
        }
        Test::ConsistentSpelling => {
            let mut spellings: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
            for key in spans().flat_map(keys) {
                spellings.entry(normal(key)).or_default().insert(key);
            }
            for keys_of in spellings.into_values().filter(|keys| keys.len() > 1) {
                let problem =
                    SchemaProblem::InconsistentSpelling(keys_of.iter().map(|key| (*key).to_owned()).collect());
                found.push(problem, spans().filter(|span| keys(span).any(|key| keys_of.contains(key))));
            }
        }
        Test::Values { key, allowed, max_distinct } => {
            let mut values: BTreeMap<String, Vec<&Span>> = BTreeMap::new();
            for span in spans() {
                for value in [&span.attributes, &*span.resource].into_iter().filter_map(|from| from.get(key)) {
                    values.entry(value.to_string()).or_default().push(span);
                }
            }
            found.max(
                values.len(),
                *max_distinct,
                values.keys(),
                values.values().flatten().copied(),
                |distinct, max, some| SchemaProblem::TooManyValues { key: key.clone(), distinct, max, some },
            );
            for (value, spans) in values {
                if allowed.as_ref().is_some_and(|allowed| !allowed.contains(&value)) {
                    found.push(SchemaProblem::ValueNotAllowed { key: key.clone(), value }, spans.into_iter());
                }
            }
        }
        Test::SpanNames { max_distinct } => {
            let mut services: BTreeMap<&str, BTreeMap<String, Vec<&Span>>> = BTreeMap::new();
            for span in spans() {
                services.entry(span.service()).or_default().entry(span.name.clone()).or_default().push(span);
            }
            for (service, names) in services {
                let spans = names.values().flatten().copied();
                found.max(names.len(), Some(*max_distinct), names.keys(), spans, |distinct, max, some| {
                    SchemaProblem::TooManySpanNames { service: service.to_owned(), distinct, max, some }
                });
            }
        }
    }
    found.findings
}

struct Found {
    line: usize,
    findings: Vec<SchemaFinding>,
}

impl Found {
    /// Adds a finding, unless no span has it.
    fn push<'s>(&mut self, problem: SchemaProblem, mut spans: impl Iterator<Item = &'s Span>) {
        if let Some(first) = spans.next() {
            self.findings.push(SchemaFinding {
                line: self.line,
                problem,
                spans: spans.count() + 1,
                example: Some((first.trace_id, first.span_id)),
                label: first.label(),
            });
        }
    }

    fn max<'s, 't>(
        &mut self,
        distinct: usize,
        max: Option<usize>,
        texts: impl Iterator<Item = &'t String>,
        spans: impl Iterator<Item = &'s Span>,
        problem: impl FnOnce(usize, usize, Vec<String>) -> SchemaProblem,
    ) {
        if let Some(max) = max.filter(|max| distinct > *max) {
            self.push(problem(distinct, max, texts.take(SHOWN).cloned().collect()), spans);
        }
    }
}

fn matching<'g>(graph: &'g TraceGraph, scope: &'g Scope) -> impl Iterator<Item = &'g Span> {
    graph.spans().filter(|span| scope.matches(span))
}

/// Returns the keys of a span, its resource, events and links.
fn keys(span: &Span) -> impl Iterator<Item = &str> {
    let events = span.events.iter().map(|event| &event.attributes);
    let links = span.links.iter().map(|link| &link.attributes);
    let all = [&span.attributes, &*span.resource].into_iter().chain(events).chain(links);
    all.flat_map(|attributes| attributes.iter().map(|(key, _)| key))
}

fn is_missing(attributes: &Attributes, key: &str) -> bool {
    match attributes.get(key) {
        None | Some(Value::Empty) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

/// A key without case and separators.
fn normal(key: &str) -> String {
    key.chars().filter(|letter| !matches!(letter, '.' | '_' | '-')).flat_map(char::to_lowercase).collect()
}
