use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

/// Counts the attempts of each request, for a retry layer between this layer and the client layer.
///
/// Each attempt has its own span. From the second attempt on, it has the attribute `http.request.resend_count`. The count is in the
/// extensions of the request, so the retry policy must keep the extensions when it clones the request:
///
/// ```
/// use propagation_core::Propagator;
/// use propagation_http::{ClientPropagationLayer, ResendCountLayer};
/// use tower::ServiceBuilder;
///
/// // From the outermost layer to the innermost.
/// let stack = ServiceBuilder::new()
///     .layer(ResendCountLayer::new())
///     // .layer(RetryLayer::new(policy))
///     .layer(ClientPropagationLayer::new(Propagator::default()));
/// # let _ = stack;
/// ```
///
/// A policy that creates requests without extensions inserts a [`ResendCount`] itself. Middlewares of reqwest-middleware need no such layer:
/// attempts share their extensions.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResendCountLayer(());

impl ResendCountLayer {
    /// Creates a layer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for ResendCountLayer {
    type Service = WithResendCount<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithResendCount { inner }
    }
}

/// The service of [`ResendCountLayer`].
#[derive(Clone)]
pub struct WithResendCount<S> {
    inner: S,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for WithResendCount<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().get_or_insert_with(ResendCount::new);
        self.inner.call(request)
    }
}

impl<S: fmt::Debug> fmt::Debug for WithResendCount<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithResendCount").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// The number of earlier attempts of a request, in its extensions. Clones share the count, and each attempt increments it.
///
/// [`ResendCountLayer`] inserts it.
#[derive(Clone, Debug, Default)]
pub struct ResendCount(Arc<AtomicU32>);

impl ResendCount {
    /// Creates a count for a request that was not sent yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a count for a request that was sent `attempts` times.
    #[must_use]
    pub fn after(attempts: u32) -> Self {
        Self(Arc::new(AtomicU32::new(attempts)))
    }

    /// Returns the number of earlier attempts, and counts one more. For client layers of protocols on top of HTTP.
    #[must_use]
    pub fn next_attempt(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
