//! Bridges keep the parts of a context that only some formats carry.

use opentelemetry::trace::{TraceState as OtelState, TracerProvider};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample};
use propagation_core::{Formats, Hop, InboundRule, Peer, Policy, Propagator, SpanKind, TraceTrust, Transport};
use propagation_opentelemetry::OpenTelemetryBridge;

use crate::wire::{PARENT, open_policy};

fn propagator(formats: &str, sampler: impl ShouldSample + 'static, policy: Policy) -> Propagator {
    let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
    let bridge = OpenTelemetryBridge::new(provider.tracer("shop"));
    Propagator::builder().formats(formats.parse::<Formats>().unwrap()).policy(policy).bridge(bridge).build()
}

fn by_parent() -> Sampler {
    Sampler::ParentBased(Box::new(Sampler::AlwaysOn))
}

/// Returns the fields that a server span sends for a received message.
fn through(propagator: &Propagator, fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let received: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let admission = propagator.extract(&Peer::caller(Transport::HTTP), &received);
    let hop = propagator.start(Hop::remote(SpanKind::Server, admission.context).named("server"));
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    propagator.inject(&Peer::http("api"), hop.context(), &mut sent);
    sent.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
}

fn value<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    fields.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
}

#[test]
fn denial_without_ids_is_not_sampled_in_any_format() {
    let sent = through(&propagator("b3,tracecontext", by_parent(), open_policy()), &[("b3", "0")]);
    assert!(value(&sent, "b3").len() == 51 && value(&sent, "b3").ends_with("-0"), "{sent:?}");
    assert!(value(&sent, "traceparent").ends_with("-00"), "{sent:?}");
}

#[test]
fn debug_goes_on_with_ids_and_without() {
    let propagator = propagator("b3", by_parent(), open_policy());
    for received in ["d", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d"] {
        assert!(value(&through(&propagator, &[("b3", received)]), "b3").ends_with("-d"), "{received}");
    }
}

#[test]
fn a_priority_goes_on_with_a_new_span_id() {
    let propagator = propagator("datadog", by_parent(), open_policy());
    for priority in ["-1", "0", "1", "2"] {
        let received =
            [("x-datadog-trace-id", "5"), ("x-datadog-parent-id", "6"), ("x-datadog-sampling-priority", priority)];
        let sent = through(&propagator, &received);
        assert_eq!((value(&sent, "x-datadog-trace-id"), value(&sent, "x-datadog-sampling-priority")), ("5", priority));
        assert_ne!(value(&sent, "x-datadog-parent-id"), "6");
    }
}

const STATE: &str = "congo=1,ot=x:y;th:8;rv:6e6d1a75832a2f";

fn state_through(sampler: impl ShouldSample + 'static, policy: Policy) -> String {
    let sent = through(&propagator("tracecontext", sampler, policy), &[("traceparent", PARENT), ("tracestate", STATE)]);
    value(&sent, "tracestate").to_owned()
}

#[test]
fn the_threshold_goes_only_when_the_decision_changes() {
    assert_eq!(state_through(by_parent(), open_policy()), STATE);
    assert_eq!(state_through(Sampler::AlwaysOff, open_policy()), "congo=1,ot=x:y;rv:6e6d1a75832a2f");
    let decide = Policy::builder().inbound(InboundRule::peers(["*"]).trust(TraceTrust::IdsOnly)).build().unwrap();
    let sent =
        through(&propagator("tracecontext", by_parent(), decide), &[("traceparent", PARENT), ("tracestate", STATE)]);
    assert!(sent.iter().all(|(name, _)| name != "tracestate"), "{sent:?}");
}

/// A sampler that drops, and writes its own threshold.
#[derive(Clone, Debug)]
struct Own(&'static str);

impl ShouldSample for Own {
    fn should_sample(
        &self,
        parent: Option<&opentelemetry::Context>,
        _: opentelemetry::trace::TraceId,
        _: &str,
        _: &opentelemetry::trace::SpanKind,
        _: &[opentelemetry::KeyValue],
        _: &[opentelemetry::trace::Link],
    ) -> SamplingResult {
        use opentelemetry::trace::TraceContextExt;
        let state = parent.map(|parent| parent.span().span_context().trace_state().clone()).unwrap_or_default();
        SamplingResult {
            decision: SamplingDecision::Drop,
            attributes: Vec::new(),
            trace_state: state.insert("ot", self.0).unwrap_or_else(|_| OtelState::default()),
        }
    }
}

#[test]
fn a_samplers_own_threshold_stays_and_so_do_the_others_members() {
    assert_eq!(state_through(Own("th:c"), open_policy()), "ot=th:c,congo=1");
    let sent = through(
        &propagator("tracecontext", Own("th:c"), open_policy()),
        // A key that OpenTelemetry's type refuses, and Level 2 allows.
        &[("traceparent", PARENT), ("tracestate", "a@much-longer-than-fourteen=1")],
    );
    assert_eq!(value(&sent, "tracestate"), "ot=th:c,a@much-longer-than-fourteen=1");
}
