use std::{borrow::Cow, fmt};

use super::{
    Exception, TextGuard,
    error_type::{error_type, is_opaque},
    external::{self, bounded_cow},
    gate,
};

/// The outcome of a hop.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// No error. The span's status stays unset, as the conventions require of instrumentation.
    #[default]
    Unset,
    /// An error.
    Error {
        /// `error.type`: a status code, an exception's type, `_OTHER`; of low cardinality.
        kind: Cow<'static, str>,
        /// The description of the span's status; may be empty. Left out if the policy's scrubbers reject it.
        description: Cow<'static, str>,
        /// The exception record.
        exception: Option<Box<Exception>>,
    },
    /// The hop was dropped before it ended: by a caller that hung up, a timeout or a `select!`. The span's status stays unset, and
    /// `error.type` is `cancelled`.
    Cancelled,
}

impl Outcome {
    /// Returns the outcome of a result. The [type of its error](error_type) becomes `error.type` and an exception record.
    ///
    /// The text of the error is not recorded: it may hold personal data. See [`Exception::of`] for a record with the text.
    #[must_use]
    pub fn of<T, E: 'static>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Unset,
            Err(error) => Self::raised(Exception::new(error_type(error))),
        }
    }

    /// Returns an error whose `error.type` is the type of an exception.
    #[must_use]
    pub fn raised(exception: Exception) -> Self {
        Self::Error {
            kind: exception.kind.clone(),
            description: Cow::Borrowed(""),
            exception: Some(Box::new(exception)),
        }
    }

    /// Returns an error with an `error.type`.
    #[must_use]
    pub fn error(kind: impl Into<Cow<'static, str>>) -> Self {
        Self::Error { kind: bounded_cow(kind.into()), description: Cow::Borrowed(""), exception: None }
    }

    /// Returns the `error.type` of the span and of metrics; `None` for [`Unset`](Self::Unset).
    #[must_use]
    pub fn error_type(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Unset => None,
            Self::Error { kind, .. } => Some(kind.clone()),
            Self::Cancelled => Some(Cow::Borrowed("cancelled")),
        }
    }

    /// Sets the description of the span's status.
    #[must_use]
    pub fn described(self, text: impl Into<Cow<'static, str>>) -> Self {
        match self {
            Self::Error { kind, exception, .. } => {
                Self::Error { kind, description: bounded_cow(text.into()), exception }
            }
            other => other,
        }
    }

    /// Adds an exception that was recorded inside the hop, and passes every owned text through the guard.
    pub(super) fn guarded(&self, recorded: Option<&Exception>, guard: &dyn TextGuard) -> Cow<'_, Self> {
        let Self::Error { kind, description, exception } = self else { return Cow::Borrowed(self) };
        // A box hides its error's type; the code that recorded the error knew it.
        let kind = recorded.map(|recorded| &recorded.kind).filter(|_| is_opaque(kind)).unwrap_or(kind);
        // An own exception without a message has only a type: the recorded one has more.
        let own = exception.as_deref();
        let exception = own.filter(|exception| exception.message.is_some()).or(recorded).or(own);
        if exception.is_none() && description.is_empty() && matches!(kind, Cow::Borrowed(_)) {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self::Error {
            kind: gate::error_type(guard, kind.clone()),
            description: gate::value(guard, "exception.message", description.clone()).unwrap_or_default(),
            exception: exception.map(|exception| Box::new(exception.clone().guarded(guard))),
        })
    }
}

/// Prints no texts: a caller may have chosen them.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("Unset"),
            Self::Error { kind, description, exception } => f
                .debug_struct("Error")
                .field("kind", &external::Masked(kind))
                .field("description", &external::Masked(description))
                .field("exception", exception)
                .finish(),
            Self::Cancelled => f.write_str("Cancelled"),
        }
    }
}
