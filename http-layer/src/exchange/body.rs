use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{StatusCode, header::CONTENT_LENGTH, response::Parts};
use http_body::{Body, Frame, SizeHint};
use pin_project::{pin_project, pinned_drop};
use propagation_core::{HopSpan, Outcome};

use super::{Classify, Ending};

/// The body of a response, in the context of its hop, which ends when the body ends, fails or is dropped.
#[derive(Debug)]
#[pin_project(PinnedDrop)]
pub struct ResponseBody<B: Body, C: Classify> {
    #[pin]
    inner: Option<B>,
    hop: Option<(HopSpan, C)>,
    /// How many bytes are still to come, where the head said how many there are: who has them all does not ask again.
    left: Option<u64>,
    read: bool,
}

impl<B: Body, C: Classify> ResponseBody<B, C> {
    pub(crate) fn new(inner: B, hop: HopSpan, classify: C, head: &Parts, bodiless: bool) -> Self {
        let bodiless = bodiless
            || head.status.is_informational()
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = || head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        let left = if bodiless { Some(0) } else { length() };
        Self { inner: Some(inner), hop: Some((hop, classify)), left, read: false }
    }
}

impl<B: Body<Error: 'static>, C: Classify> Body for ResponseBody<B, C> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some((hop, classify)) = this.hop.as_mut() else {
            return this.inner.as_pin_mut().map_or(Poll::Ready(None), |inner| inner.poll_frame(task));
        };
        let frame = hop.in_scope(|| {
            let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
            *this.read = true;
            let frame = ready!(inner.poll_frame(task));
            if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
                // Nothing comes after: whatever the body holds goes in the context, too.
                this.inner.set(None);
            }
            Poll::Ready(frame)
        });
        let frame = ready!(frame);
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref().filter(|_| hop.records()) {
                    classify.data(data, hop);
                }
                if let (Some(data), Some(left)) = (frame.data_ref(), this.left.as_mut()) {
                    *left = left.saturating_sub(data.remaining() as u64);
                }
                // Trailers are the last frame: who has them does not ask again.
                if let Some(trailers) = frame.trailers_ref() {
                    classify.trailers(trailers, hop);
                    end(this.hop, |classify, hop| classify.outcome(Ending::Complete, hop));
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                let (error, outcome) = classify.failed(error, hop);
                end(this.hop, |_, _| outcome);
                Some(Err(error))
            }
            None => {
                end(this.hop, |classify, hop| classify.outcome(Ending::Complete, hop));
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

pub(super) fn end<C>(hop: &mut Option<(HopSpan, C)>, outcome: impl FnOnce(&mut C, &HopSpan) -> Outcome) {
    if let Some((hop, mut classify)) = hop.take() {
        let outcome = outcome(&mut classify, &hop);
        hop.end(&outcome);
    }
}

#[pinned_drop]
impl<B: Body, C: Classify> PinnedDrop for ResponseBody<B, C> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        let ended = this.inner.as_ref().as_pin_ref().is_none_or(|body| body.is_end_stream());
        let ending = match *this.read {
            _ if ended || *this.left == Some(0) => Ending::Complete,
            true => Ending::Midway,
            false => Ending::Unread,
        };
        if let Some((hop, _)) = this.hop.as_ref() {
            hop.in_scope(|| this.inner.set(None));
        }
        end(this.hop, |classify, hop| classify.outcome(ending, hop));
    }
}
