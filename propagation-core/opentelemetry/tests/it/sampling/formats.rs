//! Sampling decisions, thresholds and randomness on the wire of each format.

use propagation_core::{
    Formats, Peer, PropagationContext, Propagator,
    SamplingDecision::{self, Debug, Defer, Drop, Priority, Sample},
    TraceContext, TraceState, Transport,
    model::SamplingPriority::{Keep, Reject, UserKeep, UserReject},
};

use crate::wire::{PARENT, open_policy};

const FORMATS: [&str; 8] = ["tracecontext", "b3", "b3multi", "jaeger", "xray", "datadog", "gcp", "grpc-trace-bin"];

const DECISIONS: [SamplingDecision; 8] =
    [Drop, Sample, Defer, Debug, Priority(UserReject), Priority(Reject), Priority(Keep), Priority(UserKeep)];

fn propagator(formats: &str) -> Propagator {
    Propagator::builder().policy(open_policy()).formats(formats.parse::<Formats>().unwrap()).build()
}

fn context(sampling: SamplingDecision, state: &str) -> TraceContext {
    let context = TraceContext::new(PARENT.parse().unwrap()).with_sampling(sampling);
    context.with_state(TraceState::parse(state.as_bytes()).unwrap())
}

/// Returns the context that the next service reads if this one is sent in a format.
fn received(formats: &str, sent: TraceContext) -> TraceContext {
    let propagator = propagator(formats);
    let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
    propagator.inject(&Peer::http("api"), &PropagationContext::new(sent), &mut fields);
    propagator.extract(&Peer::caller(Transport::HTTP), &fields).context.trace
}

#[test]
fn decision_in_each_format_matches_the_table_in_the_docs() {
    let (reject, keep, user_reject, user_keep) =
        (Priority(Reject), Priority(Keep), Priority(UserReject), Priority(UserKeep));
    for (format, reads) in [
        // Drop, sample, defer, debug; the priorities from −1 to 2.
        ("tracecontext", [Drop, Sample, Drop, Sample, Drop, Drop, Sample, Sample]),
        ("b3", [Drop, Sample, Defer, Debug, Drop, Drop, Sample, Sample]),
        ("b3multi", [Drop, Sample, Defer, Debug, Drop, Drop, Sample, Sample]),
        ("jaeger", [Drop, Sample, Drop, Debug, Drop, Drop, Sample, Sample]),
        ("xray", [Drop, Sample, Defer, Sample, Drop, Drop, Sample, Sample]),
        ("datadog", [reject, keep, Defer, user_keep, user_reject, reject, keep, user_keep]),
        ("gcp", [Drop, Sample, Defer, Sample, Drop, Drop, Sample, Sample]),
        ("grpc-trace-bin", [Drop, Sample, Drop, Sample, Drop, Drop, Sample, Sample]),
    ] {
        assert_eq!(DECISIONS.map(|decision| received(format, context(decision, "")).sampling), reads, "{format}");
    }
}

#[test]
fn ids_and_decision_survive_every_change_of_format() {
    for first in FORMATS {
        for second in FORMATS {
            for decision in DECISIONS.into_iter().filter(|decision| *decision != Defer) {
                let read = received(second, received(first, context(decision, "")));
                assert_eq!(read.sampling.decided(), decision.decided(), "{first} {second} {decision:?}");
                assert_eq!((read.trace_id(), read.span_id()), {
                    let sent = context(decision, "");
                    (sent.trace_id(), sent.span_id())
                });
            }
        }
    }
}

#[test]
fn denial_without_ids_is_sent_only_in_b3() {
    for format in FORMATS {
        let denial = TraceContext::EMPTY.with_sampling(Drop);
        let read = received(format, denial.clone());
        let expected = if format.starts_with("b3") { denial } else { TraceContext::EMPTY };
        assert_eq!(read, expected, "{format}");
    }
}

#[test]
fn threshold_and_randomness_travel_only_in_tracestate() {
    const STATE: &str = "ot=th:8;rv:ce929d0e0e4736,congo=1";
    for format in FORMATS {
        let read = received(format, context(Sample, STATE));
        assert_eq!(read.state.to_string(), if format == "tracecontext" { STATE } else { "" }, "{format}");
        // Beside W3C's, any format leaves them be.
        let both = received(&format!("tracecontext,{format}"), context(Sample, STATE));
        assert_eq!(both.state.to_string(), STATE, "{format}");
    }
}
