//! Streams that run in a captured context.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{Current, InContext};
use crate::Propagator;

/// Runs streams in the current context.
pub trait InContextStreamExt: Stream + Sized {
    /// Captures the current context, and polls and drops the stream in it.
    #[track_caller]
    fn stream_in_context(self, propagator: &Propagator) -> InContext<Self> {
        Current::capture(propagator).scope(self)
    }
}

impl<S: Stream> InContextStreamExt for S {}

impl<S: Stream> Stream for InContext<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.poll_inner(|stream| stream.poll_next(task)).unwrap_or(Poll::Ready(None))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner().map_or((0, Some(0)), Stream::size_hint)
    }
}
