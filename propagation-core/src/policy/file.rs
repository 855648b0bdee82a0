//! A policy as a TOML file, with the same words as the builder.

mod error;
mod reload;
mod schema;
mod shapes;

use std::path::Path;

pub use error::PolicyFileError;
pub use reload::Reload;

use super::{Policy, Warning};

impl Policy {
    /// Reads a policy file. `docs/policy.md` has every word of it.
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
    /// # Ok::<(), propagation_core::PolicyFileError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Refuses a text that is not TOML or has a word that policies don't, a peer, pattern, detector, profile or action that does not
    /// exist, an empty glob, and a pseudonym key that can't be read; says at which line and column.
    pub fn from_toml(text: &str) -> Result<Self, PolicyFileError> {
        schema::read(text)
    }

    /// Reads a policy file from disk.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml), and where the file can't be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyFileError> {
        let path = path.as_ref();
        Self::from_toml(&text_of(path)?).map_err(|error| error.in_file(path))
    }

    /// The same for a file that others may be writing at this moment: an empty one is refused. Believed, it would let outsiders in.
    fn from_file_with_words(path: &Path) -> Result<Self, PolicyFileError> {
        let text = text_of(path)?;
        if text.trim_ascii().is_empty() {
            return Err(PolicyFileError::at(&text, None, "the file is empty").in_file(path));
        }
        Self::from_toml(&text).map_err(|error| error.in_file(path))
    }

    /// [`lint`](Self::lint) for a policy file: with each warning come the line and the column, both from 1, of what is odd.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml).
    #[expect(clippy::type_complexity, reason = "a place and what is there")]
    pub fn lint_toml(text: &str) -> Result<Vec<((usize, usize), Warning)>, PolicyFileError> {
        let warnings = Self::from_toml(text)?.lint();
        Ok(warnings.into_iter().map(|warning| (schema::place_of(text, &warning), warning)).collect())
    }
}

fn text_of(path: &Path) -> Result<String, PolicyFileError> {
    std::fs::read_to_string(path).map_err(|error| PolicyFileError::unreadable(path, &error))
}
