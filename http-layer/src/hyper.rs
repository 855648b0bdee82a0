//! Executor for hyper 1.

use hyper::rt::Executor;
use propagation_core::{
    Propagator,
    task::{InContext, InContextExt},
};

/// An executor for hyper that runs tasks in the context of the code that spawns them.
///
/// Wraps another executor, such as `hyper_util::rt::TokioExecutor`. hyper spawns tasks for HTTP/2 streams, upgrades and connections. Without this,
/// such a task has no context, although a request of a hop caused it.
///
/// A pooled client spawns the task of a connection during one request, and the task outlives it: bodies of later requests would be polled in
/// the context of the first. Use this executor for servers, and for connections that serve one request.
///
/// ```
/// use hyper_util::rt::TokioExecutor;
/// use propagation_core::Propagator;
/// use propagation_http::ContextExecutor;
///
/// let executor = ContextExecutor::new(Propagator::default(), TokioExecutor::new());
/// # let _ = executor;
/// ```
#[derive(Clone, Debug)]
pub struct ContextExecutor<E> {
    propagator: Propagator,
    inner: E,
}

impl<E> ContextExecutor<E> {
    /// Wraps an executor.
    #[must_use]
    pub fn new(propagator: Propagator, inner: E) -> Self {
        Self { propagator, inner }
    }
}

impl<E: Executor<InContext<F>>, F: Future> Executor<F> for ContextExecutor<E> {
    fn execute(&self, future: F) {
        self.inner.execute(future.in_current_context(&self.propagator));
    }
}
