//! A thousand requests at once, on a runtime that moves tasks between threads: with each bridge, and with none.

use std::{
    cell::RefCell,
    future::Future,
    pin::pin,
    sync::mpsc,
    task::{Context, Poll, Waker},
};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use propagation_core::{
    Hop, NoBridge, Outcome, Propagator, SpanKind,
    task::{self, InContextExt, JoinSetExt},
};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinSet, yield_now},
};
use tracing::{Dispatch, Instrument, dispatcher::DefaultGuard};
use tracing_subscriber::layer::SubscriberExt;

use super::{caller, check};

/// Which tracing API the application uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Which {
    None,
    OpenTelemetry,
    Tracing,
}

/// An application: a propagator, and threads on which its spans go to an exporter.
pub(super) struct Application {
    pub(super) propagator: Propagator,
    pub(super) dispatch: Dispatch,
    provider: SdkTracerProvider,
    exporter: InMemorySpanExporter,
}

impl Application {
    pub(super) fn new(which: Which) -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let builder = Propagator::builder();
        let propagator = match which {
            Which::None => builder.bridge(NoBridge),
            Which::OpenTelemetry => builder.bridge(OpenTelemetryBridge::new(provider.tracer("shop"))),
            Which::Tracing => builder.bridge(TracingBridge::new()),
        };
        // Without a bridge there are no spans for a user's own to join.
        let layer = (which != Which::None).then(|| tracing_opentelemetry::layer().with_tracer(provider.tracer("app")));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Self { propagator: propagator.build(), dispatch, provider, exporter }
    }

    pub(super) fn each(check: impl Fn(Self)) {
        for which in [Which::None, Which::OpenTelemetry, Which::Tracing] {
            check(Self::new(which));
        }
    }

    /// Four workers, and as many threads for blocking work as are wanted.
    fn runtime(&self) -> Runtime {
        thread_local!(static SUBSCRIBER: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) });
        let dispatch = self.dispatch.clone();
        let start = move || SUBSCRIBER.set(Some(tracing::dispatcher::set_default(&dispatch)));
        let stop = || drop(SUBSCRIBER.take());
        Builder::new_multi_thread().worker_threads(4).on_thread_start(start).on_thread_stop(stop).build().unwrap()
    }

    pub(super) fn spans(&self) -> Vec<SpanData> {
        self.provider.force_flush().unwrap();
        self.exporter.get_finished_spans().unwrap()
    }
}

async fn work(propagator: Propagator, n: u32) {
    let span = tracing::info_span!("work", n);
    let steps = async {
        for _ in 0..3 {
            check(&propagator, n);
            yield_now().await;
            tracing::info_span!("step", n).in_scope(|| check(&propagator, n));
        }
    };
    steps.instrument(span).await;
}

/// How often a request makes one of the spans `work`.
const WORKS: usize = 5;

/// One request that loses itself in every way a program can.
async fn request(propagator: Propagator, n: u32) {
    let hop = propagator.start(Hop::remote(SpanKind::Server, caller(n)).named("request"));
    let inner = propagator.clone();
    hop.scope(async move {
        let propagator = inner;
        let spawned = task::spawn(&propagator, work(propagator.clone(), n));
        let nested = propagator.clone();
        let blocking = task::spawn_blocking(&propagator, move || check(&nested, n));
        let mut set = JoinSet::new();
        set.spawn_in_context(&propagator, work(propagator.clone(), n));
        let in_set = propagator.clone();
        set.spawn_blocking_in_context(&propagator, move || check(&in_set, n));
        let own = tokio::spawn(work(propagator.clone(), n).in_current_context(&propagator));
        tokio::select! {
            biased;
            () = work(propagator.clone(), n) => {}
            () = std::future::pending() => {}
        }
        let call = propagator.start(Hop::local(SpanKind::Client, propagator.current()).named("call"));
        call.scope(work(propagator.clone(), n)).await;
        call.end(&Outcome::Unset);
        spawned.await.unwrap();
        blocking.await.unwrap();
        own.await.unwrap();
        while let Some(done) = set.join_next().await {
            done.unwrap();
        }
        check(&propagator, n);
    })
    .await;
    hop.end(&Outcome::Unset);
}

