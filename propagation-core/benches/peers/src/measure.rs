//! Measures an operation alone, warm, and without its preparation.

use std::{
    hint::black_box,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use crate::count;

/// One operation and its preparation.
pub trait Operation {
    /// Builds the input that the next run consumes; never counted.
    fn prepare(&mut self) {}

    /// Runs the operation. Returns a part of its result, so that the compiler cannot remove it.
    fn run(&mut self) -> usize;
}

/// An operation that needs no preparation.
impl<F: FnMut() -> usize> Operation for F {
    fn run(&mut self) -> usize {
        self()
    }
}

/// An operation on a state that is prepared each time.
pub struct Prepared<S, P, R> {
    pub state: S,
    pub prepare: P,
    pub run: R,
}

impl<S, P: FnMut(&mut S), R: FnMut(&mut S) -> usize> Operation for Prepared<S, P, R> {
    fn prepare(&mut self) {
        (self.prepare)(&mut self.state);
    }

    fn run(&mut self) -> usize {
        (self.run)(&mut self.state)
    }
}

/// Callgrind collects inside of this function alone.
#[inline(never)]
fn counted(operation: &mut dyn Operation) -> usize {
    black_box(operation.run())
}

/// Callgrind dumps its counts and starts anew when this function returns. Returns false if the operation panics.
#[inline(never)]
pub fn measured(operation: &mut dyn Operation, times: u32) -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..times {
            operation.prepare();
            counted(operation);
        }
    }))
    .is_ok()
}

/// Tables are built and caches filled before anything is counted. Whether the operation did not panic.
pub fn warm(operation: &mut dyn Operation, times: u32) -> bool {
    catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..times {
            operation.prepare();
            black_box(operation.run());
        }
    }))
    .is_ok()
}

/// Allocations of one operation, averaged; and how many bytes more than before it had at once.
pub fn allocations(operation: &mut dyn Operation, times: u32) -> (u64, i64) {
    count::weigh();
    let (mut allocations, mut most) = (0, 0);
    for _ in 0..times {
        operation.prepare();
        let before = count::allocations();
        let held = count::begin_peak();
        black_box(operation.run());
        most = most.max(count::peak() - held);
        allocations += count::allocations() - before;
    }
    (allocations.div_ceil(u64::from(times)), most)
}

/// Bytes that a response holds while it streams.
pub fn held(operation: &mut dyn Operation) -> i64 {
    operation.prepare();
    i64::try_from(operation.run()).unwrap_or(i64::MAX)
}

/// Nanoseconds an operation of each side, preparation subtracted: the best of many turns, taken alternately.
pub fn times(ours: &mut dyn Operation, theirs: &mut dyn Operation) -> (f64, f64) {
    const TURNS: u32 = 40;
    let mut best = [Duration::MAX; 4];
    for _ in 0..TURNS {
        best[0] = best[0].min(turn(ours, true));
        best[1] = best[1].min(turn(theirs, true));
        best[2] = best[2].min(turn(ours, false));
        best[3] = best[3].min(turn(theirs, false));
    }
    let net = |all: Duration, prepared: Duration| all.saturating_sub(prepared).as_nanos() as f64 / f64::from(A_TURN);
    (net(best[0], best[2]), net(best[1], best[3]))
}

const A_TURN: u32 = 100;

fn turn(operation: &mut dyn Operation, runs: bool) -> Duration {
    let began = Instant::now();
    for _ in 0..A_TURN {
        operation.prepare();
        if runs {
            black_box(operation.run());
        }
    }
    began.elapsed()
}
