use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{ComposableSampler, NewSpan, SamplingIntent, clock::Clock};
use crate::sampling::{SamplerError, Threshold};

/// Samples about a number of spans a second: the higher the rate, the lower the probability.
///
/// The probability depends on the rate of the last seconds, never on the trace-id: the sample is unbiased, the propagated `th` is
/// correct, and adjusted counts add up. Services that adapt independently sample nested sets of traces, not equal ones. Inside a
/// [`ParentThreshold`](super::ParentThreshold) only roots are counted, and whole traces are sampled.
///
/// The rate is an exponential mean: spans that are one [window](Self::with_window) old weigh a third. When traffic jumps, more than the
/// target is sampled for about that long. For a hard limit put it into a [`RateLimited`](super::RateLimited). Clones share their counts.
///
/// ```
/// use std::time::Duration;
/// use propagation_opentelemetry::sampling::{Adaptive, CompositeSampler};
///
/// let adaptive = Adaptive::new(20.0)?.with_window(Duration::from_secs(30)).with_bounds(0.001, 1.0)?;
/// let sampler = CompositeSampler::parent_based(adaptive.clone());
/// assert_eq!(adaptive.probability(), 1.0);
/// # let _ = sampler;
/// # Ok::<(), propagation_opentelemetry::sampling::SamplerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adaptive(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: f64,
    window: f64,
    least: f64,
    most: f64,
    seen: Mutex<Seen>,
    clock: Clock,
}

/// The decayed number of recent spans.
#[derive(Clone, Copy, Debug)]
struct Seen {
    spans: f64,
    at: Duration,
}

impl Adaptive {
    /// Creates a sampler for about `per_second` spans. Starts as if spans had arrived at this rate: with a probability of 1.
    ///
    /// # Errors
    ///
    /// Returns an error for a rate that is not above zero or not finite.
    pub fn new(per_second: f64) -> Result<Self, SamplerError> {
        if !(per_second.is_finite() && per_second > 0.0) {
            return Err(SamplerError("a rate is a number above zero, a second"));
        }
        Ok(Self::build(per_second, 10.0, (0.0, 1.0), Clock::default()))
    }

    /// Sets the time in which the rate adapts; 10 seconds by default, and at least a millisecond.
    #[must_use]
    pub fn with_window(self, window: Duration) -> Self {
        let Inner { target, least, most, ref clock, .. } = *self.0;
        Self::build(target, window.as_secs_f64().max(1e-3), (least, most), clock.clone())
    }

    /// Limits the probability to this range, independent of the rate.
    ///
    /// # Errors
    ///
    /// Returns an error unless both are from 0 to 1 and the first is not above the second.
    pub fn with_bounds(self, least: f64, most: f64) -> Result<Self, SamplerError> {
        if !(0.0 <= least && least <= most && most <= 1.0) {
            return Err(SamplerError("the bounds are numbers from 0 to 1, the lower one first"));
        }
        let Inner { target, window, ref clock, .. } = *self.0;
        Ok(Self::build(target, window, (least, most), clock.clone()))
    }

    /// Reads the time from `now` instead of the system's monotonic clock: for tests.
    #[must_use]
    pub fn with_clock(self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let Inner { target, window, least, most, .. } = *self.0;
        Self::build(target, window, (least, most), Clock::new(now))
    }

    /// Returns the current probability.
    #[must_use]
    pub fn probability(&self) -> f64 {
        self.0.probability(self.0.seen().spans)
    }

    fn build(target: f64, window: f64, (least, most): (f64, f64), clock: Clock) -> Self {
        let seen = Mutex::new(Seen { spans: target * window, at: clock.now() });
        Self(Arc::new(Inner { target, window, least, most, seen, clock }))
    }
}

impl Inner {
    fn seen(&self) -> Seen {
        self.faded(*self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn faded(&self, seen: Seen) -> Seen {
        let now = self.clock.now();
        let elapsed = now.saturating_sub(seen.at).as_secs_f64();
        Seen { spans: seen.spans * (-elapsed / self.window).exp(), at: now.max(seen.at) }
    }

    /// Counts a span. Returns the decayed number of spans before it.
    fn count(&self) -> f64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let faded = self.faded(*seen);
        *seen = Seen { spans: faded.spans + 1.0, ..faded };
        faded.spans
    }

    fn probability(&self, spans: f64) -> f64 {
        // Spans at a steady rate add up to rate times window.
        (self.target * self.window / spans).clamp(self.least, self.most)
    }
}

impl ComposableSampler for Adaptive {
    fn intent(&self, _: &NewSpan<'_>) -> SamplingIntent {
        let probability = self.0.probability(self.0.count());
        Threshold::from_probability(probability).map_or_else(|_| SamplingIntent::drop(), SamplingIntent::keep)
    }
}
