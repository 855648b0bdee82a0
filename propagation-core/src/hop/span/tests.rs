use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::{
    Hop, Propagator, SpanKind,
    hop::GuardLeaks,
    hop::{guard_leak::GuardLeakCheck, stack::push},
};

fn hop(n: u8) -> HopSpan {
    let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902{n:02x}-01").parse().unwrap();
    Propagator::default()
        .start(Hop::remote(SpanKind::Server, PropagationContext::new(crate::TraceContext::new(parent))))
}

fn current() -> PropagationContext {
    PropagationContext::current()
}

#[test]
fn hops_left_out_of_order_stay_independent() {
    let (first, second) = (hop(1), hop(2));
    let (entered_first, entered_second) = (push(&first.hop, CallSite::here()), push(&second.hop, CallSite::here()));
    drop(entered_first);
    assert_eq!(&current(), second.context());
    drop(entered_second);
    assert!(current().is_empty());
}

/// Makes spans that do nothing.
#[derive(Debug)]
struct Idle;

impl crate::Bridge for Idle {
    fn is_recording(&self) -> bool {
        true
    }

    fn current(&self, _: Option<crate::bridge::CurrentHop<'_>>) -> Option<PropagationContext> {
        None
    }

    fn start(&self, hop: Hop) -> crate::bridge::Started {
        crate::bridge::Started::span(hop.parent, Box::new(Self))
    }
}

impl BridgeSpan for Idle {
    fn enter(&self, run: &mut dyn FnMut()) {
        run();
    }

    fn set_attribute(&self, _: Attribute) {}

    fn add_link(&self, _: crate::Link) {}

    fn rename(&self, _: std::borrow::Cow<'static, str>) {}

    fn end(&self, _: &Outcome) {}
}

#[test]
fn hop_still_entered_is_named_in_panic() {
    let propagator = Propagator::builder().bridge(Idle).guard_leaks(GuardLeaks::Panic).build();
    let hop = || propagator.start(Hop::remote(SpanKind::Server, PropagationContext::EMPTY));
    let (outer, inner) = (hop(), hop());
    let check = GuardLeakCheck::before(&outer.hop, CallSite::here()).unwrap();
    let entered = push(&outer.hop, CallSite::here());
    let line = line!() + 1;
    let left_behind = push(&inner.hop, CallSite::here());
    drop(entered);
    let panic = catch_unwind(AssertUnwindSafe(|| check.after())).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains(&format!("{}:{line}:", file!())), "{message}");
    drop(left_behind);

    let check = GuardLeakCheck::before(&outer.hop, CallSite::here()).unwrap();
    drop(push(&outer.hop, CallSite::here()));
    check.after();
}

#[test]
fn bridge_without_scopes_continues_in_the_context() {
    let propagator = Propagator::builder().bridge(Idle).build();
    let context = hop(1).context().clone();
    let continued = propagator.continue_from(context.clone());
    assert!(!continued.is_recording());
    continued.in_scope(|| assert_eq!((current(), propagator.current()), (context.clone(), context)));
    assert!(current().is_empty());
}

#[test]
fn enter_without_callback_still_runs_the_work() {
    assert_eq!(thread_end::enter(|_| (), || 5), 5);
    assert_eq!(thread_end::enter(|run| run(), || 6), 6);
}

#[test]
fn first_access_passes_on_the_panic_of_the_work() {
    std::thread::spawn(|| {
        let panic = catch_unwind(|| thread_end::enter(|run| run(), || -> u8 { panic!("of the user's own") }));
        assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"of the user's own"));
        assert!(!thread_end::is_ending());
    })
    .join()
    .unwrap();
}
