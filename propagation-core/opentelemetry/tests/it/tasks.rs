#![cfg(feature = "tracing")]

mod concurrent;
mod handed_over;

use std::{
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll},
};

use futures_core::Stream;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use propagation_core::{
    Hop, Outcome, PropagationContext, Propagator, SpanKind, TraceContext,
    task::{self, Current, InContextExt, InContextStreamExt},
};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tokio::task::yield_now;
use tracing_subscriber::layer::SubscriberExt;

fn caller(n: u32) -> PropagationContext {
    let parent = format!("00-4bf92f3577b34da6a3ce929d{n:08x}-00f067aa0ba902b7-01");
    let mut context = PropagationContext::new(TraceContext::new(parent.parse().unwrap()));
    context.baggage.set("n", &n.to_string()).unwrap();
    context
}

/// Asserts that the current context is that of request `n`.
fn check(propagator: &Propagator, n: u32) {
    let (found, own) = (propagator.current(), caller(n));
    assert_eq!(found.trace.trace_id(), own.trace.trace_id());
    assert_eq!(found.baggage, own.baggage);
}

/// Runs a check with each bridge and an exporter to look into.
fn with_each_bridge(check: impl Fn(&Propagator, &SdkTracerProvider, &InMemorySpanExporter)) {
    for (with_tracing, activation) in [(true, true), (true, false), (false, true)] {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer =
            tracing_opentelemetry::layer().with_tracer(provider.tracer("app")).with_context_activation(activation);
        let propagator = if with_tracing {
            Propagator::builder().bridge(TracingBridge::new()).build()
        } else {
            Propagator::builder().bridge(OpenTelemetryBridge::new(provider.tracer("shop"))).build()
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            check(&propagator, &provider, &exporter);
        });
    }
}

#[test]
fn spans_in_a_thread_join_the_current_span() {
    with_each_bridge(|propagator, _, exporter| {
        let server = propagator.start(Hop::remote(SpanKind::Server, caller(7)).named("server"));
        let sent = server.in_scope(|| {
            tracing::info_span!("handler").in_scope(|| {
                let inner = propagator.clone();
                let dispatch = tracing::dispatcher::get_default(Clone::clone);
                let run = task::carry(propagator, move || {
                    let ambient = inner.current();
                    tracing::info_span!("job").in_scope(|| {
                        let call = inner.start(Hop::local(SpanKind::Client, inner.current()).named("call"));
                        call.end(&Outcome::Unset);
                        (ambient, inner.current())
                    })
                });
                std::thread::spawn(move || tracing::dispatcher::with_default(&dispatch, run)).join().unwrap()
            })
        });
        server.end(&Outcome::Unset);
        let spans = exporter.get_finished_spans().unwrap();
        let span = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        let id = |context: &PropagationContext| context.trace.span_id().unwrap().to_string();
        assert_eq!(span("handler").parent_span_id, span("server").span_context.span_id());
        assert_eq!(id(&sent.0), span("handler").span_context.span_id().to_string());
        assert_eq!(span("job").parent_span_id, span("handler").span_context.span_id());
        assert_eq!(id(&sent.1), span("job").span_context.span_id().to_string());
        assert_eq!(span("call").parent_span_id, span("job").span_context.span_id());
    });
}

#[test]
fn work_captured_outside_a_hop_joins_no_request() {
    with_each_bridge(|propagator, provider, _| {
        let outside = Current::capture(propagator);
        let (in_span, expected) = provider.tracer("app").in_span("startup", |context| {
            (Current::capture(propagator), context.span().span_context().span_id().to_string())
        });
        let server = propagator.start(Hop::remote(SpanKind::Server, caller(8)).named("server"));
        server.in_scope(|| {
            outside.in_scope(|| assert!(propagator.current().is_empty()));
            let startup = in_span.in_scope(|| propagator.current());
            assert_eq!(startup.trace.span_id().unwrap().to_string(), expected);
            check(propagator, 8);
        });
    });
}

#[test]
fn repeated_callback_restores_context_each_time() {
    with_each_bridge(|propagator, _, _| {
        let first = propagator.start(Hop::remote(SpanKind::Producer, caller(1)));
        let callback = first.in_scope(|| Current::capture(propagator));
        let second = propagator.start(Hop::remote(SpanKind::Producer, caller(2)));
        second.in_scope(|| {
            for _ in 0..3 {
                callback.in_scope(|| check(propagator, 1));
                check(propagator, 2);
            }
        });
    });
}

#[test]
fn a_message_through_a_channel_takes_its_context_along() {
    let propagator = Propagator::default();
    let (sender, receiver) = mpsc::channel();
    for n in 1..=3 {
        let sender = sender.clone();
        propagator
            .start(Hop::remote(SpanKind::Server, caller(n)))
            .in_scope(|| sender.send((Current::capture(&propagator), n)).unwrap());
    }
    drop(sender);
    let inner = propagator.clone();
    std::thread::spawn(move || {
        for (current, n) in receiver {
            current.in_scope(|| check(&inner, n));
            assert!(inner.current().is_empty());
        }
    })
    .join()
    .unwrap();
}

struct Probe(Propagator, mpsc::Sender<PropagationContext>);

impl Stream for Probe {
    type Item = PropagationContext;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(Some(self.0.current()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (3, Some(4))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.1.send(self.0.current()).unwrap();
    }
}

#[tokio::test]
async fn stream_is_polled_and_dropped_in_its_context() {
    let propagator = Propagator::default();
    let (sender, receiver) = mpsc::channel();
    let hop = propagator.start(Hop::remote(SpanKind::Server, caller(9)));
    let mut stream = hop.in_scope(|| Box::pin(Probe(propagator.clone(), sender).stream_in_context(&propagator)));
    assert_eq!(stream.size_hint(), (3, Some(4)));
    let item = std::future::poll_fn(|task| stream.as_mut().poll_next(task)).await;
    assert_eq!(item, Some(caller(9)));
    drop(stream);
    assert_eq!(receiver.recv().unwrap(), caller(9));
}

#[tokio::test]
async fn stored_and_cancelled_work_keep_their_context() {
    let propagator = Propagator::default();
    let (sender, receiver) = mpsc::channel();
    let probe = Probe(propagator.clone(), sender);
    let inner = propagator.clone();
    let task = tokio::spawn(
        async move {
            let _held = probe;
            check(&inner, 5);
            std::future::pending::<()>().await;
        }
        .in_context(&propagator, caller(5)),
    );
    yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(receiver.recv().unwrap(), caller(5));
}
