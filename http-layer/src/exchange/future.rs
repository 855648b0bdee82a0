use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use propagation_core::HopSpan;

use super::{BodyEnd, ClassifyResponse, ResponseBody, body::end};

pin_project! {
    /// A response future that is polled and dropped in the context of its hop. The hop moves on into the [`ResponseBody`].
    #[derive(Debug)]
    pub struct ResponseFuture<F, C: ClassifyResponse> {
        #[pin]
        inner: Option<F>,
        // `None` after the response.
        hop: Option<(HopSpan, C)>,
        // Whether the response has no body on the wire, despite its `content-length`.
        bodiless: bool,
    }

    impl<F, C: ClassifyResponse> PinnedDrop for ResponseFuture<F, C> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some((hop, _)) = this.hop.as_ref() {
                hop.in_scope(|| this.inner.set(None));
            }
            end(this.hop, |classifier, hop| classifier.classify(BodyEnd::NoResponse, hop));
        }
    }
}

impl<F, C: ClassifyResponse> ResponseFuture<F, C> {
    /// Creates a future that runs `inner` in `hop`. `bodiless` is true for responses to HEAD.
    pub fn new(inner: F, hop: HopSpan, classifier: C, bodiless: bool) -> Self {
        Self { inner: Some(inner), hop: Some((hop, classifier)), bodiless }
    }
}

impl<F, C, B, E> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Error: 'static>,
    C: ClassifyResponse,
    E: 'static,
{
    type Output = Result<Response<ResponseBody<B, C>>, E>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some((hop, _)) = this.hop.as_ref() else { return Poll::Pending };
        let result = hop.in_scope(|| {
            let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Pending };
            let result = inner.poll(task);
            if result.is_ready() {
                // The future's values are dropped in the context, too.
                this.inner.set(None);
            }
            result
        });
        let result = ready!(result);
        let Some((hop, mut classifier)) = this.hop.take() else { return Poll::Pending };
        Poll::Ready(match result {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                classifier.on_response(&mut head, &hop);
                let body = ResponseBody::new(body, hop, classifier, &head, *this.bodiless);
                Ok(Response::from_parts(head, body))
            }
            Err(error) => {
                let (error, outcome) = classifier.on_failure(error, &hop);
                hop.end(&outcome);
                Err(error)
            }
        })
    }
}
