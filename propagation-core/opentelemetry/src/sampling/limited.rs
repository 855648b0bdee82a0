use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{ComposableSampler, NewSpan, SamplingIntent, clock::Clock};
use crate::sampling::SamplerError;

/// Limits the spans a second that another sampler samples, with a token bucket.
///
/// A hard limit, and a biased sample: the first spans in a second are sampled. No `th` is propagated, because the probability is unknown;
/// [`Adaptive`](super::Adaptive) reaches about a rate with a known probability. Inside a [`ParentThreshold`](super::ParentThreshold) the
/// limit applies to new traces; alone it would cut traces into pieces. Spans with a caller's debug flag pass.
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
    /// Samples at most `per_second` of the spans that `delegate` samples, on average. The burst is the number for one second, at least one.
    ///
    /// # Errors
    ///
    /// Returns an error for a rate that is not above zero or not finite.
    pub fn new(per_second: f64, delegate: S) -> Result<Self, SamplerError> {
        if !(per_second.is_finite() && per_second > 0.0) {
            return Err(SamplerError("a rate is a number above zero, a second"));
        }
        let interval = nanoseconds(1.0 / per_second);
        let bucket = Bucket::new(interval, nanoseconds(1.0), Clock::default());
        Ok(Self { bucket: Arc::new(bucket), delegate })
    }

    /// Sets the burst, at least one. The bucket is full at the start.
    #[must_use]
    pub fn with_burst(self, spans: u32) -> Self {
        let (interval, clock) = (self.bucket.interval, self.bucket.clock.clone());
        let burst = interval.saturating_mul(u64::from(spans));
        Self { bucket: Arc::new(Bucket::new(interval, burst, clock)), delegate: self.delegate }
    }

    /// Reads the time from `now` instead of the system's monotonic clock: for tests.
    #[must_use]
    pub fn with_clock(self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let (interval, burst) = (self.bucket.interval, self.bucket.burst);
        Self { bucket: Arc::new(Bucket::new(interval, burst, Clock::new(now))), delegate: self.delegate }
    }
}

impl<S: ComposableSampler> ComposableSampler for RateLimited<S> {
    /// Returns the intent of the delegate. A token is taken only if the decision is to sample.
    fn intent(&self, span: &NewSpan<'_>) -> SamplingIntent {
        let mut intent = self.delegate.intent(span);
        intent.buckets.push(Arc::clone(&self.bucket));
        intent
    }
}

/// A token bucket that stores only the time at which it will be full.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Nanoseconds for one token.
    interval: u64,
    /// Nanoseconds of a full bucket.
    burst: u64,
    full_at: AtomicU64,
    clock: Clock,
}

impl Bucket {
    fn new(interval: u64, burst: u64, clock: Clock) -> Self {
        Self { interval, burst: burst.max(interval), full_at: AtomicU64::new(0), clock }
    }

    /// Takes a token. Returns false if there is none.
    pub(super) fn admits(&self) -> bool {
        let now = u64::try_from(self.clock.now().as_nanos()).unwrap_or(u64::MAX);
        let take = |full_at: u64| {
            let next = full_at.max(now).saturating_add(self.interval);
            (next - now <= self.burst).then_some(next)
        };
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// Limits to at least one nanosecond and at most some centuries.
#[expect(clippy::cast_possible_truncation, reason = "a float saturates when it is cast")]
fn nanoseconds(seconds: f64) -> u64 {
    ((seconds * 1e9).round() as u64).max(1)
}