const REQUESTS: u32 = 1000;

async fn requests(propagator: Propagator) {
    let requests: Vec<_> = (1..=REQUESTS).map(|n| tokio::spawn(request(propagator.clone(), n))).collect();
    for request in requests {
        request.await.unwrap();
        assert!(propagator.current().is_empty(), "nothing stays on a thread");
    }
    let after = (0..64).map(|_| {
        let (propagator, blocking) = (propagator.clone(), propagator.clone());
        let blocking = tokio::task::spawn_blocking(move || blocking.current());
        (tokio::spawn(async move { propagator.current() }), blocking)
    });
    for (task, blocking) in after.collect::<Vec<_>>() {
        assert!(task.await.unwrap().is_empty() && blocking.await.unwrap().is_empty(), "nothing stays on a worker");
    }
}

fn a_thousand_requests(which: Which) -> Vec<SpanData> {
    let application = Application::new(which);
    let runtime = application.runtime();
    runtime.block_on(runtime.spawn(requests(application.propagator.clone()))).unwrap();
    drop(runtime);
    application.spans()
}

/// Every span is in the trace of its own request, and all of one request are one tree.
fn check_spans(spans: &[SpanData]) {
    let requests = REQUESTS as usize;
    let of = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    assert_eq!((of("request").len(), of("call").len()), (requests, requests));
    assert_eq!((of("work").len(), of("step").len()), (requests * WORKS, requests * WORKS * 3));
    let parents: std::collections::HashMap<_, _> =
        spans.iter().map(|span| (span.span_context.span_id(), span)).collect();
    for span in spans {
        let trace = span.span_context.trace_id();
        if let Some(n) = span.attributes.iter().find(|each| each.key.as_str() == "n") {
            let n: u32 = n.value.to_string().parse().unwrap();
            assert_eq!(trace.to_string(), caller(n).trace.trace_id().unwrap().to_string(), "{}", span.name);
        }
        let parent = parents.get(&span.parent_span_id);
        let expected: &[&str] = match &*span.name {
            "request" => {
                assert!(parent.is_none() && span.parent_span_is_remote);
                continue;
            }
            "call" => &["request"],
            "work" => &["request", "call"],
            _ => &["work"],
        };
        let parent = parent.unwrap_or_else(|| panic!("{} has lost its parent", span.name));
        assert!(expected.contains(&&*parent.name), "{} under {}", span.name, parent.name);
        assert_eq!(parent.span_context.trace_id(), trace);
    }
}

#[test]
fn thousand_requests_stay_apart_without_bridge() {
    assert!(a_thousand_requests(Which::None).is_empty());
}

#[test]
fn thousand_requests_stay_apart_with_opentelemetry() {
    check_spans(&a_thousand_requests(Which::OpenTelemetry));
}

#[test]
fn thousand_requests_stay_apart_with_tracing() {
    check_spans(&a_thousand_requests(Which::Tracing));
}

/// A runtime may move a task at every await; here one does, whatever the scheduler likes.
#[test]
fn task_that_changes_threads_keeps_its_context() {
    Application::each(|Application { propagator, dispatch, .. }| {
        let hop = propagator.start(Hop::remote(SpanKind::Server, caller(3)).named("request"));
        let inner = propagator.clone();
        let mut task = Box::pin(hop.scope(async move {
            let carried = work(inner.clone(), 3).in_current_context(&inner);
            work(inner.clone(), 3).await;
            carried.await;
            check(&inner, 3);
        }));
        let mut polls = 0;
        loop {
            polls += 1;
            let (sender, receiver) = mpsc::channel();
            let (propagator, dispatch) = (propagator.clone(), dispatch.clone());
            let moved = std::thread::spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    let poll = pin!(&mut task).poll(&mut Context::from_waker(Waker::noop()));
                    assert!(propagator.current().is_empty(), "nothing stays on the thread");
                    sender.send(task).unwrap();
                    poll
                })
            });
            let poll = moved.join().unwrap();
            task = receiver.recv().unwrap();
            if let Poll::Ready(()) = poll {
                break;
            }
        }
        assert!(polls > 6, "it moved {polls} times");
    });
}
