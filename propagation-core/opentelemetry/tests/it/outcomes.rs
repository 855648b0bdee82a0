//! How hops end: by a panic, by a drop, by an error in a box.

use std::{
    error::Error,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Poll, Waker},
};

use opentelemetry::trace::{Status, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use propagation_core::{Exception, Hop, HopSpan, Outcome, PropagationContext, Propagator, SpanKind, task};
use propagation_opentelemetry::OpenTelemetryBridge;

struct Setup {
    propagator: Propagator,
    exporter: InMemorySpanExporter,
    _provider: SdkTracerProvider,
}

impl Setup {
    fn new() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let propagator = Propagator::builder().bridge(OpenTelemetryBridge::new(provider.tracer("shop"))).build();
        Self { propagator, exporter, _provider: provider }
    }

    fn hop(&self) -> HopSpan {
        self.propagator.start(Hop::remote(SpanKind::Consumer, PropagationContext::EMPTY).named("hop"))
    }

    fn span(&self) -> SpanData {
        let spans = self.exporter.get_finished_spans().unwrap();
        assert_eq!(spans.len(), 1);
        spans.into_iter().next().unwrap()
    }

    /// `error.type` and whether the status is an error.
    fn end(&self) -> (Option<String>, bool) {
        let span = self.span();
        (error_type(&span), matches!(span.status, Status::Error { .. }))
    }
}

fn error_type(span: &SpanData) -> Option<String> {
    span.attributes.iter().find(|each| each.key.as_str() == "error.type").map(|each| each.value.to_string())
}

fn cancelled() -> (Option<String>, bool) {
    (Some("cancelled".to_owned()), false)
}

fn panicked() -> (Option<String>, bool) {
    (Some("panic".to_owned()), true)
}

/// Panics when it is polled for the nth time.
async fn panics_after(awaits: usize) {
    for _ in 0..awaits {
        tokio::task::yield_now().await;
    }
    panic!("on purpose");
}

fn poll_to_the_end(future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    let mut task = Context::from_waker(Waker::noop());
    while future.as_mut().poll(&mut task) == Poll::Pending {}
}

/// Panics when it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "on purpose");
    }
}

#[test]
fn panic_through_a_hop_is_an_error() {
    type Way = fn(HopSpan);
    let ways: [(&str, Way); 6] = [
        ("closure", |hop| hop.in_scope(|| panic!("on purpose"))),
        ("before an await", |hop| poll_to_the_end(hop.scope(panics_after(0)))),
        ("after an await", |hop| poll_to_the_end(hop.scope(panics_after(2)))),
        ("on drop of the future", |hop| {
            let held = Grenade;
            drop(hop.scope(async move {
                let _held = held;
            }));
        }),
        ("in a hop inside", |hop| hop.in_scope(|| hop.in_scope(|| panic!("on purpose")))),
        ("through a second handle", |hop| hop.following().in_scope(|| panic!("on purpose"))),
    ];
    for (case, way) in ways {
        let setup = Setup::new();
        let hop = setup.hop();
        assert!(catch_unwind(AssertUnwindSafe(|| way(hop))).is_err());
        assert_eq!(setup.end(), panicked(), "{case}");
        assert_eq!(setup.span().events.len(), 1, "{case}: an exception record");
    }
}

#[tokio::test]
async fn panic_in_a_spawned_hop_is_an_error() {
    let thread = Setup::new();
    let hop = thread.hop();
    let carried = task::carry(&thread.propagator, move || hop.in_scope(|| panic!("on purpose")));
    assert!(std::thread::spawn(carried).join().is_err());
    assert_eq!(thread.end(), panicked());

    let spawned = Setup::new();
    let hop = spawned.hop();
    let work = task::spawn(&spawned.propagator, async move { hop.scope(panics_after(1)).await });
    assert!(work.await.unwrap_err().is_panic());
    assert_eq!(spawned.end(), panicked());
}

#[test]
fn panic_elsewhere_is_a_cancellation_of_a_dropped_hop() {
    let setup = Setup::new();
    let hop = setup.hop();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let mut scope = Box::pin(hop.scope(std::future::pending::<()>()));
        assert!(scope.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let _held = (scope, hop);
        panic!("of something else in the same task");
    }));
    assert!(unwound.is_err());
    assert_eq!(setup.end(), cancelled());
}

