//! Samplers that keep a rate, with clocks that the tests set.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::trace::TraceId;
use propagation_opentelemetry::sampling::{Adaptive, AlwaysOn, CompositeSampler, Randomness, RateLimited, Threshold};

use super::{Ask, ids, probability, sampled};

/// A clock that advances only by `pass`.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn pass(&self, micros: u64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }

    fn read(&self) -> impl Fn() -> Duration + Send + Sync + 'static + use<> {
        let micros = Arc::clone(&self.0);
        move || Duration::from_micros(micros.load(Ordering::Relaxed))
    }
}

#[test]
fn no_more_than_the_rate_is_kept_whatever_comes() {
    let clock = Clock::default();
    let sampler = RateLimited::new(10.0, AlwaysOn).unwrap().with_clock(clock.read());
    let sampler = CompositeSampler::new(sampler);
    let mut per_second = Vec::new();
    for _ in 0..5 {
        let mut kept = 0;
        for _ in 0..1_000 {
            let result = Ask::default().of(&sampler);
            kept += u32::from(sampled(&result));
            assert_eq!(result.trace_state.get("ot"), None, "nobody knows the probability");
            clock.pass(1_000);
        }
        per_second.push(kept);
    }
    // The first second has the full bucket and its refill, each later second the refill alone.
    assert_eq!(per_second, [19, 10, 10, 10, 10]);
    clock.pass(60_000_000);
    let burst = (0..100).filter(|_| sampled(&Ask::default().of(&sampler))).count();
    assert_eq!(burst, 10, "a bucket holds no more than it can, however long it has not been asked");
}

#[test]
fn token_is_taken_for_kept_spans_only() {
    let clock = Clock::default();
    let limited = RateLimited::new(0.5, probability(0.5)).unwrap().with_burst(2).with_clock(clock.read());
    let sampler = CompositeSampler::new(limited);
    let keep = Ask::default();
    let drop = Ask { trace: Some(TraceId::from(1)), ..Ask::default() };
    assert!((0..100).all(|_| !sampled(&drop.of(&sampler))));
    assert_eq!([(); 3].map(|()| sampled(&keep.of(&sampler))), [true, true, false]);
    clock.pass(1_999_999);
    assert!(!sampled(&keep.of(&sampler)));
    clock.pass(1);
    assert!(sampled(&keep.of(&sampler)));
}

#[test]
fn however_low_the_rate_one_token_fits_into_the_bucket() {
    let slow = || RateLimited::new(0.5, AlwaysOn).unwrap().with_clock(|| Duration::ZERO);
    for sampler in [slow(), slow().with_burst(0)] {
        let sampler = CompositeSampler::new(sampler);
        assert_eq!([(); 2].map(|()| sampled(&Ask::default().of(&sampler))), [true, false]);
    }
}

#[test]
fn threads_share_a_limit() {
    let sampler = CompositeSampler::new(RateLimited::new(100.0, AlwaysOn).unwrap().with_clock(|| Duration::ZERO));
    let kept: usize = std::thread::scope(|scope| {
        let ask = || (0..1_000).filter(|_| sampled(&Ask::default().of(&sampler.clone()))).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(kept, 100);
}

/// Kept and, by their thresholds, stood for: of traces that come for so many seconds at one rate.
fn adapt(
    sampler: &CompositeSampler,
    clock: &Clock,
    ids: &mut dyn Iterator<Item = TraceId>,
    rate: u64,
    seconds: u64,
) -> (f64, f64) {
    let (mut kept, mut stood_for) = (0.0, 0.0);
    for id in ids.take(usize::try_from(rate * seconds).unwrap()) {
        clock.pass(1_000_000 / rate);
        let result = Ask { trace: Some(id), ..Ask::default() }.of(sampler);
        if sampled(&result) {
            let threshold: Threshold =
                result.trace_state.get("ot").unwrap().strip_prefix("th:").unwrap().parse().unwrap();
            kept += 1.0;
            stood_for += threshold.adjusted_count();
        }
    }
    (kept / seconds as f64, stood_for / seconds as f64)
}

#[test]
fn adaptive_sampler_reaches_its_rate_and_reports_it() {
    let clock = Clock::default();
    let adaptive = Adaptive::new(10.0).unwrap().with_window(Duration::from_secs(5)).with_clock(clock.read());
    let sampler = CompositeSampler::parent_based(adaptive.clone());
    let mut ids = ids(usize::MAX);
    let (quiet, _) = adapt(&sampler, &clock, &mut ids, 5, 60);
    assert!(quiet > 4.99, "all is kept below the target: {quiet}");
    for rate in [200, 2_000, 100] {
        adapt(&sampler, &clock, &mut ids, rate, 25);
        let (kept, stood_for) = adapt(&sampler, &clock, &mut ids, rate, 60);
        // 600 kept: four standard deviations are a sixth.
        assert!((kept - 10.0).abs() < 1.7, "{rate}: {kept}");
        assert!((stood_for / rate as f64 - 1.0).abs() < 0.17, "{rate}: {stood_for}");
        assert!((adaptive.probability() - 10.0 / rate as f64).abs() < 0.01, "{rate}");
    }
    clock.pass(600_000_000);
    assert!(adaptive.probability() > 0.99, "after a pause all is kept again");
}

#[test]
fn a_rush_at_the_start_is_not_kept_whole() {
    let adaptive = Adaptive::new(10.0).unwrap().with_clock(|| Duration::ZERO);
    let sampler = CompositeSampler::new(adaptive);
    let kept = ids(1_000).filter(|id| sampled(&Ask { trace: Some(*id), ..Ask::default() }.of(&sampler))).count();
    // A window of 10 seconds at the target is a hundred: 100 · ln 11, and four standard deviations.
    assert!((192..288).contains(&kept), "{kept}");
}

#[test]
fn adaptive_sampler_stays_in_bounds_and_is_consistent() {
    let clock = Clock::default();
    let build = || Adaptive::new(1.0).unwrap().with_clock(clock.read());
    let bounded = build().with_bounds(0.05, 0.5).unwrap();
    let (low, free) = (CompositeSampler::new(bounded.clone()), CompositeSampler::new(build()));
    assert_eq!(bounded.probability(), 0.5);
    for id in ids(10_000) {
        clock.pass(100);
        let ask = Ask { trace: Some(id), ..Ask::default() };
        let (bounded, free) = (ask.of(&low), ask.of(&free));
        let randomness: Randomness = id.to_string()[18..].parse().unwrap();
        for result in [bounded, free] {
            if let Some(member) = result.trace_state.get("ot") {
                let threshold: Threshold = member.strip_prefix("th:").unwrap().parse().unwrap();
                assert!(threshold.keeps(randomness));
            }
        }
    }
    assert!((bounded.probability() - 0.05).abs() < 1e-9);
}
