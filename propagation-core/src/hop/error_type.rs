//! `error.type` of Rust errors: a name of low cardinality that no caller chooses.

use std::{
    any::{Any, type_name},
    borrow::Cow,
    char, env,
    error::Error,
    fmt::{self, Write},
    io, net, num, str, string,
    sync::{Arc, mpsc},
    time,
};

/// The most errors of a chain that are examined.
const MAX_DEPTH: usize = 16;

/// The value of `error.type` for an error whose type is unknown.
const OTHER: &str = "_OTHER";

/// Returns the `error.type` of an error: the name of its type.
///
/// For an `io::Error` it is the kind (`std::io::ErrorKind::TimedOut`). For a boxed error, whose type is lost, it is the first well-known
/// type in the chain of sources, else `_OTHER`. A hop that ends with `_OTHER` takes the type of the exception that
/// [`Exception::record_exception`](crate::Exception::record_exception) has kept for it.
///
/// ```
/// use std::{error::Error, io};
///
/// let boxed: Box<dyn Error + Send + Sync> = Box::new(io::Error::from(io::ErrorKind::TimedOut));
/// assert_eq!(propagation_core::hop::error_type(&boxed), "std::io::ErrorKind::TimedOut");
/// ```
#[must_use]
pub fn error_type<E: 'static>(error: &E) -> Cow<'static, str> {
    if let Some(error) = (error as &dyn Any).downcast_ref::<io::Error>() {
        return of_io(error, 0);
    }
    match unboxed(error) {
        Some(error) => dyn_error_type(error),
        None => Cow::Borrowed(type_name::<E>()),
    }
}

/// Returns the `error.type` of an error whose type is lost: the first well-known type in its chain of sources, else `_OTHER`. See
/// [`error_type`].
#[must_use]
pub fn dyn_error_type(error: &(dyn Error + 'static)) -> Cow<'static, str> {
    known_in(error, 0).unwrap_or(Cow::Borrowed(OTHER))
}

/// Like [`error_type`], for a type that may borrow or be unsized.
pub(crate) fn named<E: Error + ?Sized>(error: &E) -> Cow<'static, str> {
    let name = type_name::<E>();
    if !is_opaque(name) {
        return Cow::Borrowed(name);
    }
    error.source().and_then(|source| known_in(source, 0)).unwrap_or(Cow::Borrowed(OTHER))
}

/// Returns `true` if an `error.type` does not distinguish errors.
pub(crate) fn is_opaque(name: &str) -> bool {
    let boxed = |path: &str| name.strip_prefix(path).is_some_and(|inner| inner.starts_with("<dyn "));
    name == OTHER
        || name.starts_with("dyn ")
        || boxed("alloc::boxed::Box")
        || boxed("alloc::sync::Arc")
        || matches!(name, "anyhow::Error" | "eyre::Report" | "axum_core::error::Error")
}

/// Returns the error in a box of a usual kind.
fn unboxed<E: 'static>(error: &E) -> Option<&(dyn Error + 'static)> {
    let any = error as &dyn Any;
    if let Some(error) = any.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(&**error);
    }
    if let Some(error) = any.downcast_ref::<Box<dyn Error + Send>>() {
        return Some(&**error);
    }
    if let Some(error) = any.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**error);
    }
    any.downcast_ref::<Box<dyn Error>>().map(|error| &**error)
}

/// Returns the first well-known type of a chain, from outside inwards.
fn known_in(error: &(dyn Error + 'static), depth: usize) -> Option<Cow<'static, str>> {
    let mut next = Some(error);
    for depth in depth..MAX_DEPTH {
        let error = next?;
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(of_io(error, depth));
        }
        if let Some(name) = known(error) {
            return Some(Cow::Borrowed(name));
        }
        next = error.source();
    }
    None
}

/// Returns the kind of an I/O error, or the type of the error that it wraps.
fn of_io(error: &io::Error, depth: usize) -> Cow<'static, str> {
    if error.kind() != io::ErrorKind::Other {
        return Cow::Owned(format!("std::io::ErrorKind::{:?}", error.kind()));
    }
    let inner = error.get_ref().and_then(|inner| known_in(inner, depth + 1));
    inner.unwrap_or(Cow::Borrowed(type_name::<io::Error>()))
}

