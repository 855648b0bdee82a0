use std::{borrow::Cow, error::Error, fmt};

use super::{
    TextGuard,
    error_type::named,
    external::{Masked, bounded, bounded_cow},
    gate, stack,
};

/// What failed, as an exception record on a span says it: `exception.type`, `exception.message`, `exception.stacktrace`.
///
/// A type's name says nothing of a person. A message may: it is recorded only where code asks for it, and not if the policy's
/// scrubbers object to it.
///
/// ```
/// use propagation_core::{Exception, Outcome};
///
/// let answer = "4711x".parse::<u32>();
/// let type_alone = Outcome::of(&answer);
/// let with_message = answer.map_or_else(|error| Outcome::raised(Exception::of(&error)), |_| Outcome::Unset);
/// # assert_eq!(type_alone.error_type(), with_message.error_type());
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exception {
    /// `exception.type`: the name of the error's type.
    pub kind: Cow<'static, str>,
    /// `exception.message`, where it may be said.
    pub message: Option<Cow<'static, str>>,
    /// `exception.stacktrace`, where one was taken.
    pub stacktrace: Option<Cow<'static, str>>,
}

impl Exception {
    /// An exception of this type, and no more.
    #[must_use]
    pub fn new(kind: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: kind.into(), message: None, stacktrace: None }
    }

    /// An error with its message. The errors behind it are left out: whoever wants them puts them into the message.
    #[must_use]
    pub fn of<E: Error + ?Sized>(error: &E) -> Self {
        Self::new(named(error)).with_message(bounded(error))
    }

    /// The same with a message.
    #[must_use]
    pub fn with_message(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.message = Some(bounded_cow(text.into()));
        self
    }

    /// The same with a stack trace: a [`Backtrace`](std::backtrace::Backtrace) as text.
    #[must_use]
    pub fn with_stacktrace(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.stacktrace = Some(bounded_cow(text.into()));
        self
    }

    /// Keeps it for the hop that this code runs in: should the hop end as failed, its span gets this record.
    ///
    /// For code whose error does not reach the adapter, or not with its text: a handler that answers with a status, a consumer's
    /// handler. The first that is noted counts; where the hop succeeds after all, or there are no spans, it is forgotten. Noted in
    /// work that was [carried](crate::task) elsewhere, it is forgotten, too.
    ///
    /// ```
    /// use propagation_core::Exception;
    ///
    /// fn quantity(text: &str) -> Result<u32, std::num::ParseIntError> {
    ///     text.parse().inspect_err(|error| Exception::of(error).record_exception())
    /// }
    /// # assert!(quantity("x").is_err());
    /// ```
    pub fn record_exception(self) {
        stack::record_exception(self);
    }

    /// Passes every owned text through the guard.
    pub(crate) fn guarded(self, guard: &dyn TextGuard) -> Self {
        Self {
            kind: gate::error_type(guard, self.kind),
            message: self.message.and_then(|text| gate::value(guard, "exception.message", text)),
            stacktrace: self.stacktrace.and_then(|text| gate::stacktrace(guard, &text)),
        }
    }
}

/// Prints the type alone: a message may hold personal data.
impl fmt::Debug for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exception")
            .field("kind", &Masked(&self.kind))
            .field("message", &self.message.as_deref().map(Masked::always))
            .field("stacktrace", &self.stacktrace.as_deref().map(Masked::always))
            .finish()
    }
}
