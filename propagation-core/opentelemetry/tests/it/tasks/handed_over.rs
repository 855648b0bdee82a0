//! Work on other threads: rayon, channels, futures that `select!` drops, contexts that are stored as text.

use std::{sync::mpsc, time::Duration};

use propagation_core::{
    Hop, InboundRule, OutboundRule, Outcome, Peer, Policy, PropagationContext, Propagator, SpanKind, StoredContext,
    TraceId,
    task::{self, Current, InContextExt},
};
use rayon::{
    ThreadPool, ThreadPoolBuilder,
    iter::{IntoParallelIterator, ParallelIterator},
};

use super::{caller, check, concurrent::Application};

fn pool(application: &Application) -> ThreadPool {
    let dispatch = application.dispatch.clone();
    let spawn = move |thread: rayon::ThreadBuilder| {
        let dispatch = dispatch.clone();
        std::thread::spawn(move || tracing::dispatcher::with_default(&dispatch, || thread.run()));
        Ok(())
    };
    ThreadPoolBuilder::new().num_threads(4).spawn_handler(spawn).build().unwrap()
}

#[test]
fn stolen_rayon_jobs_run_in_their_own_request() {
    Application::each(|application| {
        let propagator = &application.propagator;
        let pool = pool(&application);
        std::thread::scope(|threads| {
            for n in 1..=8 {
                let (pool, dispatch) = (&pool, &application.dispatch);
                let request = move || {
                    let hop = propagator.start(Hop::remote(SpanKind::Server, caller(n)).named("request"));
                    hop.in_scope(|| {
                        let current = Current::capture(propagator);
                        let job = |depth: u32| {
                            current.in_scope(|| {
                                check(propagator, n);
                                tracing::info_span!("job", n, depth).in_scope(|| check(propagator, n));
                            });
                        };
                        pool.install(|| {
                            (0..50_u32).into_par_iter().for_each(job);
                            // Who waits for one half may run another request's job meanwhile, inside of its own.
                            current.in_scope(|| {
                                rayon::join(
                                    || current.in_scope(|| rayon::join(|| job(1), || job(2))),
                                    task::carry(propagator, || check(propagator, n)),
                                );
                                check(propagator, n);
                            });
                        });
                    });
                    hop.end(&Outcome::Unset);
                };
                threads.spawn(move || tracing::dispatcher::with_default(dispatch, request));
            }
        });
        assert!(pool.broadcast(|_| propagator.current().is_empty()).into_iter().all(|empty| empty));
        for span in application.spans().iter().filter(|span| span.name == "job") {
            let n = span.attributes.iter().find(|each| each.key.as_str() == "n").unwrap();
            let own = caller(n.value.to_string().parse().unwrap()).trace.trace_id().unwrap();
            assert_eq!(span.span_context.trace_id().to_string(), own.to_string());
        }
    });
}

#[test]
fn channel_messages_are_handled_in_their_own_request() {
    Application::each(|application| {
        let propagator = &application.propagator;
        let (sender, receiver) = mpsc::channel::<(Current, u32)>();
        let receiver = std::sync::Mutex::new(receiver);
        std::thread::scope(|threads| {
            for _ in 0..3 {
                let consume = || {
                    loop {
                        let Ok((current, n)) = receiver.lock().unwrap().recv() else { break };
                        current.in_scope(|| check(propagator, n));
                        assert!(propagator.current().is_empty());
                    }
                };
                let dispatch = &application.dispatch;
                threads.spawn(move || tracing::dispatcher::with_default(dispatch, consume));
            }
            for n in 1..=100 {
                let hop = propagator.start(Hop::remote(SpanKind::Server, caller(n)));
                hop.in_scope(|| sender.send((Current::capture(propagator), n)).unwrap());
            }
            drop(sender);
        });
    });
}

/// Sends the current context when it is dropped.
struct Dropped<'a>(&'a Propagator, mpsc::Sender<PropagationContext>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.1.send(self.0.current()).unwrap();
    }
}

async fn never(held: Dropped<'_>) {
    let _held = held;
    std::future::pending::<()>().await;
}

#[test]
fn work_dropped_by_select_or_timeout_keeps_its_request() {
    Application::each(|application| {
        let propagator = &application.propagator;
        let (sender, receiver) = mpsc::channel();
        let probe = || Dropped(propagator, sender.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        tracing::dispatcher::with_default(&application.dispatch, || {
            runtime.block_on(async {
                let (outer, inner) = (
                    propagator.start(Hop::remote(SpanKind::Server, caller(1))),
                    propagator.start(Hop::remote(SpanKind::Server, caller(2))),
                );
                let (own, other) = (outer.context().clone(), inner.context().clone());
                outer
                    .scope(async {
                        tokio::select! {
                            biased;
                            () = never(probe()) => {}
                            () = inner.scope(never(probe())) => {}
                            () = tokio::task::yield_now() => {}
                        }
                        let mut dropped = [receiver.recv().unwrap(), receiver.recv().unwrap()];
                        dropped.sort_by_key(|context| context.trace.trace_id().map(TraceId::to_bytes));
                        assert_eq!(dropped, [own.clone(), other.clone()]);
                        assert_eq!(propagator.current(), own);
                        let given_up = never(probe()).in_context(propagator, caller(3));
                        assert!(tokio::time::timeout(Duration::ZERO, given_up).await.is_err());
                        assert_eq!(receiver.recv().unwrap(), caller(3));
                        assert_eq!(propagator.current(), own);
                    })
                    .await;
                assert!(propagator.current().is_empty());
            });
        });
    });
}

#[test]
fn work_stored_as_text_continues_its_trace() {
    Application::each(|application| {
        let propagator = &application.propagator;
        let outbox = Peer::process("outbox");
        let policy = Policy::builder()
            .outbound(OutboundRule::peers(["process:outbox"]).allow("n"))
            .inbound(InboundRule::peers(["process:outbox"]).allow("n"));
        propagator.set_policy(policy.build().unwrap());
        let (column, written) = tracing::dispatcher::with_default(&application.dispatch, || {
            let hop = propagator.start(Hop::remote(SpanKind::Server, caller(4)).named("request"));
            let stored = hop.in_scope(|| {
                let mut stored = StoredContext::new();
                propagator.inject(&outbox, &propagator.current(), &mut stored);
                stored.to_string()
            });
            (stored, hop.context().clone())
        });
        let resume = || {
            let stored: StoredContext = column.parse().unwrap();
            let resumed = Current::resume(propagator, propagator.extract(&outbox, &stored).context);
            resumed.in_scope(|| {
                check(propagator, 4);
                tracing::info_span!("resumed").in_scope(|| check(propagator, 4));
            });
            assert!(propagator.current().is_empty());
        };
        std::thread::scope(|threads| {
            threads.spawn(|| tracing::dispatcher::with_default(&application.dispatch, resume));
        });
        let spans = application.spans();
        if let Some(resumed) = spans.iter().find(|span| span.name == "resumed") {
            assert_eq!(resumed.parent_span_id.to_string(), written.trace.span_id().unwrap().to_string());
        }
        let records = tracing::dispatcher::with_default(&application.dispatch, || propagator.is_recording());
        assert_eq!(spans.len(), if records { 2 } else { 0 });
    });
}
