//! Guards of the tracing API that outlive the hop they were taken in: their place is named.
#![cfg(feature = "tracing")]

use std::{
    future::Future,
    mem::{self, ManuallyDrop},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use opentelemetry::{
    KeyValue,
    trace::{TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{
    Bridge, Hop, PropagationContext, Propagator, SpanKind, TraceContext,
    hop::GuardLeaks,
    task::{Current, InContextExt},
};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing_subscriber::{Layer, layer::SubscriberExt};

use crate::wire::PARENT;

/// The errors of the target `propagation`.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Errors {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == "propagation" && *event.metadata().level() == tracing::Level::ERROR {
            struct Text(String);
            impl tracing::field::Visit for Text {
                fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                    self.0.push_str(&format!("{field}={value:?} "));
                }
            }
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }
}

/// Runs a check on a thread of its own, where a guard may stay behind: with either bridge, contexts activated and not.
fn with_each_bridge(check: impl Fn(&Propagator, &SdkTracerProvider, &Errors) + Send + Sync) {
    for (with_tracing, activation) in [(true, true), (true, false), (false, true)] {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let provider = SdkTracerProvider::builder().build();
                let propagator = if with_tracing {
                    with(TracingBridge::new())
                } else {
                    with(OpenTelemetryBridge::new(provider.tracer("shop")))
                };
                let spans = tracing_opentelemetry::layer()
                    .with_tracer(provider.tracer("app"))
                    .with_context_activation(activation);
                let errors = Errors::default();
                let subscriber = tracing_subscriber::registry().with(spans).with(errors.clone());
                tracing::subscriber::with_default(subscriber, || check(&propagator, &provider, &errors));
            });
        });
    }
}

fn with(bridge: impl Bridge + 'static) -> Propagator {
    Propagator::builder().bridge(bridge).guard_leaks(GuardLeaks::Panic).build()
}

fn start(propagator: &Propagator) -> propagation_core::HopSpan {
    let caller = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    propagator.start(Hop::remote(SpanKind::Server, caller).named("server"))
}

/// Pends once.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|_| if mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Leaves a guard in force.
fn forget<T>(guard: T) {
    let _ = ManuallyDrop::new(guard);
}

/// Returns the message of a panic.
fn panic_of(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("no guard was noticed");
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
}

#[test]
fn span_held_across_an_await_is_reported_with_its_scope() {
    with_each_bridge(|propagator, _, errors| {
        let hop = start(propagator);
        let line = line!() + 2;
        let mut future = pin!(hop.scope(async {
            let span = tracing::info_span!("handler");
            let _held = span.enter();
            pause().await;
        }));
        let message = panic_of(|| assert!(poll(future.as_mut()).is_pending()));
        let (span, scope) = (format!("`handler` of {}:{line}", file!()), format!("{}:{}", file!(), line - 1));
        assert!(message.contains(&span) && message.contains(&scope), "{message}");
        let errors = errors.0.lock().unwrap();
        assert!(errors.len() == 1 && errors[0].contains(&span), "{errors:?}");
    });
}

#[test]
fn carried_work_is_named_by_the_place_of_its_capture() {
    with_each_bridge(|propagator, provider, _| {
        let line = line!() + 1;
        let current = start(propagator).in_scope(|| Current::capture(propagator));
        let tracer = provider.tracer("user");
        let attach = || forget(opentelemetry::Context::current_with_span(tracer.start("user")).attach());
        let message = panic_of(|| current.in_scope(attach));
        assert!(message.contains(&format!("{}:{line}:", file!())), "{message}");
        assert!(message.contains("a context of OpenTelemetry"), "{message}");
    });
}

#[test]
fn panic_is_unchanged_with_a_leaked_guard() {
    with_each_bridge(|propagator, _, errors| {
        let hop = start(propagator);
        let message = panic_of(|| {
            hop.in_scope(|| {
                forget(tracing::info_span!("handler").entered());
                panic!("of the handler's own");
            });
        });
        assert_eq!(message, "of the handler's own");
        assert!(errors.0.lock().unwrap().is_empty());
    });
}

#[test]
fn guards_dropped_in_any_order_are_not_reported() {
    with_each_bridge(|propagator, provider, errors| {
        let (outer, inner) = (start(propagator), start(propagator));
        let before = tracing::info_span!("before").entered();
        outer.in_scope(|| {
            let (first, second) = (tracing::info_span!("first").entered(), tracing::info_span!("second").entered());
            // A hop within itself, and one that is captured within a user's span of its own.
            outer.in_scope(|| inner.in_scope(|| outer.in_scope(|| ())));
            Current::capture(propagator).in_scope(|| tracing::info_span!("third").in_scope(|| ()));
            drop(first);
            let third = tracing::info_span!("third").entered();
            outer.in_scope(|| drop(third));
            inner.in_scope(|| drop(second));
            let baggage = opentelemetry::baggage::BaggageExt::current_with_baggage([KeyValue::new("plan", "pro")]);
            let baggage: opentelemetry::ContextGuard = opentelemetry::Context::attach(baggage);
            provider.tracer("user").in_span("user", |_| drop(baggage));
            // Taken outside, left inside.
            drop(before);
        });
        let mut future = pin!(async { pause().await }.in_context(propagator, PropagationContext::EMPTY));
        while poll(future.as_mut()).is_pending() {}
        assert!(errors.0.lock().unwrap().is_empty());
        assert!(propagator.current().is_empty());
    });
}

#[test]
fn without_a_bridge_a_users_span_is_nobodys_concern() {
    let propagator = Propagator::default();
    let hop = start(&propagator);
    let subscriber = tracing_subscriber::registry();
    tracing::subscriber::with_default(subscriber, || {
        let mut future = pin!(hop.scope(async {
            let span = tracing::info_span!("handler");
            let _held = span.enter();
            pause().await;
        }));
        assert!(poll(future.as_mut()).is_pending());
        assert!(poll(future.as_mut()).is_ready());
    });
}

#[test]
fn a_leaked_guard_is_an_error_event_and_no_panic_by_default() {
    for (leaks, expected) in [(None, usize::from(cfg!(debug_assertions))), (Some("report"), 1), (Some("ignore"), 0)] {
        std::thread::spawn(move || {
            let look_up = |name: &str| leaks.filter(|_| name == "PROPAGATION_GUARD_LEAKS").map(str::to_owned);
            let propagator = Propagator::builder().bridge(TracingBridge::new()).switches_from(look_up).build();
            let provider = SdkTracerProvider::builder().build();
            let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));
            let errors = Errors::default();
            let subscriber = tracing_subscriber::registry().with(spans).with(errors.clone());
            tracing::subscriber::with_default(subscriber, || {
                let hop = start(&propagator);
                hop.in_scope(|| forget(tracing::info_span!("handler").entered()));
            });
            assert_eq!(errors.0.lock().unwrap().len(), expected, "{leaks:?}");
        })
        .join()
        .unwrap();
    }
}
