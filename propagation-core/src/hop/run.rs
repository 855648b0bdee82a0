//! Runs fallible work inside a hop, and ends the hop with its result.

use std::future::Future;

use super::HopSpan;
use crate::Outcome;

impl HopSpan {
    /// Runs a fallible future inside the hop, and ends the hop with its result.
    ///
    /// If the future is dropped before it is ready, the hop ends as [`Outcome::Cancelled`].
    ///
    /// ```
    /// # async fn example(propagator: propagation_core::Propagator) -> Result<(), std::io::Error> {
    /// use propagation_core::{Hop, SpanKind};
    ///
    /// let hop = propagator.start(Hop::local(SpanKind::Internal, propagator.current()).named("import"));
    /// hop.run(async { import().await }).await
    /// # }
    /// # async fn import() -> Result<(), std::io::Error> { Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the future's own error, whose type becomes `error.type` as in [`Outcome::of`].
    #[track_caller]
    pub fn run<T, E: 'static>(self, future: impl Future<Output = Result<T, E>>) -> impl Future<Output = Result<T, E>> {
        let scope = self.scope(future);
        // `scope` is captured, and so dropped, before the hop: calls made while the future is dropped belong to the hop.
        async move {
            let result = scope.await;
            self.end(&Outcome::of(&result));
            result
        }
    }

    /// Runs a fallible closure inside the hop, and ends the hop with its result.
    ///
    /// # Errors
    ///
    /// Returns the closure's own error, whose type becomes `error.type` as in [`Outcome::of`].
    #[track_caller]
    pub fn run_sync<T, E: 'static>(self, run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let result = self.in_scope(run);
        self.end(&Outcome::of(&result));
        result
    }
}
