//! Spawn functions of Tokio that carry the current context.

use std::future::Future;

use ::tokio::task::{AbortHandle, JoinHandle, JoinSet};

use super::{InContextExt, carry};
use crate::Propagator;

/// Like `tokio::spawn`, in the current context.
///
/// # Panics
///
/// Panics outside a Tokio runtime, like `tokio::spawn`.
#[track_caller]
pub fn spawn<F>(propagator: &Propagator, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    ::tokio::spawn(future.in_current_context(propagator))
}

/// Like `tokio::task::spawn_blocking`, in the current context.
///
/// # Panics
///
/// Panics outside a Tokio runtime, like `tokio::task::spawn_blocking`.
#[track_caller]
pub fn spawn_blocking<R>(propagator: &Propagator, run: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R>
where
    R: Send + 'static,
{
    ::tokio::task::spawn_blocking(carry(propagator, run))
}

/// Spawns tasks of a `JoinSet` in the current context. Sealed.
pub trait JoinSetExt<T>: sealed::Sealed {
    /// Like `JoinSet::spawn`, in the current context.
    #[track_caller]
    fn spawn_in_context<F>(&mut self, propagator: &Propagator, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static;

    /// Like `JoinSet::spawn_blocking`, in the current context.
    #[track_caller]
    fn spawn_blocking_in_context<F>(&mut self, propagator: &Propagator, run: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static;
}

mod sealed {
    pub trait Sealed {}
}

impl<T> sealed::Sealed for JoinSet<T> {}

impl<T: Send + 'static> JoinSetExt<T> for JoinSet<T> {
    #[track_caller]
    fn spawn_in_context<F>(&mut self, propagator: &Propagator, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.spawn(future.in_current_context(propagator))
    }

    #[track_caller]
    fn spawn_blocking_in_context<F>(&mut self, propagator: &Propagator, run: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.spawn_blocking(carry(propagator, run))
    }
}
