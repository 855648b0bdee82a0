//! Assertions on attempts: at the edge, and for trusted callers.

use propagation_core::{Peer, Propagator, SamplingDecision, Transport, model::SamplingPriority};
use propagation_testkit::trace::{Span, SpanKind, TraceGraph, TraceId};

use crate::{
    FORMATS,
    attempts::{Attempt, BAGGAGE, CHOSEN, Ids, OTHER},
    shop::Outcome,
    trusting,
};

type Outcomes<'a> = [(&'a Attempt, Outcome)];

/// The context that a handler runs in is the service's own.
pub(crate) fn assert_contexts_are_of_no_callers(outcomes: &Outcomes<'_>, sampled: bool) {
    for (attempt, Outcome { context, .. }) in outcomes {
        let name = &attempt.name;
        let trace = context.trace.trace_id().expect(name);
        let chosen = [CHOSEN, OTHER].iter().any(|ids| ids.trace.to_be_bytes() == trace.to_bytes());
        assert!(!chosen, "{name}: {context:?}");
        assert_eq!(context.trace.sampling, SamplingDecision::from_sampled(sampled), "{name}: {context:?}");
        assert!(context.baggage.is_empty(), "{name}: {context:?}");
        assert_eq!(context.trace.state.to_string(), own_state(sampled), "{name}");
    }
}

/// The outgoing context, too.
pub(crate) fn assert_calls_are_of_no_callers(outcomes: &Outcomes<'_>, sampled: bool) {
    for (attempt, outcome) in outcomes {
        assert_called_in_the_handlers_trace(&attempt.name, outcome, sampled);
    }
}

/// Its spans of this kind, too; they link to the caller if it sent valid ids.
pub(crate) fn assert_spans_are_of_no_callers(outcomes: &Outcomes<'_>, spans: &TraceGraph, kind: SpanKind) {
    for (attempt, outcome) in outcomes {
        let trace = TraceId::from_bytes(outcome.context.trace.trace_id().expect("ids").to_bytes());
        let trace = spans.trace(trace);
        assert_span_is_of_no_callers(attempt, trace.find(kind).next().expect(&attempt.name));
    }
}

/// Every attempt succeeds. Otherwise its failure at the edge proves nothing.
pub(crate) fn assert_they_had_their_way(outcomes: &Outcomes<'_>, sampled: bool) {
    let mut had = [0; 2];
    for (attempt, Outcome { context, .. }) in outcomes {
        let name = &attempt.name;
        if !attempt.chooses.is_empty() {
            let trace = u128::from_be_bytes(context.trace.trace_id().expect(name).to_bytes());
            assert!(attempt.chooses.iter().any(|ids| ids.trace == trace), "{name}: {context:?}");
            had[0] += 1;
        }
        // The root sampler would have decided otherwise.
        if let Some(decided) = attempt.decides.filter(|&decided| decided != sampled) {
            assert_eq!(context.trace.sampling.decided(), Some(decided), "{name}: {context:?}");
            had[1] += 1;
        }
        for (key, value) in BAGGAGE {
            assert_eq!(context.baggage.get(key).as_deref(), Some(value), "{name}: {context:?}");
        }
    }
    assert!(had.iter().all(|&had| had > 16), "{had:?}");
}

/// The tracestate of a new trace, which only that sampler writes.
fn own_state(sampled: bool) -> &'static str {
    if sampled { "ot=th:0" } else { "" }
}

/// Values that the caller chose, in any notation: they must not appear in the shop.
fn chosen_texts() -> Vec<String> {
    let ids = |ids: Ids| {
        let low = ids.trace & u128::from(u64::MAX);
        [
            format!("{:016x}", ids.trace >> 64),
            format!("{low:016x}"),
            low.to_string(),
            format!("{:016x}", ids.span),
            ids.span.to_string(),
        ]
    };
    let baggage = BAGGAGE.iter().flat_map(|(key, value)| [(*key).to_owned(), (*value).to_owned()]);
    let texts = ["root", "chosen", "vendor", "uberctx-"].map(str::to_owned);
    [CHOSEN, OTHER].into_iter().flat_map(ids).chain(baggage).chain(texts).collect()
}

/// Calls carry the handler's trace in every format, and no value of the caller.
fn assert_called_in_the_handlers_trace(attempt: &str, outcome: &Outcome, sampled: bool) {
    let trace = outcome.context.trace.trace_id();
    for format in FORMATS {
        let reader = Propagator::builder().policy(trusting()).formats(format.parse().unwrap()).build();
        let called = reader.extract(&Peer::caller(Transport::HTTP), &outcome.called).context;
        assert_eq!(called.trace.trace_id(), trace, "{attempt}: {format}");
        assert_eq!(called.trace.sampling.decided(), Some(sampled), "{attempt}: {format}");
        let loud = [
            SamplingDecision::Debug,
            SamplingDecision::Priority(SamplingPriority::UserKeep),
            SamplingDecision::Priority(SamplingPriority::UserReject),
        ];
        assert!(!loud.contains(&called.trace.sampling), "{attempt}: {format}");
        assert!(called.baggage.is_empty(), "{attempt}: {format}: {called:?}");
        let state = if format == "tracecontext" { own_state(sampled) } else { "" };
        assert_eq!(called.trace.state.to_string(), state, "{attempt}: {format}");
    }
    // Of random bytes in base64 any short word may be part.
    for (name, value) in outcome.called.iter().filter(|(name, _)| name != "grpc-trace-bin") {
        let field = format!("{name}: {}", String::from_utf8_lossy(value));
        for text in chosen_texts() {
            assert!(!field.contains(&text), "{attempt}: {field}");
        }
    }
}

fn assert_span_is_of_no_callers(attempt: &Attempt, span: &Span) {
    let name = &attempt.name;
    assert_eq!((span.parent, span.trace_state.as_str()), (None, own_state(true)), "{name}");
    let linked: Vec<u128> = span.links.iter().map(|link| u128::from_be_bytes(link.trace_id.to_bytes())).collect();
    if let [only] = attempt.chooses[..] {
        assert_eq!(linked, [only.trace], "{name}");
    }
    assert!(linked.iter().all(|linked| [CHOSEN.trace, OTHER.trace].contains(linked)), "{name}: {linked:?}");
    assert!(span.links.iter().all(|link| link.trace_state.is_empty()), "{name}");
    let attributes = format!("{:?}", span.attributes);
    assert!(!attributes.contains("gold") && !attributes.contains("root"), "{name}: {attributes}");
}
