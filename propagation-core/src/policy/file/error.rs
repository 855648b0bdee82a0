use std::{fmt, io, ops::Range, path::Path};

/// A policy file was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFileError {
    message: String,
    place: Option<(usize, usize)>,
    file: Option<String>,
}

impl PolicyFileError {
    /// Where it went wrong: line and column, both from 1.
    #[must_use]
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn at(text: &str, span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        Self { message: message.into(), place: span.map(|span| place(text, span.start)), file: None }
    }

    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self { message: error.to_string(), place: None, file: Some(path.display().to_string()) }
    }

    pub(super) fn in_file(mut self, path: &Path) -> Self {
        self.file = Some(path.display().to_string());
        self
    }
}

/// Line and column of a byte, from 1; columns count characters.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (before.bytes().filter(|&byte| byte == b'\n').count() + 1, column)
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
