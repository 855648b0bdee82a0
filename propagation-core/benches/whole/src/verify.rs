//! The checks before a case is measured: a side that does less work must not look faster.

use crate::{
    cases::{Bridge, Case, Input, Operation, Sampling},
    http_cases, input, measure, telemetry,
};

/// Runs an operation once and checks its spans and fields. Panics for ours, reports for peers.
pub fn check(case: &Case, side: &str, operation: &mut dyn measure::Operation) {
    let mut result = 0;
    let spans = telemetry::spans_of(|| {
        operation.prepare();
        result = operation.run();
    });
    let mut faults = Vec::new();
    let no_spans = matches!(case.bridge, Bridge::None | Bridge::IdleOpenTelemetry | Bridge::IdleTracing);
    let expected = usize::from(!no_spans && case.sampling != Sampling::Never);
    if spans.len() != expected {
        faults.push(format!("{} spans instead of {expected}", spans.len()));
    }
    let server = matches!(case.operation, Operation::Server | Operation::Stream | Operation::GrpcServer | Operation::Process(_));
    let state = match (case.input, case.sampling) {
        (Input::Full, Sampling::WritesOt) => "ot=th:c,congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
        (Input::Full, _) => input::STATE_3,
        _ => "",
    };
    for span in &spans {
        if span.trace != input::PARENT[3..35] {
            faults.push(format!("trace-id {}", span.trace));
        }
        let received = span.parent == input::PARENT[36..52];
        if received != server || span.parent == "0000000000000000" {
            faults.push(format!("parent {}", span.parent));
        }
        if span.state != state {
            faults.push(format!("tracestate {}", span.state));
        }
    }
    let fields = match case.input {
        Input::Nothing => 0,
        Input::Parent => 1,
        Input::Full => 3,
        Input::Members => 2,
    };
    let sent = match case.operation {
        Operation::Client | Operation::GrpcClient | Operation::Reqwest => Some(http_cases::sent()),
        // Beside the user's own three.
        Operation::Send(_) | Operation::Inject(_) => Some(result.saturating_sub(3)),
        _ => None,
    };
    // The SDK's propagator writes an empty tracestate, too.
    if let Some(sent) = sent.filter(|sent| *sent != fields && (side == "ours" || *sent < fields)) {
        faults.push(format!("{sent} fields instead of {fields}"));
    }
    let attributes = spans.first().map_or(0, |span| span.attributes.len());
    eprintln!("checked {} {side}: {attributes} attributes {}", case.name, faults.join(", "));
    if std::env::var_os("SPANS").is_some() {
        eprintln!("{spans:?}");
    }
    assert!(faults.is_empty() || side != "ours", "{}: {faults:?}", case.name);
}
