use std::future::Future;

use ::tokio::task::{AbortHandle, JoinHandle, JoinSet};

use super::{InContextExt, carry};
use crate::Propagator;

/// As `tokio::spawn`, in what is current here.
///
/// # Panics
///
/// As `tokio::spawn`: outside of a runtime.
#[track_caller]
pub fn spawn<F>(propagator: &Propagator, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    ::tokio::spawn(future.in_current_context(propagator))
}

/// As `tokio::task::spawn_blocking`, in what is current here.
///
/// # Panics
///
/// As `tokio::task::spawn_blocking`: outside of a runtime.
#[track_caller]
pub fn spawn_blocking<R>(propagator: &Propagator, run: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R>
where
    R: Send + 'static,
{
    ::tokio::task::spawn_blocking(carry(propagator, run))
}

/// Spawns tasks of a `JoinSet` in what is current where they are spawned.
pub trait JoinSetExt<T> {
    /// As `JoinSet::spawn`.
    #[track_caller]
    fn spawn_in_context<F>(&mut self, propagator: &Propagator, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static;

    /// As `JoinSet::spawn_blocking`.
    #[track_caller]
    fn spawn_blocking_in_context<F>(&mut self, propagator: &Propagator, run: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static;
}

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
