//! The TOML of a schema.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::error::{SchemaError, place};
use super::{MAX_BYTES, Rule, Scope, Test};
use crate::text::glob;
use crate::trace::SpanKind;
use crate::trace::span::shown;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    consistent_spelling: Option<Spanned<bool>>,
    #[serde(default)]
    required: Vec<Spanned<Required>>,
    #[serde(default)]
    synonyms: Vec<Spanned<Synonyms>>,
    #[serde(default)]
    values: Vec<Spanned<Values>>,
    #[serde(default)]
    span_names: Vec<Spanned<SpanNames>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Required {
    services: Option<Spanned<Vec<String>>>,
    names: Option<Spanned<Vec<String>>>,
    kinds: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    attributes: Vec<Spanned<String>>,
    #[serde(default)]
    resource: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Synonyms {
    services: Option<Spanned<Vec<String>>>,
    names: Option<Spanned<Vec<String>>>,
    kinds: Option<Spanned<Vec<Spanned<String>>>>,
    key: Spanned<String>,
    forbidden: Spanned<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Values {
    services: Option<Spanned<Vec<String>>>,
    names: Option<Spanned<Vec<String>>>,
    kinds: Option<Spanned<Vec<Spanned<String>>>>,
    key: Spanned<String>,
    allowed: Option<Spanned<Vec<toml::Value>>>,
    max_distinct: Option<Spanned<usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpanNames {
    services: Option<Spanned<Vec<String>>>,
    names: Option<Spanned<Vec<String>>>,
    kinds: Option<Spanned<Vec<Spanned<String>>>>,
    max_distinct: Spanned<usize>,
}

/// Reads a file as text.
pub(super) fn read(path: &Path) -> Result<String, SchemaError> {
    let unreadable = |source| SchemaError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 MiB")));
    }
    Ok(text)
}

/// Parses and validates a text.
pub(super) fn parse(text: &str) -> Result<Vec<Rule>, SchemaError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tables: Tables = toml::from_str(text).map_err(|error| {
        let message: Vec<&str> = error.message().lines().map(str::trim).collect();
        SchemaError::at(text, error.span().map_or(0, |span| span.start), message.join(", "))
    })?;
    let parser = Parser { text };
    let mut rules = Vec::new();
    if let Some(flag) = tables.consistent_spelling.filter(|flag| *flag.get_ref()) {
        rules.push(parser.rule(flag.span().start, Scope::default(), Test::ConsistentSpelling));
    }
    for table in tables.required {
        let start = table.span().start;
        let table = table.into_inner();
        if table.attributes.is_empty() && table.resource.is_empty() {
            return Err(parser.error(start, "a [[required]] rule needs `attributes` or `resource`"));
        }
        let scope = parser.scope(table.services, table.names, table.kinds)?;
        let (attributes, resource) = (parser.keys(table.attributes)?, parser.keys(table.resource)?);
        rules.push(parser.rule(start, scope, Test::Required { attributes, resource }));
    }
    for table in tables.synonyms {
        let start = table.span().start;
        let table = table.into_inner();
        let scope = parser.scope(table.services, table.names, table.kinds)?;
        let at = table.forbidden.span().start;
        let key = parser.key(table.key)?;
        for forbidden in table.forbidden.get_ref() {
            if glob::matches(forbidden.get_ref(), &key) {
                let message = format!("`{}` also forbids the key `{}` itself", shown(forbidden.get_ref()), shown(&key));
                return Err(parser.error(forbidden.span().start, message));
            }
        }
        let forbidden = parser.keys(table.forbidden.into_inner())?;
        if forbidden.is_empty() {
            return Err(parser.error(at, "`forbidden` is empty: list the keys that must not be used"));
        }
        rules.push(parser.rule(start, scope, Test::Synonyms { key, forbidden }));
    }
    for table in tables.values {
        let start = table.span().start;
        let table = table.into_inner();
        let scope = parser.scope(table.services, table.names, table.kinds)?;
        let key = parser.key(table.key)?;
        let allowed = table.allowed.map(|allowed| parser.allowed(allowed)).transpose()?;
        let max_distinct = table.max_distinct.map(|count| parser.count(&count)).transpose()?;
        if allowed.is_none() && max_distinct.is_none() {
            return Err(parser.error(start, "a [[values]] rule needs `allowed` or `max_distinct`"));
        }
        rules.push(parser.rule(start, scope, Test::Values { key, allowed, max_distinct }));
    }
    for table in tables.span_names {
        let start = table.span().start;
        let table = table.into_inner();
        let scope = parser.scope(table.services, table.names, table.kinds)?;
        let max_distinct = parser.count(&table.max_distinct)?;
        rules.push(parser.rule(start, scope, Test::SpanNames { max_distinct }));
    }
    if rules.is_empty() {
        return Err(
            parser.error(0, "the schema has no rule: add [[required]], [[synonyms]], [[values]] or [[span_names]]")
        );
    }
    reject_contradictions(&rules)?;
    rules.sort_by_key(|rule| rule.line);
    Ok(rules)
}

struct Parser<'t> {
    text: &'t str,
}

