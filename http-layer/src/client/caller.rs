//! The caller's context in a request, for stacks that call the client layer in another task.

use std::{
    fmt,
    task::{Context, Poll},
};

use http::{Extensions, Request};
use propagation_core::{Propagator, task::Current};
use tower_layer::Layer;
use tower_service::Service;

/// Stores the caller's context in each request, for a stack that runs `call` in another task.
///
/// tower's `Buffer` calls its inner layers in a worker task, where no hop is current. With this layer outside of `Buffer`, and the client
/// layer of this crate or of `propagation-grpc` inside, requests carry the context of their caller:
///
/// ```
/// use propagation_core::Propagator;
/// use propagation_http::{CallerContextLayer, ClientPropagationLayer};
/// use tower::ServiceBuilder;
///
/// let propagator = Propagator::default();
/// // From the outermost layer to the innermost.
/// let stack = ServiceBuilder::new()
///     .layer(CallerContextLayer::new(propagator.clone()))
///     // .buffer(64)
///     .layer(ClientPropagationLayer::new(propagator));
/// # let _ = stack;
/// ```
#[derive(Clone, Debug)]
pub struct CallerContextLayer {
    propagator: Propagator,
}

impl CallerContextLayer {
    /// Creates a layer for a propagator.
    #[must_use]
    pub fn new(propagator: Propagator) -> Self {
        Self { propagator }
    }
}

impl<S> Layer<S> for CallerContextLayer {
    type Service = WithCallerContext<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithCallerContext { inner, propagator: self.propagator.clone() }
    }
}

/// The service of [`CallerContextLayer`].
#[derive(Clone)]
pub struct WithCallerContext<S> {
    inner: S,
    propagator: Propagator,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for WithCallerContext<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(CallerContext(Current::capture(&self.propagator)));
        self.inner.call(request)
    }
}

impl<S: fmt::Debug> fmt::Debug for WithCallerContext<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithCallerContext").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// The context of a request's caller, in the request's extensions. [`CallerContextLayer`] inserts it.
#[derive(Clone, Debug)]
pub struct CallerContext(Current);

impl CallerContext {
    /// Removes the caller's context from a request's extensions and returns it; `None` if it is absent.
    #[must_use]
    pub fn take(extensions: &mut Extensions) -> Option<Self> {
        extensions.remove()
    }

    /// Runs `run` in the caller's context.
    pub fn in_scope<R>(&self, run: impl FnOnce() -> R) -> R {
        self.0.in_scope(run)
    }
}
