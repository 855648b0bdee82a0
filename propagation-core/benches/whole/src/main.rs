//! One side of the cases of whole requests and messages that `versus -- whole` measures.
//!
//! `list`, or `run|allocations SIDE CASE…`, where a side is `ours`, a peer, or `none`: the service alone, which is subtracted from all
//! sides. Before it is measured, an operation runs once with its spans kept: they must be exported, have the parent and tracestate that
//! were received, and the outgoing request or message must carry the context.

mod by_hand;
mod cases;
#[path = "../../peers/src/count.rs"]
mod count;
mod http_cases;
mod input;
#[path = "../../peers/src/measure.rs"]
#[allow(dead_code, reason = "the other package takes times, too")]
mod measure;
mod messages;
mod reqwest_case;
#[path = "../../peers/src/streams.rs"]
mod streams;
mod telemetry;
mod verify;

use cases::{Bridge, Case, Operation};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_http::HeaderExtractor;
use propagation_core::{Hop, Peer, Propagator, SpanKind, Transport};
use propagation_http::HeaderCarrier;

#[global_allocator]
static ALLOCATOR: count::Counting = count::Counting;

const RUNS: u32 = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["list"] => {
            for case in cases::all() {
                println!("{} false {} {}", case.name, case.operation != Operation::Stream, case.peers.join(" "));
            }
        }
        ["run", side, wanted @ ..] => each(side, wanted, |_, operation| {
            (measure::warm(operation, RUNS) && measure::measured(operation, RUNS)).then(|| RUNS.to_string())
        }),
        ["allocations", side, wanted @ ..] => each(side, wanted, |case, operation| {
            measure::warm(operation, RUNS).then(|| {
                let (allocations, most) = measure::allocations(operation, RUNS);
                let held = if case.operation == Operation::Stream { measure::held(operation) } else { most };
                format!("{allocations} {held}")
            })
        }),
        _ => panic!("list | run|allocations SIDE CASE…"),
    }
}

/// Measures a side in the cases that are wanted, and prints a line for each.
fn each(side: &str, wanted: &[&str], mut measure: impl FnMut(&Case, &mut dyn measure::Operation) -> Option<String>) {
    telemetry::install(side);
    for case in cases::all().iter().filter(|case| wanted.contains(&case.name.as_str())) {
        telemetry::sample(case.sampling);
        let mut printed = None;
        let mut measured = |operation: &mut dyn measure::Operation| {
            // Fills caches, and makes the checks of a first span.
            measure::warm(operation, 2);
            if side != "none" {
                verify::check(case, side, operation);
            }
            printed = measure(case, operation);
            telemetry::flush();
        };
        around(case, side, &mut measured);
        println!("{} {}", case.name, printed.as_deref().unwrap_or("panics"));
    }
}

/// Builds the operation of a side and runs `run` with it, inside the hop or span that a client call or a sent message belongs to.
fn around(case: &Case, side: &str, run: &mut dyn FnMut(&mut dyn measure::Operation)) {
    let propagator = if side == "ours" { input::propagator(case) } else { Propagator::default() };
    let mut operation = match case.operation {
        Operation::Send(_) | Operation::Process(_) | Operation::Inject(_) | Operation::Extract(_) => {
            messages::operation(case, side, &propagator)
        }
        _ => http_cases::operation(case, side, &propagator),
    };
    let _idle = (case.bridge == Bridge::IdleTracing)
        .then(|| tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default()));
    let outgoing = matches!(
        case.operation,
        Operation::Client | Operation::GrpcClient | Operation::Reqwest | Operation::Send(_) | Operation::Inject(_)
    );
    if !outgoing {
        return run(&mut *operation);
    }
    let headers = input::headers(case.input, &[]);
    match side {
        "ours" => {
            let admission = propagator.extract(&Peer::caller(Transport::HTTP), &HeaderCarrier::new(&headers));
            let hop = propagator.start(Hop::admitted(SpanKind::Server, admission).named("GET /orders/{id}"));
            hop.in_scope(|| run(&mut *operation));
        }
        "none" => run(&mut *operation),
        "by-hand" => {
            use opentelemetry::trace::{TraceContextExt, Tracer};

            let parent = telemetry::propagator().extract(&HeaderExtractor(&headers));
            let _attached = if matches!(case.operation, Operation::Inject(_)) {
                parent.attach()
            } else {
                let span = telemetry::tracer().start_with_context("GET /orders/{id}", &parent);
                parent.with_span(span).attach()
            };
            run(&mut *operation);
        }
        "reqwest-tracing" => {
            use opentelemetry_0_32::propagation::{Extractor, TextMapPropagator};
            use tracing_opentelemetry_0_33::OpenTelemetrySpanExt;

            struct Reader<'a>(&'a http::HeaderMap);

            impl Extractor for Reader<'_> {
                fn get(&self, key: &str) -> Option<&str> {
                    self.0.get(key)?.to_str().ok()
                }

                fn keys(&self) -> Vec<&str> {
                    self.0.keys().map(http::HeaderName::as_str).collect()
                }
            }

            let composite = opentelemetry_0_32::propagation::TextMapCompositePropagator::new(vec![
                Box::new(opentelemetry_sdk_0_32::propagation::TraceContextPropagator::new()),
                Box::new(opentelemetry_sdk_0_32::propagation::BaggagePropagator::new()),
            ]);
            let span = tracing::info_span!("GET /orders/{id}");
            let _ = span.set_parent(composite.extract(&Reader(&headers)));
            span.in_scope(|| run(&mut *operation));
        }
        _ => {
            use tracing_opentelemetry::OpenTelemetrySpanExt;

            let span = tracing::info_span!("GET /orders/{id}");
            let _ = span.set_parent(telemetry::propagator().extract(&HeaderExtractor(&headers)));
            span.in_scope(|| run(&mut *operation));
        }
    }
}
