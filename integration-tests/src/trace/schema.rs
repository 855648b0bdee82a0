//! Rules of your own for attributes: required keys, forbidden synonyms, bounded values.
//!
//! A schema is a TOML file, used in tests and by `propagation continuity --schema FILE`:
//!
//! ```
//! use propagation_testkit::trace::schema::Schema;
//!
//! let schema = Schema::from_toml(
//!     r#"
//!     consistent_spelling = true
//!
//!     [[required]]
//!     services = ["orders", "billing-*"]
//!     kinds = ["server", "consumer"]
//!     attributes = ["tenant.id"]
//!     resource = ["service.version"]
//!
//!     [[synonyms]]
//!     key = "user.id"
//!     forbidden = ["userId", "user_id", "usr*"]
//!
//!     [[values]]
//!     key = "tenant.plan"
//!     allowed = ["free", "pro"]
//!
//!     [[values]]
//!     key = "http.route"
//!     max_distinct = 100
//!
//!     [[span_names]]
//!     max_distinct = 50
//!     "#,
//! )?;
//! # fn test(graph: &propagation_testkit::trace::TraceGraph, schema: &Schema) {
//! graph.assert_schema(schema);
//! # }
//! # let _ = schema;
//! # Ok::<(), propagation_testkit::trace::schema::SchemaError>(())
//! ```
//!
//! | Rule | Words | Holds when |
//! |---|---|---|
//! | `[[required]]` | `attributes`, `resource` | each span has these attributes, and its resource those; an empty text counts as missing |
//! | `[[synonyms]]` | `key`, `forbidden` | no span, event, link or resource has a forbidden key |
//! | `[[values]]` | `key`, `allowed`, `max_distinct` | each value of the key, on spans and resources, is one of these; there are at most so many of them in all spans |
//! | `[[span_names]]` | `max_distinct` | each service has at most so many span names |
//! | `consistent_spelling` | `true` | no two keys are equal without case, `.`, `_` and `-`, such as `userId` and `user_id` |
//!
//! Each rule but the last can be limited to `services` and span `names`, in both of which `*` matches any text, and to `kinds`. A rule
//! that matches no span holds: see [`Schema::unmatched`].

mod check;
mod error;
mod file;

use std::path::Path;

pub use check::{SchemaFinding, SchemaProblem};
pub use error::SchemaError;

use super::{Span, SpanKind, TraceGraph};
use crate::text::glob;

/// The maximum size of a schema file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Compiled rules for attributes. The [module](self) documents the file.
#[derive(Debug, Clone)]
pub struct Schema {
    source: String,
    rules: Vec<Rule>,
}

/// A rule, and the line on which it begins.
#[derive(Debug, Clone)]
struct Rule {
    line: usize,
    scope: Scope,
    test: Test,
}

/// The spans that a rule is about. An empty list matches every span.
#[derive(Debug, Clone, Default)]
struct Scope {
    services: Vec<String>,
    names: Vec<String>,
    kinds: Vec<SpanKind>,
}

#[derive(Debug, Clone)]
enum Test {
    Required { attributes: Vec<String>, resource: Vec<String> },
    Synonyms { key: String, forbidden: Vec<String> },
    Values { key: String, allowed: Option<Vec<String>>, max_distinct: Option<usize> },
    SpanNames { max_distinct: usize },
    ConsistentSpelling,
}

impl Scope {
    fn matches(&self, span: &Span) -> bool {
        let any = |patterns: &[String], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| glob::matches(pattern, text))
        };
        any(&self.services, span.service())
            && any(&self.names, &span.name)
            && (self.kinds.is_empty() || self.kinds.contains(&span.kind))
    }
}

impl Schema {
    /// Parses the text of a schema.
    ///
    /// # Errors
    /// [`SchemaError::Invalid`] with line and column: not TOML, an unknown word, no rule, or a rule that can never fail or never hold.
    pub fn from_toml(text: &str) -> Result<Self, SchemaError> {
        Ok(Self { source: "schema".to_owned(), rules: file::parse(text)? })
    }

    /// Reads a schema file of at most 1 MiB.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml), with the path, and [`SchemaError::Unreadable`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SchemaError> {
        let path = path.as_ref();
        let rules = file::parse(&file::read(path)?).map_err(|error| error.in_file(path))?;
        Ok(Self { source: path.display().to_string(), rules })
    }

    /// Returns the path of the file, or `schema`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns each deviation from a rule, in the order of the rules. All spans with the same deviation are one finding.
    #[must_use]
    pub fn findings(&self, graph: &TraceGraph) -> Vec<SchemaFinding> {
        self.rules.iter().flat_map(|rule| check::findings(rule, graph)).collect()
    }

    /// Returns the lines of the rules that match no span, for example because of a misspelt service.
    #[must_use]
    pub fn unmatched(&self, graph: &TraceGraph) -> Vec<usize> {
        let matched = |rule: &&Rule| graph.spans().any(|span| rule.scope.matches(span));
        self.rules.iter().filter(|rule| !matched(rule)).map(|rule| rule.line).collect()
    }
}

#[cfg(test)]
mod tests;
