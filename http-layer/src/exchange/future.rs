use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project::{pin_project, pinned_drop};
use propagation_core::HopSpan;

use super::{Classify, Ending, ResponseBody, body::end};

/// The future of a response, in the context of its hop.
#[derive(Debug)]
#[pin_project(PinnedDrop)]
pub struct ResponseFuture<F, C: Classify> {
    #[pin]
    inner: Option<F>,
    /// Moves on into the body.
    hop: Option<(HopSpan, C)>,
    /// Whether the response will have no body on the wire, whatever it says.
    bodiless: bool,
}

impl<F, C: Classify> ResponseFuture<F, C> {
    /// Runs `inner` in a hop. `bodiless` is true for answers to HEAD.
    pub fn new(inner: F, hop: HopSpan, classify: C, bodiless: bool) -> Self {
        Self { inner: Some(inner), hop: Some((hop, classify)), bodiless }
    }
}

impl<F, C, B, E> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Error: 'static>,
    C: Classify,
    E: 'static,
{
    type Output = Result<Response<ResponseBody<B, C>>, E>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some((hop, _)) = this.hop.as_ref() else { return Poll::Pending };
        let answer = hop.in_scope(|| {
            let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Pending };
            let answer = inner.poll(task);
            if answer.is_ready() {
                // Whatever the future holds goes in the context, too.
                this.inner.set(None);
            }
            answer
        });
        let answer = ready!(answer);
        let Some((hop, mut classify)) = this.hop.take() else { return Poll::Pending };
        Poll::Ready(match answer {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                classify.head(&mut head, &hop);
                let body = ResponseBody::new(body, hop, classify, &head, *this.bodiless);
                Ok(Response::from_parts(head, body))
            }
            Err(error) => {
                let (error, outcome) = classify.failed(error, &hop);
                hop.end(&outcome);
                Err(error)
            }
        })
    }
}

#[pinned_drop]
impl<F, C: Classify> PinnedDrop for ResponseFuture<F, C> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        if let Some((hop, _)) = this.hop.as_ref() {
            hop.in_scope(|| this.inner.set(None));
        }
        end(this.hop, |classify, hop| classify.outcome(Ending::Unanswered, hop));
    }
}
