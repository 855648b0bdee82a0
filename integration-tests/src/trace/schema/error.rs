//! Errors of schema files.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// A schema was rejected.
#[derive(Debug)]
#[non_exhaustive]
pub enum SchemaError {
    /// The file could not be read.
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The text is not a schema.
    Invalid {
        /// The path of the file; `None` for a text.
        path: Option<PathBuf>,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// The cause.
        message: String,
    },
}

impl SchemaError {
    /// Creates an error at a byte of the text.
    pub(super) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = place(text, offset);
        Self::Invalid { path: None, line, column, message: message.into() }
    }

    pub(super) fn in_file(self, file: &Path) -> Self {
        match self {
            Self::Invalid { line, column, message, .. } => {
                Self::Invalid { path: Some(file.to_owned()), line, column, message }
            }
            unreadable @ Self::Unreadable { .. } => unreadable,
        }
    }
}

/// Returns line and column of a byte, from 1.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => write!(f, "cannot read the schema {}: {source}", path.display()),
            Self::Invalid { path: Some(path), line, column, message } => {
                write!(f, "{}:{line}:{column}: {message}", path.display())
            }
            Self::Invalid { path: None, line, column, message } => write!(f, "{line}:{column}: {message}"),
        }
    }
}

impl std::error::Error for SchemaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Invalid { .. } => None,
        }
    }
}
