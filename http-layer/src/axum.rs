//! Extractor for axum 0.8.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use propagation_core::PropagationContext;

/// Extracts the context of the current request. It is empty without a [`ServerPropagationLayer`](crate::ServerPropagationLayer) around
/// the handler.
///
/// ```
/// use propagation_http::CurrentContext;
///
/// async fn handler(CurrentContext(context): CurrentContext) -> String {
///     context.baggage.get("tenant.id").map(Into::into).unwrap_or_default()
/// }
/// # let _ = handler;
/// ```
#[derive(Clone, Debug)]
pub struct CurrentContext(pub PropagationContext);

impl<S: Send + Sync> FromRequestParts<S> for CurrentContext {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(PropagationContext::current()))
    }
}
