//! Policies as TOML files, with the words of the builder.

mod error;
mod excerpt;
mod places;
mod read;
mod schema;
mod shapes;
mod source;

use std::{fmt, path::Path};

pub use error::{PolicyFileError, PolicyFileErrorKind};
#[cfg(feature = "reload")]
pub(crate) use schema::key_files;
pub(crate) use source::{MAX_KEY_BYTES, MAX_POLICY_BYTES, read as read_file};
#[cfg(feature = "reload")]
pub(crate) use source::{Source, Version};

use super::{Policy, PolicyWarning};

/// Returns the bytes of a pseudonym key's file.
pub(crate) type ReadKey<'a> = dyn Fn(&Path) -> Result<Vec<u8>, String> + 'a;

/// A [warning](PolicyWarning) with its place in a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyFileWarning {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line with its number, and carets below the peer, key or rule that the warning is about.
    pub excerpt: String,
    /// The warning.
    pub warning: PolicyWarning,
}

impl fmt::Display for PolicyFileWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.warning)
    }
}

impl Policy {
    /// Parses the text of a policy file. `docs/policy.md` has every word of it.
    ///
    /// A text without a rule and without a profile would trust every caller. It is rejected, since a file that is cut, or not yet written,
    /// is such a text. `open = true` asks for it.
    ///
    /// ```
    /// use propagation_core::Policy;
    ///
    /// let policy = Policy::from_toml(
    ///     r#"
    ///     profile = "edge"
    ///
    ///     [scrub]
    ///     action = "redact"
    ///
    ///     [[outbound]]
    ///     peers = ["http:*.internal", "kafka:orders"]
    ///     baggage = ["tenant.id", { key = "plan", values = ["free", "pro"] }]
    ///     "#,
    /// )?;
    /// # let _ = policy;
    /// # Ok::<(), propagation_core::policy::PolicyFileError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error with line and column if the text is not TOML, has no rule, or contains an unknown word, a peer, pattern, detector,
    /// profile or action that does not exist, an empty glob, or a pseudonym key that can't be read.
    pub fn from_toml(text: &str) -> Result<Self, PolicyFileError> {
        Self::from_text(text, &read_key).map(|(policy, _)| policy)
    }

    /// Reads a policy file of at most 4 MiB from disk. Replace such a file by `rename`: a file that is written in place can be read half.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml), and if the file can't be read, is larger, is not UTF-8, or is not a regular file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyFileError> {
        let path = path.as_ref();
        let source = read_file(path, MAX_POLICY_BYTES).map_err(|error| PolicyFileError::unreadable(path, &error))?;
        Self::from_bytes(&source.bytes, &read_key).map_err(|error| error.in_file(path))
    }

    /// [Lints](Self::lint) the text of a policy file. Each warning comes with its place.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml).
    pub fn lint_toml(text: &str) -> Result<Vec<PolicyFileWarning>, PolicyFileError> {
        let text = without_mark(text);
        let (policy, places) = Self::from_text(text, &read_key)?;
        let lines = excerpt::Lines::of(text);
        let with_place = |warning: PolicyWarning| {
            let span = places.of(warning.direction, &warning.location);
            let (line, column) = lines.place(span.start);
            PolicyFileWarning { line, column, excerpt: lines.excerpt(&span), warning }
        };
        Ok(policy.lint().into_iter().map(with_place).collect())
    }

    /// Like [`lint_toml`](Self::lint_toml), for a file on disk.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Self::from_file).
    pub fn lint_file(path: impl AsRef<Path>) -> Result<Vec<PolicyFileWarning>, PolicyFileError> {
        let path = path.as_ref();
        let source = read_file(path, MAX_POLICY_BYTES).map_err(|error| PolicyFileError::unreadable(path, &error))?;
        text_of(&source.bytes).and_then(Self::lint_toml).map_err(|error| error.in_file(path))
    }

    /// Parses the bytes of a policy file, with the keys that `read_key` returns.
    pub(crate) fn from_bytes(bytes: &[u8], read_key: &ReadKey<'_>) -> Result<Self, PolicyFileError> {
        let text = text_of(bytes)?;
        Self::from_text(text, read_key).map(|(policy, _)| policy)
    }

    fn from_text(text: &str, read_key: &ReadKey<'_>) -> Result<(Self, places::Places), PolicyFileError> {
        read::read(without_mark(text), read_key)
    }
}

/// Returns the text of a policy file.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, PolicyFileError> {
    std::str::from_utf8(bytes).map(without_mark).map_err(|error| {
        let found =
            if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) { ", but UTF-16" } else { "" };
        let message = format!("not UTF-8{found}, from byte {}; save the file as UTF-8", error.valid_up_to());
        PolicyFileError::new(PolicyFileErrorKind::Invalid, message)
    })
}

/// Returns a text without the byte-order mark that some editors write in front of it.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn read_key(path: &Path) -> Result<Vec<u8>, String> {
    read_file(path, MAX_KEY_BYTES).map(|source| source.bytes).map_err(|error| error.to_string())
}