impl Parser<'_> {
    fn error(&self, offset: usize, message: impl Into<String>) -> SchemaError {
        SchemaError::at(self.text, offset, message)
    }

    fn rule(&self, offset: usize, scope: Scope, test: Test) -> Rule {
        Rule { line: place(self.text, offset).0, scope, test }
    }

    fn scope(
        &self,
        services: Option<Spanned<Vec<String>>>,
        names: Option<Spanned<Vec<String>>>,
        kinds: Option<Spanned<Vec<Spanned<String>>>>,
    ) -> Result<Scope, SchemaError> {
        let patterns = |list: Option<Spanned<Vec<String>>>| match list {
            Some(list) if list.get_ref().is_empty() => {
                Err(self.error(list.span().start, "the list is empty: leave it out to match every span"))
            }
            list => Ok(list.map(Spanned::into_inner).unwrap_or_default()),
        };
        let mut scope = Scope { services: patterns(services)?, names: patterns(names)?, kinds: Vec::new() };
        for kind in kinds.map(Spanned::into_inner).into_iter().flatten() {
            scope.kinds.push(match kind.get_ref().as_str() {
                "internal" => SpanKind::Internal,
                "server" => SpanKind::Server,
                "client" => SpanKind::Client,
                "producer" => SpanKind::Producer,
                "consumer" => SpanKind::Consumer,
                other => {
                    let message = format!(
                        "unknown span kind `{}`, expected `internal`, `server`, `client`, `producer` or `consumer`",
                        shown(other)
                    );
                    return Err(self.error(kind.span().start, message));
                }
            });
        }
        Ok(scope)
    }

    fn key(&self, key: Spanned<String>) -> Result<String, SchemaError> {
        if key.get_ref().trim().is_empty() {
            return Err(self.error(key.span().start, "the key is empty"));
        }
        Ok(key.into_inner())
    }

    fn keys(&self, keys: Vec<Spanned<String>>) -> Result<Vec<String>, SchemaError> {
        keys.into_iter().map(|key| self.key(key)).collect()
    }

    /// Allowed values as text. Arrays and tables are not values of low cardinality.
    fn allowed(&self, allowed: Spanned<Vec<toml::Value>>) -> Result<Vec<String>, SchemaError> {
        let start = allowed.span().start;
        if allowed.get_ref().is_empty() {
            return Err(self.error(start, "`allowed` is empty: list the values"));
        }
        let text = |value: toml::Value| match value {
            toml::Value::String(text) => Ok(text),
            toml::Value::Integer(number) => Ok(number.to_string()),
            toml::Value::Float(number) => Ok(number.to_string()),
            toml::Value::Boolean(truth) => Ok(truth.to_string()),
            _ => Err(self.error(start, "`allowed` may contain texts, numbers, `true` and `false`")),
        };
        allowed.into_inner().into_iter().map(text).collect()
    }

    fn count(&self, count: &Spanned<usize>) -> Result<usize, SchemaError> {
        match *count.get_ref() {
            0 => Err(self.error(count.span().start, "`max_distinct` must be at least 1")),
            count => Ok(count),
        }
    }
}

/// Rejects a key that one rule requires or bounds and another one forbids for every span.
fn reject_contradictions(rules: &[Rule]) -> Result<(), SchemaError> {
    for rule in rules {
        let keys: Vec<&String> = match &rule.test {
            Test::Required { attributes, resource } => attributes.iter().chain(resource).collect(),
            Test::Values { key, .. } | Test::Synonyms { key, .. } => vec![key],
            Test::SpanNames { .. } | Test::ConsistentSpelling => Vec::new(),
        };
        for other in rules {
            let Test::Synonyms { forbidden, key: instead } = &other.test else { continue };
            let everywhere =
                other.scope.services.is_empty() && other.scope.names.is_empty() && other.scope.kinds.is_empty();
            let found = keys.iter().find(|key| forbidden.iter().any(|pattern| glob::matches(pattern, key)));
            if let Some(key) = found.filter(|_| everywhere) {
                return Err(SchemaError::Invalid {
                    path: None,
                    line: rule.line,
                    column: 1,
                    message: format!("line {} forbids the key `{}`: use `{}`", other.line, shown(key), shown(instead)),
                });
            }
        }
    }
    Ok(())
}
