use std::{fmt, io, ops::Range, path::Path};

use super::excerpt::Lines;
use crate::{EscapedText, escape::escaped_lines};

/// A policy file was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFileError {
    kind: PolicyFileErrorKind,
    message: String,
    place: Option<(usize, usize)>,
    excerpt: Option<String>,
    file: Option<String>,
}

/// The cause for which a policy file was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyFileErrorKind {
    /// The text is not TOML, or not a policy.
    Invalid,
    /// The text has no rule and no profile, and does not ask for an open policy by `open = true`.
    NoRules,
    /// The file, or the key that it refers to, can't be read at this moment. A reload tries again.
    Unreadable,
    /// The file keeps changing. A reload tries again.
    Unstable,
    /// The file, or a key's file, is the beginning of the one in force: it was probably cut while it was written.
    Truncated,
}

impl PolicyFileError {
    /// Returns the cause.
    #[must_use]
    pub fn kind(&self) -> PolicyFileErrorKind {
        self.kind
    }

    /// Returns line and column of the error, both from 1.
    #[must_use]
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place
    }

    /// Returns the message, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the line of the error with its number, and carets below the wrong word.
    #[must_use]
    pub fn excerpt(&self) -> Option<&str> {
        self.excerpt.as_deref()
    }

    pub(crate) fn new(kind: PolicyFileErrorKind, message: impl Into<String>) -> Self {
        let message = EscapedText::new(&message.into()).with_max_bytes(2048).to_string();
        Self { kind, message, place: None, excerpt: None, file: None }
    }

    pub(super) fn at(text: &str, span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        let error = Self::new(PolicyFileErrorKind::Invalid, message);
        let Some(span) = span else { return error };
        let lines = Lines::of(text);
        Self {
            place: Some(lines.place(span.start)),
            excerpt: Some(escaped_lines(&lines.excerpt(&span), 1024).into_owned()),
            ..error
        }
    }

    pub(super) fn of_kind(mut self, kind: PolicyFileErrorKind) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::new(PolicyFileErrorKind::Unreadable, error.to_string()).in_file(path)
    }

    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.file = Some(EscapedText::new(&path.display().to_string()).with_max_bytes(4096).to_string());
        self
    }
}

impl fmt::Display for PolicyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        if self.file.is_some() || self.place.is_some() {
            f.write_str(" ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for PolicyFileError {}
