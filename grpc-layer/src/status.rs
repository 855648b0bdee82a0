//! The gRPC status that tonic derives from an error.

use std::{any::Any, error::Error, fmt, sync::Arc};

use tonic::{Code, Status};

type BoxError = Box<dyn Error + Send + Sync>;

/// Returns the error unchanged, and the status that tonic derives from it, if any.
///
/// Uses tonic's conversion, so that span and caller agree. The conversion consumes its argument: it gets a wrapper that lends the error.
pub(crate) fn code_of_error<E: 'static>(error: E) -> (E, Option<Code>) {
    let mut lent = Some(error);
    let any: &mut dyn Any = &mut lent;
    let code = if let Some(status) = any.downcast_ref::<Option<Status>>() {
        status.as_ref().map(Status::code)
    } else if let Some(boxed) = any.downcast_mut::<Option<BoxError>>() {
        let overloaded = boxed.as_ref().filter(|boxed| is_overloaded(&***boxed)).map(|_| Code::ResourceExhausted);
        let bare = overloaded.or_else(|| boxed.as_ref().and_then(|boxed| of_h2(boxed.downcast_ref()?)));
        bare.or_else(|| lend(boxed, |boxed| &**boxed))
    } else if let Some(error) = any.downcast_mut::<Option<tonic::transport::Error>>() {
        lend(error, |error| error)
    } else if let Some(error) = any.downcast_mut::<Option<std::io::Error>>() {
        lend(error, |error| error)
    } else {
        None
    };
    match lent {
        Some(error) => (error, code),
        None => unreachable!("an error that was lent is given back"),
    }
}

/// tonic recognizes this error only if it is not wrapped.
fn is_overloaded(error: &(dyn Error + 'static)) -> bool {
    error.source().is_none() && propagation_core::hop::dyn_error_type(error) == "tower::load_shed::error::Overloaded"
}

/// Like the one above: tonic knows an error of HTTP/2 by its reason, unless it is wrapped.
fn of_h2(error: &h2::Error) -> Option<Code> {
    let same = error.reason().map(h2::Error::from)?;
    Status::try_from_error(Box::new(same)).ok().map(|status| status.code())
}

fn lend<T: Send + Sync + 'static>(slot: &mut Option<T>, view: fn(&T) -> &(dyn Error + 'static)) -> Option<Code> {
    let lent = Arc::new(slot.take()?);
    let status = Status::try_from_error(Box::new(Lent { error: Arc::clone(&lent), view }));
    // tonic stores the wrapper as the source of the status: both are dropped before the error is taken back.
    let code = status.ok().map(|status| status.code());
    *slot = Arc::into_inner(lent);
    code
}

/// An error whose source is another error.
struct Lent<T> {
    error: Arc<T>,
    view: fn(&T) -> &(dyn Error + 'static),
}

impl<T> Error for Lent<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some((self.view)(&self.error))
    }
}

impl<T> fmt::Display for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lent")
    }
}

impl<T> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrapped(BoxError);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }

    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn error_has_the_status_that_tonic_derives() {
        let errors: [fn() -> BoxError; 12] = [
            || Box::new(Status::not_found("x")),
            || Box::new(tonic::TimeoutExpired(())),
            || Box::new(tonic::ConnectError("refused".into())),
            || Box::new(Wrapped(Box::new(tonic::TimeoutExpired(())))),
            || Box::new(Wrapped(Box::new(Wrapped(Box::new(Status::data_loss("x")))))),
            || Box::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe)),
            || "text".into(),
            || Box::new(tower::load_shed::error::Overloaded::new()),
            || Box::new(h2::Error::from(h2::Reason::CANCEL)),
            || Box::new(h2::Error::from(h2::Reason::REFUSED_STREAM)),
            || Box::new(h2::Error::from(h2::Reason::ENHANCE_YOUR_CALM)),
            || Box::new(Wrapped(Box::new(h2::Error::from(h2::Reason::CANCEL)))),
        ];
        for error in errors {
            let shown = Status::from_error(error()).code();
            let text = error().to_string();
            let (kept, code) = code_of_error(error());
            assert_eq!(code.unwrap_or(Code::Unknown), shown, "{text}");
            assert_eq!(kept.to_string(), text, "the error stays as it was");
        }
        assert_eq!(code_of_error(Status::aborted("x")).1, Some(Code::Aborted));
        assert_eq!(code_of_error(std::fmt::Error).1, None);
    }
}