fn known(error: &(dyn Error + 'static)) -> Option<&'static str> {
    macro_rules! first_of {
        ($($known:ty),* $(,)?) => {
            $(if error.is::<$known>() { return Some(type_name::<$known>()); })*
        };
    }
    first_of!(
        char::CharTryFromError,
        char::ParseCharError,
        env::VarError,
        fmt::Error,
        mpsc::RecvError,
        mpsc::RecvTimeoutError,
        mpsc::TryRecvError,
        net::AddrParseError,
        num::ParseFloatError,
        num::ParseIntError,
        num::TryFromIntError,
        std::array::TryFromSliceError,
        str::ParseBoolError,
        str::Utf8Error,
        string::FromUtf16Error,
        string::FromUtf8Error,
        time::SystemTimeError,
    );
    #[cfg(feature = "tokio")]
    if let Some(error) = error.downcast_ref::<tokio::task::JoinError>() {
        return Some(if error.is_panic() { "panic" } else { "cancelled" });
    }
    // Types of crates that this one does not depend on, recognized by their constant text.
    let texts = [
        ("deadline has elapsed", "tokio::time::error::Elapsed"),
        ("request timed out", "tower::timeout::error::Elapsed"),
        ("service overloaded", "tower::load_shed::error::Overloaded"),
        ("Timeout expired", "tonic::TimeoutExpired"),
    ];
    texts.iter().find(|(text, _)| reads(error, text)).map(|(_, name)| *name)
}

/// Returns `true` if an error's text is this one. Formats no more of it than needed.
fn reads(error: &dyn Error, text: &str) -> bool {
    struct Rest<'a>(&'a str);

    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    let mut rest = Rest(text);
    write!(rest, "{error}").is_ok() && rest.0.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error of a type that core cannot know.
    #[derive(Debug)]
    struct Wrapped(Option<Box<dyn Error + Send + Sync>>);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }

    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.0.as_deref().map(|source| source as &(dyn Error + 'static))
        }
    }

    type Boxed = Box<dyn Error + Send + Sync>;

    #[test]
    fn error_type_looks_into_boxes_and_sources() {
        let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
        let number = || "x".parse::<u8>().unwrap_err();
        for (error, expected) in [
            (Box::new(timed_out()) as Boxed, "std::io::ErrorKind::TimedOut"),
            (Box::new(Wrapped(Some(Box::new(timed_out())))), "std::io::ErrorKind::TimedOut"),
            (Box::new(io::Error::other(number())), "core::num::error::ParseIntError"),
            (Box::new(io::Error::other(Wrapped(Some(Box::new(number()))))), "core::num::error::ParseIntError"),
            (Box::new(io::Error::other("text")), "std::io::error::Error"),
            (Box::new(Wrapped(None)), "_OTHER"),
            ("anna@example.com".into(), "_OTHER"),
        ] {
            assert_eq!(error_type(&error), expected, "{error:?}");
        }
        assert_eq!(error_type(&timed_out()), "std::io::ErrorKind::TimedOut");
        assert!(error_type(&Wrapped(None)).ends_with("::Wrapped"));
        let local: Box<dyn Error> = Box::new(number());
        assert!(error_type(&local).ends_with("ParseIntError"));
    }

    #[test]
    fn error_chain_of_a_thousand_is_given_up() {
        let mut error = Wrapped(Some(Box::new("x".parse::<u8>().unwrap_err())));
        for _ in 0..1_000 {
            error = Wrapped(Some(Box::new(error)));
        }
        let error: Boxed = Box::new(error);
        assert_eq!(error_type(&error), "_OTHER");
    }
}
