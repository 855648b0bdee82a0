use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::{Hop, SpanKind};

fn hop(n: u8) -> HopSpan {
    let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902{n:02x}-01").parse().unwrap();
    Propagator::default().start(Hop::remote(SpanKind::Server, PropagationContext::new(TraceContext::new(parent))))
}

fn current() -> PropagationContext {
    PropagationContext::of_hop()
}

#[test]
fn hops_that_are_left_out_of_order_leave_each_other_alone() {
    let (first, second) = (hop(1), hop(2));
    let (entered_first, entered_second) = (push(&first.0, Place::here()), push(&second.0, Place::here()));
    drop(entered_first);
    assert_eq!(&current(), second.context());
    drop(entered_second);
    assert!(current().is_empty());
}

#[test]
#[cfg(debug_assertions)]
fn a_hop_that_is_still_entered_when_the_one_around_it_is_left_is_named() {
    let (outer, inner) = (hop(1), hop(2));
    let watch = Watch::before(&outer.0, Place::here());
    let entered = push(&outer.0, Place::here());
    let line = line!() + 1;
    let left_behind = push(&inner.0, Place::here());
    drop(entered);
    let panic = catch_unwind(AssertUnwindSafe(|| watch.after())).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains(&format!("{}:{line}:", file!())), "{message}");
    drop(left_behind);

    let watch = Watch::before(&outer.0, Place::here());
    drop(push(&outer.0, Place::here()));
    watch.after();
}
