//! For handlers of axum 0.8.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use propagation_core::PropagationContext;

/// The context of the request that a handler handles, as an extractor: empty without a
/// [`ServerPropagationLayer`](crate::ServerPropagationLayer) around it.
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
        Ok(Self(PropagationContext::of_hop()))
    }
}
