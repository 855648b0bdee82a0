use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{ComposableSampler, NewSpan, SamplingIntent, clock::Clock};
use crate::sampling::SamplerError;

/// Keeps no more than so many spans a second of what another sampler keeps: a bucket that tokens drip into.
///
/// A hard limit, and a biased sample: what comes first in a second is kept, and no `th` goes out, because nobody knows how many spans
/// a kept one stands for. [`Adaptive`](super::Adaptive) keeps about a rate and tells the truth about it. Behind a
/// [`ParentThreshold`](super::ParentThreshold) the limit is on new traces; alone it would cut traces into pieces. A caller's debug
/// passes.
///
/// Clones share the bucket. Takes one compare-and-swap a span.
///
/// ```
/// use propagation_opentelemetry::sampling::{CompositeSampler, Probability, RateLimited};
///
/// let tenth = RateLimited::new(100.0, Probability::new(0.1)?)?.with_burst(20);
/// let sampler = CompositeSampler::parent_based(tenth);
/// # let _ = sampler;
/// # Ok::<(), propagation_opentelemetry::sampling::SamplerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RateLimited<S> {
    bucket: Arc<Bucket>,
    delegate: S,
}

impl<S: ComposableSampler> RateLimited<S> {
    /// At most `per_second` of what `delegate` keeps, on average; at once, as many as a second gives, and at least one.
    ///
    /// # Errors
    ///
    /// Refuses a rate that is not above zero, or not finite.
    pub fn new(per_second: f64, delegate: S) -> Result<Self, SamplerError> {
        if !(per_second.is_finite() && per_second > 0.0) {
            return Err(SamplerError("a rate is a number above zero, a second"));
        }
        let interval = nanoseconds(1.0 / per_second);
        let bucket = Bucket::new(interval, nanoseconds(1.0), Clock::default());
        Ok(Self { bucket: Arc::new(bucket), delegate })
    }

    /// At most so many at once, at least one. The bucket is full at the start.
    #[must_use]
    pub fn with_burst(self, spans: u32) -> Self {
        let (interval, clock) = (self.bucket.interval, self.bucket.clock.clone());
        let burst = interval.saturating_mul(u64::from(spans));
        Self { bucket: Arc::new(Bucket::new(interval, burst, clock)), delegate: self.delegate }
    }

    /// Reads the time since some beginning from `now`, in place of the system's monotonic clock: for tests.
    #[must_use]
    pub fn with_clock(self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let (interval, burst) = (self.bucket.interval, self.bucket.burst);
        Self { bucket: Arc::new(Bucket::new(interval, burst, Clock::new(now))), delegate: self.delegate }
    }
}

impl<S: ComposableSampler> ComposableSampler for RateLimited<S> {
    /// What the delegate wants. The token is taken only once the decision is to keep.
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
        let mut intent = self.delegate.intent(span);
        intent.buckets.push(Arc::clone(&self.bucket));
        intent
    }
}

/// A token bucket that only remembers when it will be full again.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Nanoseconds that one token takes.
    interval: u64,
    /// Nanoseconds that a full bucket holds.
    burst: u64,
    full_at: AtomicU64,
    clock: Clock,
}

impl Bucket {
    fn new(interval: u64, burst: u64, clock: Clock) -> Self {
        Self { interval, burst: burst.max(interval), full_at: AtomicU64::new(0), clock }
    }

    /// Takes a token, if there is one.
    pub(super) fn admits(&self) -> bool {
        let now = u64::try_from(self.clock.now().as_nanos()).unwrap_or(u64::MAX);
        let take = |full_at: u64| {
            let next = full_at.max(now).saturating_add(self.interval);
            (next - now <= self.burst).then_some(next)
        };
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// At least one, and at most some centuries.
#[expect(clippy::cast_possible_truncation, reason = "a float saturates when it is cast")]
fn nanoseconds(seconds: f64) -> u64 {
    ((seconds * 1e9).round() as u64).max(1)
}
