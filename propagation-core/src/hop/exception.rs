use std::{borrow::Cow, error::Error, fmt};

use super::{
    TextGuard,
    error_type::named,
    external::{Masked, bounded, bounded_cow},
    gate, stack,
};

/// An exception record of a span: `exception.type`, `exception.message`, `exception.stacktrace`.
///
/// A message may hold personal data, the name of a type does not. So a message is recorded only on request, and only if the policy's
/// scrubbers let it pass.
///
/// ```
/// use propagation_core::{Exception, Outcome};
///
/// let result = "4711x".parse::<u32>();
/// let type_alone = Outcome::of(&result);
/// let with_message = result.map_or_else(|error| Outcome::raised(Exception::of(&error)), |_| Outcome::Unset);
/// # assert_eq!(type_alone.error_type(), with_message.error_type());
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exception {
    /// `exception.type`: the name of the error's type.
    pub kind: Cow<'static, str>,
    /// `exception.message`.
    pub message: Option<Cow<'static, str>>,
    /// `exception.stacktrace`.
    pub stacktrace: Option<Cow<'static, str>>,
}

impl Exception {
    /// Returns an exception with a type alone.
    #[must_use]
    pub fn new(kind: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: kind.into(), message: None, stacktrace: None }
    }

    /// Returns an error's type and message. The messages of its sources are left out.
    #[must_use]
    pub fn of<E: Error + ?Sized>(error: &E) -> Self {
        Self::new(named(error)).with_message(bounded(error))
    }

    /// Sets the message.
    #[must_use]
    pub fn with_message(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.message = Some(bounded_cow(text.into()));
        self
    }

    /// Sets the stack trace: a [`Backtrace`](std::backtrace::Backtrace) as text.
    #[must_use]
    pub fn with_stacktrace(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.stacktrace = Some(bounded_cow(text.into()));
        self
    }

    /// Adds a stack trace of the calling code, whatever `RUST_BACKTRACE` is. Expensive: captures it here.
    #[must_use]
    pub fn with_backtrace(self) -> Self {
        self.with_stacktrace(std::backtrace::Backtrace::force_capture().to_string())
    }

    /// Keeps the exception for the innermost hop: if the hop ends as failed, its span gets this record.
    ///
    /// For code whose error does not reach the adapter, or only without its text: a handler that responds with a status, a consumer's
    /// handler. The first recorded exception of a hop counts. It is dropped if the hop succeeds, if the hop has no span, and in work that
    /// was [carried](crate::task) elsewhere.
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