#[test]
fn panic_that_is_caught_inside_does_not_fail_the_hop() {
    let setup = Setup::new();
    let hop = setup.hop();
    hop.in_scope(|| assert!(catch_unwind(|| panic!("on purpose")).is_err()));
    hop.end(&Outcome::Unset);
    assert_eq!(setup.end(), (None, false));
}

#[test]
fn panicked_hop_keeps_an_error_that_its_end_names() {
    for (outcome, expected) in [(Outcome::Unset, "panic"), (Outcome::error("500"), "500")] {
        let setup = Setup::new();
        let hop = setup.hop();
        assert!(catch_unwind(AssertUnwindSafe(|| hop.in_scope(|| panic!("on purpose")))).is_err());
        assert!(hop.has_panicked());
        hop.end(&outcome);
        assert_eq!(setup.end(), (Some(expected.to_owned()), true));
    }
}

#[test]
fn refining_handle_decides_the_outcome_and_ends_nothing() {
    let setup = Setup::new();
    let hop = setup.hop();
    let inner = hop.refining();
    inner.rename("refined");
    hop.following().rename("ignored");
    inner.end(&Outcome::error("INTERNAL"));
    hop.following().end(&Outcome::error("ignored"));
    drop((hop.refining(), hop.following()));
    assert!(!hop.has_ended() && setup.exporter.get_finished_spans().unwrap().is_empty());
    hop.end(&Outcome::Unset);
    assert_eq!((setup.span().name.as_ref(), setup.end()), ("refined", (Some("INTERNAL".to_owned()), true)));
}

#[test]
fn boxed_error_has_the_type_of_its_content() {
    type Boxed = Box<dyn Error + Send + Sync>;
    let refused = || Err::<(), Boxed>(Box::new(io::Error::from(io::ErrorKind::ConnectionRefused)));
    let unknown = || Err::<(), Boxed>("no type".into());
    for (result, noted, expected) in [
        (refused(), None, "std::io::ErrorKind::ConnectionRefused"),
        (refused(), Some("shop::OutOfStock"), "std::io::ErrorKind::ConnectionRefused"),
        (unknown(), Some("shop::OutOfStock"), "shop::OutOfStock"),
        (unknown(), None, "_OTHER"),
    ] {
        let setup = Setup::new();
        let hop = setup.hop();
        hop.in_scope(|| noted.into_iter().for_each(|kind| Exception::new(kind).record_exception()));
        hop.end(&Outcome::of(&result));
        assert_eq!(setup.end(), (Some(expected.to_owned()), true));
    }
}

#[test]
fn run_ends_the_hop_with_the_result() {
    let setup = Setup::new();
    let failed =
        pin!(setup.hop().run(async { Err::<(), _>(std::fmt::Error) })).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(failed, Poll::Ready(Err(std::fmt::Error)));
    assert_eq!(setup.end(), (Some("core::fmt::Error".to_owned()), true));

    let setup = Setup::new();
    assert_eq!(setup.hop().run_sync(|| Ok::<_, std::fmt::Error>(7)), Ok(7));
    assert_eq!(setup.end(), (None, false));
}

#[test]
fn dropped_run_drops_the_future_inside_the_hop() {
    /// Ends a child span where it is dropped.
    struct Child(Propagator);
    impl Drop for Child {
        fn drop(&mut self) {
            let child = Hop::local(SpanKind::Internal, self.0.current()).named("child");
            self.0.start(child).end(&Outcome::Unset);
        }
    }
    for polled in [false, true] {
        let setup = Setup::new();
        let child = Child(setup.propagator.clone());
        let mut run = Box::pin(setup.hop().run(async move {
            let _child = child;
            std::future::pending::<Result<(), std::fmt::Error>>().await
        }));
        if polled {
            assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(run);
        // The order of ends: the child first, inside the hop.
        let spans = setup.exporter.get_finished_spans().unwrap();
        let [child, hop] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((child.name.as_ref(), hop.name.as_ref()), ("child", "hop"), "polled: {polled}");
        assert_eq!(child.parent_span_id, hop.span_context.span_id());
        assert_eq!(error_type(hop).as_deref(), Some("cancelled"));
    }
}
