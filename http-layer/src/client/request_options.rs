use std::borrow::Cow;

use propagation_core::PropagationContext;

/// Options of one request, in its extensions. The client layers read them.
///
/// With tower, insert them into the request's extensions. With reqwest-middleware, use its `with_extension`:
///
/// ```
/// # #[cfg(feature = "reqwest-0-13")]
/// # fn example(client: &reqwest_middleware::ClientWithMiddleware) {
/// use propagation_http::RequestOptions;
///
/// let request = client
///     .get("http://orders.internal/orders/7")
///     .with_extension(RequestOptions::new().url_template("/orders/{id}"));
/// # let _ = request;
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RequestOptions {
    pub(crate) url_template: Option<Cow<'static, str>>,
    pub(crate) peer: Option<Cow<'static, str>>,
    pub(crate) context: Option<PropagationContext>,
    pub(crate) without_propagation: bool,
    pub(crate) without_span: bool,
}

impl RequestOptions {
    /// Creates options that change nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the template of the URL's path, such as `/orders/{id}`. The span is named `{method} {template}`, and has the attribute
    /// `url.template`.
    ///
    /// The template must not contain values of the request: span names have a low cardinality. A template that is not `'static` passes the
    /// policy's guard.
    pub fn url_template(mut self, template: impl Into<Cow<'static, str>>) -> Self {
        self.url_template = Some(template.into());
        self
    }

    /// Sets the host by which the policy knows the peer, in place of the URL's host: for requests through a local proxy, or to an address.
    ///
    /// A redirect that the client follows below the layer is compared with the URL's host. Therefore `ReqwestPropagation` withholds baggage
    /// that the policy releases to this peer but not to the URL's host, unless [`Redirects::NotFollowed`] is stated.
    ///
    /// [`Redirects::NotFollowed`]: https://docs.rs/propagation-http/latest/propagation_http/enum.Redirects.html
    pub fn peer(mut self, host: impl Into<Cow<'static, str>>) -> Self {
        self.peer = Some(host.into());
        self
    }

    /// Sets the context of the request, in place of the current one: for work that was stored with its context.
    pub fn context(mut self, context: PropagationContext) -> Self {
        self.context = Some(context);
        self
    }

    /// Sends no context: propagated headers that are on the request already are removed. The request still has a span.
    pub fn without_propagation(mut self) -> Self {
        self.without_propagation = true;
        self
    }

    /// Starts no span. The request carries the current context.
    pub fn without_span(mut self) -> Self {
        self.without_span = true;
        self
    }
}
