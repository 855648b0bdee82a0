use std::panic::{AssertUnwindSafe, catch_unwind};

use propagation_core::{Hop, PropagationContext, Propagator, SpanKind, TraceContext};

use crate::wire::PARENT;

fn context(last: char) -> PropagationContext {
    let parent = format!("{}{last}-01", &PARENT[..51]).parse().unwrap();
    PropagationContext::new(TraceContext::new(parent))
}

#[test]
fn in_scope_restores_the_context_from_before() {
    let propagator = Propagator::default();
    let outer = propagator.start(Hop::remote(SpanKind::Server, context('1')));
    let inner = propagator.start(Hop::remote(SpanKind::Consumer, context('2')));
    assert!(propagator.current().is_empty());
    outer.in_scope(|| {
        assert_eq!(propagator.current(), context('1'));
        inner.in_scope(|| assert_eq!(propagator.current(), context('2')));
        assert_eq!(propagator.current(), context('1'));
    });
    assert!(propagator.current().is_empty());
}

#[test]
fn in_scope_restores_the_context_after_a_panic() {
    let propagator = Propagator::default();
    let outer = propagator.start(Hop::remote(SpanKind::Server, context('1')));
    let inner = propagator.start(Hop::remote(SpanKind::Consumer, context('2')));
    outer.in_scope(|| {
        let panicked = catch_unwind(AssertUnwindSafe(|| inner.in_scope(|| panic!("in the handler"))));
        assert!(panicked.is_err());
        assert_eq!(propagator.current(), context('1'));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scope_follows_the_future_across_threads() {
    let propagator = Propagator::default();
    let tasks: Vec<_> = (0..1000_u32)
        .map(|n| {
            let propagator = propagator.clone();
            let mut own = context('1');
            own.baggage.set("n", &n.to_string()).unwrap();
            let hop = propagator.continue_from(own.clone());
            let work = hop.scope(async move {
                for _ in 0..20 {
                    assert_eq!(propagator.current(), own);
                    tokio::task::yield_now().await;
                }
            });
            tokio::spawn(async move {
                let _hop = hop;
                work.await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
        assert!(propagator.current().is_empty());
    }
}

#[test]
fn scope_drops_the_future_in_its_context() {
    struct Reports(Propagator, std::sync::mpsc::Sender<PropagationContext>);
    impl Drop for Reports {
        fn drop(&mut self) {
            self.1.send(self.0.current()).unwrap();
        }
    }
    let propagator = Propagator::default();
    let (sender, receiver) = std::sync::mpsc::channel();
    let held = Reports(propagator.clone(), sender);
    let hop = propagator.continue_from(context('3'));
    drop(hop.scope(async move {
        let _held = held;
        std::future::pending::<()>().await;
    }));
    assert_eq!(receiver.recv().unwrap(), context('3'));
}

#[test]
fn suppressed_scope_carries_no_context_without_a_bridge() {
    let propagator = Propagator::default();
    let parent = PropagationContext::new(TraceContext::new(
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap(),
    ));
    let request = propagator.continue_from(parent.clone());
    request.in_scope(|| {
        propagator.suppressed().in_scope(|| {
            assert!(propagator.current().is_empty());
            let nested = propagator.continue_from(parent.clone());
            nested.in_scope(|| assert!(propagator.current().is_empty()));
        });
        assert_eq!(propagator.current(), parent);
    });
}
