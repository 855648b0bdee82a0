//! A context as one string: for outbox tables, job queues, and other work that resumes later.

use std::{fmt, str::FromStr};

use crate::{Extract, FieldName, Inject, InjectionReport, OutgoingFields, TraceContext, Value};

/// A carrier in the form of text: one line `name:value` for each field.
///
/// Store the result of [`to_string`](ToString::to_string) with an outbox row or a job, and [`parse`](str::parse) it when the work
/// resumes. The policy applies as to any other carrier. With the feature `serde` it is also a field of a job: a map of names and values.
///
/// ```
/// use propagation_core::{Peer, Propagator, StoredContext};
///
/// let propagator = Propagator::default();
/// let mut stored = StoredContext::new();
/// propagator.inject(&Peer::process("outbox"), &propagator.current(), &mut stored);
/// let column: String = stored.to_string();
///
/// let resumed: StoredContext = column.parse()?;
/// let admission = propagator.extract(&Peer::process("outbox"), &resumed);
/// # Ok::<(), propagation_core::carrier::StoredContextError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoredContext {
    pub(super) fields: Vec<(String, String)>,
}

/// Prints no values: they may be personal.
impl fmt::Debug for StoredContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredContext")?;
        f.debug_list().entries(self.fields.iter().map(|(name, _)| name)).finish()
    }
}

impl StoredContext {
    /// The maximum length of a stored context, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Creates an empty context.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Display for StoredContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.fields.iter().enumerate() {
            if at > 0 {
                // No field contains a line break.
                f.write_str("\n")?;
            }
            write!(f, "{name}:{value}")?;
        }
        Ok(())
    }
}

impl FromStr for StoredContext {
    type Err = StoredContextError;

    /// Parses the lines of a stored context. Accepts `\n` and `\r\n`, and skips empty lines.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is longer than [`StoredContext::MAX_BYTES`], or a line has no name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_BYTES {
            return Err(StoredContextError::TooLong { bytes: text.len() });
        }
        let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
        let fields = lines.map(|(at, line)| match line.split_once(':') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(StoredContextError::MissingName { line: at + 1 }),
        });
        Ok(Self { fields: fields.collect::<Result<_, _>>()? })
    }
}

impl Extract for StoredContext {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        for (_, value) in self.fields.iter().filter(|(found, _)| found == name.as_str()) {
            each(Value::Borrowed(value.as_bytes()));
        }
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (name, value) in &self.fields {
            each(name, Value::Borrowed(value.as_bytes()));
        }
    }
}

impl Inject for StoredContext {
    fn commit(&mut self, fields: &OutgoingFields<'_>, _: &TraceContext) -> InjectionReport {
        self.fields.retain(|(name, _)| !fields.contains(name));
        self.fields.extend(fields.iter().map(|field| (field.name().as_str().to_owned(), field.value_str().to_owned())));
        InjectionReport::all_written(fields)
    }
}

/// The error of a text that is not a [`StoredContext`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredContextError {
    /// The text is longer than [`StoredContext::MAX_BYTES`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A line is not of the form `name:value`.
    MissingName {
        /// The number of the line, from 1.
        line: usize,
    },
}

impl fmt::Display for StoredContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => {
                write!(f, "stored context too long: {bytes} bytes; the maximum is {}", StoredContext::MAX_BYTES)
            }
            Self::MissingName { line } => {
                write!(f, "stored context malformed: line {line} is not of the form `name:value`")
            }
        }
    }
}

impl std::error::Error for StoredContextError {}
