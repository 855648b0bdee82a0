//! Destructors of thread locals that own work of ours or ask for the current context: a panic in one of them aborts the process.
#![cfg(all(feature = "sdk", feature = "tracing"))]

use std::{any::Any, cell::RefCell, future::pending, process::Command, thread, time::Duration};

use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use propagation_core::{
    Hop, Outcome, Peer, PropagationContext, Propagator, SpanKind, TraceContext,
    task::{Current, InContextExt},
};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing_subscriber::layer::SubscriberExt;

use crate::wire::PARENT;

thread_local! {
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Runs a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn keep(value: impl Any) {
    KEPT.with(|kept| kept.borrow_mut().push(Box::new(value)));
}

fn start(propagator: &Propagator, name: &'static str) -> propagation_core::HopSpan {
    let caller = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    propagator.start(Hop::remote(SpanKind::Server, caller).named(name))
}

/// All that asks for the current context, or needs one.
fn ask(propagator: &Propagator) -> impl FnMut() + use<> {
    let propagator = propagator.clone();
    move || {
        let _ = propagator.current();
        let _ = Current::capture(&propagator).in_scope(PropagationContext::current);
        let hop = start(&propagator, "late");
        let mut written: Vec<(String, Vec<u8>)> = Vec::new();
        hop.in_scope(|| propagator.inject(&Peer::http("stock"), &propagator.current(), &mut written));
        hop.set_attribute("late", true);
        hop.end(&Outcome::Unset);
        let _ = propagator.check();
    }
}

type Case = fn(&Propagator, &SdkTracerProvider);

/// Values that live until a thread ends, and the time at which each is stored.
const CASES: &[(&str, Case)] = &[
    ("asks", |propagator, _| {
        keep(OnDrop(ask(propagator)));
        start(propagator, "asks").in_scope(|| tracing::info_span!("user").in_scope(|| ()));
    }),
    ("asks, kept last", |propagator, _| {
        start(propagator, "asks, kept last").in_scope(|| tracing::info_span!("user").in_scope(|| ()));
        keep(OnDrop(ask(propagator)));
    }),
    ("owns a scope", |propagator, _| {
        let hop = start(propagator, "owns a scope");
        let asks = OnDrop(ask(propagator));
        keep(Box::pin(hop.scope(async move {
            let _asks = asks;
            pending::<()>().await;
        })));
        hop.in_scope(|| ());
    }),
    ("owns carried work", |propagator, _| {
        KEPT.with(|_| ());
        let hop = start(propagator, "owns carried work");
        let asks = OnDrop(ask(propagator));
        let carried = hop.in_scope(|| {
            tracing::info_span!("user").in_scope(|| {
                async move {
                    let _asks = asks;
                    pending::<()>().await;
                }
                .in_current_context(propagator)
            })
        });
        keep(Box::pin(carried));
    }),
    ("owns a hop", |propagator, _| {
        KEPT.with(|_| ());
        let hop = start(propagator, "owns a hop");
        hop.in_scope(|| ());
        keep(hop);
    }),
    ("nothing of ours before", |propagator, provider| {
        KEPT.with(|_| ());
        // Only the user's own code uses the APIs on this thread.
        provider.tracer("user").in_span("user", |context| assert!(context.has_active_span()));
        tracing::info_span!("user").in_scope(|| tracing::info_span!("inner").in_scope(|| ()));
        let (propagator, elsewhere) = (propagator.clone(), thread::current().id());
        let made = thread::spawn(move || {
            assert_ne!(thread::current().id(), elsewhere);
            let hop = start(&propagator, "nothing of ours before");
            let asks = OnDrop(ask(&propagator));
            let scope = hop.scope(async move {
                let _asks = asks;
                pending::<()>().await;
            });
            (Box::pin(scope), hop)
        });
        keep(made.join().unwrap());
    }),
];

/// Runs the cases in this process, and checks the spans.
fn run(bridge: &str) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer).with(lines)).unwrap();
    let propagator = Propagator::builder();
    let propagator = match bridge {
        "tracing" => propagator.bridge(TracingBridge::new()),
        "opentelemetry" => propagator.bridge(OpenTelemetryBridge::new(provider.tracer("shop"))),
        _ => propagator,
    };
    let propagator = propagator.build();
    for (name, case) in CASES {
        let (propagator, provider) = (propagator.clone(), provider.clone());
        thread::spawn(move || case(&propagator, &provider)).join().unwrap();
        println!("survived: {name}");
    }
    if bridge == "none" {
        return;
    }
    // Spans that end while their thread does are ended elsewhere.
    let missing = || {
        let spans = exporter.get_finished_spans().unwrap();
        CASES
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| spans.iter().all(|span| span.name != *name))
            .collect::<Vec<_>>()
    };
    for _ in 0..500 {
        if missing().is_empty() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("not exported: {:?}", missing());
}

#[test]
fn destructors_of_thread_locals_do_not_abort() {
    const BRIDGE: &str = "THREAD_END_BRIDGE";
    if let Ok(bridge) = std::env::var(BRIDGE) {
        return run(&bridge);
    }
    for bridge in ["tracing", "opentelemetry", "none"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "thread_end::destructors_of_thread_locals_do_not_abort", "--nocapture"])
            .env(BRIDGE, bridge)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(output.status.success(), "{bridge}: {}: {text}", output.status);
        assert_eq!(text.matches("survived: ").count(), CASES.len(), "{bridge}: {text}");
    }
}
