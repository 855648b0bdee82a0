//! A context as one string: outbox tables, job queues, anything that resumes later.

use std::{fmt, str::FromStr};

use crate::{Extract, FieldName, Inject, InjectionReport, OutgoingFields, RejectReason, Value};

/// A carrier that is a small piece of text: a line `name:value` for each field.
///
/// Store [`to_string`](ToString::to_string) next to an outbox row or a job and [`parse`](str::parse) it when the work is resumed. It
/// goes through the policy like any other carrier. With the feature `serde` it is also a field of a job: a map of names and values.
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
/// # Ok::<(), propagation_core::StoredContextError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoredContext {
    pub(super) fields: Vec<(String, String)>,
}

/// Prints the names alone: a value may be personal.
impl fmt::Debug for StoredContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredContext")?;
        f.debug_list().entries(self.fields.iter().map(|(name, _)| name)).finish()
    }
}

/// Fields never hold a byte below space but the tab, so one of those can part them.
const SEPARATOR: char = '\n';

impl StoredContext {
    /// The most bytes of a stored string that are read.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Nothing stored.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Display for StoredContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.fields.iter().enumerate() {
            if at > 0 {
                write!(f, "{SEPARATOR}")?;
            }
            write!(f, "{name}:{value}")?;
        }
        Ok(())
    }
}

impl FromStr for StoredContext {
    type Err = StoredContextError;

    /// # Errors
    ///
    /// Refuses a string longer than [`StoredContext::MAX_BYTES`] or a part without a name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_BYTES {
            return Err(StoredContextError(RejectReason::TooLong));
        }
        // Whatever kept the text may have made other line ends of ours.
        let parts = text.lines().filter(|part| !part.is_empty());
        let fields = parts.map(|part| {
            let (name, value) = part.split_once(':').filter(|(name, _)| !name.is_empty())?;
            Some((name.to_owned(), value.to_owned()))
        });
        Ok(Self { fields: fields.collect::<Option<_>>().ok_or(StoredContextError(RejectReason::Malformed))? })
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
    fn commit(&mut self, fields: &OutgoingFields) -> InjectionReport {
        self.fields.retain(|(name, _)| !fields.contains(name));
        self.fields.extend(fields.iter().map(|field| (field.name().as_str().to_owned(), field.value_str().to_owned())));
        InjectionReport::all(fields)
    }
}

/// A stored context could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredContextError(RejectReason);

impl fmt::Display for StoredContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored context refused: {}", self.0)
    }
}

impl std::error::Error for StoredContextError {}
