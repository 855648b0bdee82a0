use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{StatusCode, header::CONTENT_LENGTH, response::Parts};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use propagation_core::{HopSpan, Outcome};

use super::{BodyEnd, ClassifyResponse};

pin_project! {
    /// A response body that is polled and dropped in the context of its hop.
    ///
    /// The hop ends when the body ends, fails or is dropped.
    #[derive(Debug)]
    pub struct ResponseBody<B: Body, C: ClassifyResponse> {
        #[pin]
        inner: Option<B>,
        hop: Option<(HopSpan, C)>,
        // The bytes left, if `content-length` is known: a reader may drop the body after the last byte instead of polling for its end.
        left: Option<u64>,
        read: bool,
        // Whether a frame was read.
        streams: bool,
    }

    impl<B: Body, C: ClassifyResponse> PinnedDrop for ResponseBody<B, C> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let ended = this.inner.as_ref().as_pin_ref().is_none_or(|body| body.is_end_stream());
            let body_end = match *this.read {
                _ if ended || *this.left == Some(0) => BodyEnd::Complete,
                true => BodyEnd::Aborted,
                false => BodyEnd::NotRead,
            };
            if let Some((hop, _)) = this.hop.as_ref()
                && this.inner.is_some()
            {
                hop.in_scope(|| this.inner.set(None));
            }
            end(this.hop, |classifier, hop| classifier.classify(body_end, hop));
        }
    }
}

impl<B: Body, C: ClassifyResponse> ResponseBody<B, C> {
    pub(crate) fn new(inner: B, hop: HopSpan, classifier: C, head: &Parts, bodiless: bool) -> Self {
        let bodiless = bodiless
            || head.status.is_informational()
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = || head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        let left = if bodiless { Some(0) } else { length() };
        Self { inner: Some(inner), hop: Some((hop, classifier)), left, read: false, streams: false }
    }
}

impl<B: Body<Error: 'static>, C: ClassifyResponse> Body for ResponseBody<B, C> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some((hop, classifier)) = this.hop.as_mut() else {
            return this.inner.as_pin_mut().map_or(Poll::Ready(None), |inner| inner.poll_frame(task));
        };
        let frame = if this.inner.is_none() {
            // The last data ended the stream.
            None
        } else {
            let frame = hop.in_scope(|| {
                let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
                *this.read = true;
                let rest = inner.size_hint().exact();
                let frame = ready!(inner.as_mut().poll_frame(task));
                let is_last = match frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                    // tonic-web's client body claims to have ended while its trailers are to come. Its size includes them.
                    Some(data) => rest == Some(data.remaining() as u64) && inner.is_end_stream(),
                    None => true,
                };
                if is_last {
                    // This was the last frame. The body's values are dropped in the context, too.
                    this.inner.set(None);
                }
                Poll::Ready(frame)
            });
            ready!(frame)
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                // The first frame of several: from here on, the response may stream for hours.
                if !std::mem::replace(this.streams, true)
                    && !this.inner.as_ref().as_pin_ref().is_none_or(|inner| inner.is_end_stream())
                {
                    hop.detach();
                }
                if let Some(data) = frame.data_ref().filter(|_| hop.is_recording()) {
                    classifier.on_data(data, hop);
                }
                if let (Some(data), Some(left)) = (frame.data_ref(), this.left.as_mut()) {
                    *left = left.saturating_sub(data.remaining() as u64);
                }
                // Trailers are the last frame: a reader may not poll again.
                if let Some(trailers) = frame.trailers_ref() {
                    classifier.on_trailers(trailers, hop);
                    end(this.hop, |classifier, hop| classifier.classify(BodyEnd::Complete, hop));
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                let (error, outcome) = classifier.on_failure(error, hop);
                end(this.hop, |_, _| outcome);
                Some(Err(error))
            }
            None => {
                end(this.hop, |classifier, hop| classifier.classify(BodyEnd::Complete, hop));
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
    if let Some((hop, mut classifier)) = hop.take() {
        let outcome = outcome(&mut classifier, &hop);
        hop.end(&outcome);
    }
}
