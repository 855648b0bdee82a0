//! The samplers, as a tracer provider asks them.
#![cfg(feature = "sdk")]

mod formats;
mod rate;
mod services;
mod setup;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{Link, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use propagation_opentelemetry::sampling::{
    Adaptive, AlwaysOff, AlwaysOn, Annotating, ComposableSampler, CompositeSampler, LinksBased, ParentThreshold,
    Probability, Randomness, RateLimited, Rule, RuleBased, SamplerError, SdkSampler, Threshold,
};
use proptest::prelude::*;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// Randomness ce929d0e0e4736: kept by thresholds up to that.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn trace() -> TraceId {
    TraceId::from_hex(TRACE).unwrap()
}

fn parent(sampled: bool, remote: bool, state: &str) -> Context {
    let flags = TraceFlags::new(0x02).with_sampled(sampled);
    let span = SpanContext::new(trace(), SpanId::from(7), flags, remote, state.parse().unwrap());
    Context::new().with_remote_span_context(span)
}

/// The input of a sampling decision.
#[derive(Default)]
struct Ask<'a> {
    context: Context,
    trace: Option<TraceId>,
    name: &'a str,
    kind: Option<SpanKind>,
    attributes: &'a [KeyValue],
    links: &'a [Link],
}

impl Ask<'_> {
    fn of(&self, sampler: &dyn ShouldSample) -> SamplingResult {
        let trace = self.trace.unwrap_or_else(trace);
        let kind = self.kind.clone().unwrap_or(SpanKind::Server);
        sampler.should_sample(Some(&self.context), trace, self.name, &kind, self.attributes, self.links)
    }

    fn keeps(&self, sampler: impl ComposableSampler + 'static) -> bool {
        sampled(&self.of(&CompositeSampler::new(sampler)))
    }
}

fn sampled(result: &SamplingResult) -> bool {
    assert_ne!(result.decision, SamplingDecision::RecordOnly);
    result.decision == SamplingDecision::RecordAndSample
}

/// The decision and the tracestate that goes with it.
fn answer(sampler: impl ComposableSampler + 'static, context: Context) -> (bool, String) {
    let result = Ask { context, ..Ask::default() }.of(&CompositeSampler::new(sampler));
    (sampled(&result), result.trace_state.header())
}

fn probability(share: f64) -> Probability {
    Probability::new(share).unwrap()
}

/// Trace ids that are always the same, and spread like random ones (SplitMix64).
fn ids(count: usize) -> impl Iterator<Item = TraceId> {
    let mut state = 42_u64;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    std::iter::repeat_with(move || TraceId::from(u128::from(next()) << 64 | u128::from(next()))).take(count)
}

fn kept_of(sampler: &dyn ShouldSample, count: usize) -> Vec<TraceId> {
    ids(count).filter(|id| sampled(&Ask { trace: Some(*id), ..Ask::default() }.of(sampler))).collect()
}

#[test]
fn a_share_of_all_traces_is_kept() {
    for share in [0.001, 0.01, 0.1, 0.25, 1.0 / 3.0, 0.5, 0.9] {
        let kept = kept_of(&CompositeSampler::probability(share).unwrap(), 100_000).len() as f64;
        // Five standard deviations.
        let allowed = 5.0 * (100_000.0 * share * (1.0 - share)).sqrt();
        assert!((kept - 100_000.0 * share).abs() < allowed, "{share}: {kept}");
    }
    assert_eq!(kept_of(&CompositeSampler::probability(1.0).unwrap(), 1_000).len(), 1_000);
    assert_eq!(kept_of(&CompositeSampler::probability(0.0).unwrap(), 1_000).len(), 0);
}

#[test]
fn larger_share_keeps_traces_of_a_smaller_one() {
    let of = |share| kept_of(&CompositeSampler::probability(share).unwrap(), 100_000);
    let (tenth, half) = (of(0.1), of(0.5));
    let half: std::collections::HashSet<_> = half.into_iter().collect();
    assert!(!tenth.is_empty() && tenth.iter().all(|id| half.contains(id)));
}

#[test]
fn threshold_is_sent_only_with_sampled_traces() {
    assert_eq!(answer(probability(0.5), Context::new()), (true, "ot=th:8".into()));
    assert_eq!(answer(probability(0.1), Context::new()), (false, String::new()));
    assert_eq!(answer(AlwaysOn, Context::new()), (true, "ot=th:0".into()));
    assert_eq!(answer(AlwaysOff, parent(true, true, "ot=th:8;x:y,congo=1")), (false, "ot=x:y,congo=1".into()));
    // Its own threshold, not the parent's: this sampler is asked to decide by itself.
    assert_eq!(
        answer(probability(0.5), parent(true, true, "congo=1,ot=th:0;x:y")),
        (true, "ot=th:8;x:y,congo=1".into())
    );
}

#[test]
fn explicit_randomness_takes_precedence_and_is_kept() {
    let low = parent(true, true, "ot=rv:00000000000001");
    assert_eq!(answer(probability(0.5), low), (false, "ot=rv:00000000000001".into()));
    let high = parent(true, true, "ot=rv:ffffffffffffff");
    assert_eq!(answer(probability(0.001), high), (true, "ot=th:ffbe77;rv:ffffffffffffff".into()));
    // A malformed `rv` counts as absent. It is dropped, because the new threshold does not depend on it.
    let bad = parent(true, true, "ot=rv:ff");
    assert_eq!(answer(probability(0.5), bad), (true, "ot=th:8".into()));
}

#[test]
fn root_gets_explicit_randomness_for_non_random_ids() {
    let sampler = CompositeSampler::parent_based(probability(0.5)).with_explicit_randomness();
    let mut kept = 0;
    for _ in 0..1_000 {
        let result = Ask { trace: Some(TraceId::from(1)), ..Ask::default() }.of(&sampler);
        let member = result.trace_state.get("ot").unwrap().to_owned();
        let randomness: Randomness = member.rsplit_once("rv:").unwrap().1.parse().unwrap();
        assert_eq!(sampled(&result), Threshold::from_probability(0.5).unwrap().keeps(randomness), "{member}");
        assert_eq!(member.starts_with("th:8;"), sampled(&result), "{member}");
        kept += usize::from(sampled(&result));
    }
    assert!((400..600).contains(&kept), "{kept}");
    // Not for children, and not over one that is there.
    let child = Ask { context: parent(true, true, ""), ..Ask::default() }.of(&sampler);
    assert_eq!(child.trace_state.get("ot"), None);
}

/// Counts the events of the level debug; those above it fail the test.
#[derive(Clone, Default)]
struct Events(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == "propagation" {
            assert_eq!(*event.metadata().level(), tracing::Level::DEBUG, "{event:?}");
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn trace_id_presumed_random_is_reported_once_as_debug() {
    let reported = |sampler: CompositeSampler, flags: u8, remote: bool, state: &str| {
        let span = SpanContext::new(trace(), SpanId::from(7), TraceFlags::new(flags), remote, state.parse().unwrap());
        let ask = Ask { context: Context::new().with_remote_span_context(span), ..Ask::default() };
        let events = Events::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(events.clone()), || {
            (0..3).for_each(|_| drop(ask.of(&sampler.clone())));
        });
        events.0.load(Ordering::Relaxed)
    };
    let half = || CompositeSampler::probability(0.5).unwrap();
    assert_eq!(reported(half(), 0x01, true, ""), 1);
    assert_eq!(reported(half(), 0x03, true, ""), 0, "the caller sets the flag");
    assert_eq!(reported(half(), 0x01, false, ""), 0, "the SDK's own ids are");
    assert_eq!(reported(half(), 0x01, true, "ot=rv:ffffffffffffff"), 0, "nothing is presumed");
    assert_eq!(reported(CompositeSampler::new(AlwaysOn), 0x01, true, ""), 0, "nothing depends on it");
    assert_eq!(reported(CompositeSampler::parent_based(AlwaysOn), 0x01, true, "ot=th:8"), 0, "the parent has decided");
}

#[test]
fn children_follow_the_parent_and_its_threshold() {
    for remote in [true, false] {
        for (decided, state, goes_on) in [
            (true, "congo=1,ot=x:y;th:8", "congo=1,ot=x:y;th:8"),
            // A trace of this randomness is not kept by a threshold of d: the two contradict.
            (true, "ot=th:d;x:y", "ot=x:y"),
            (true, "ot=th:d;rv:ffffffffffffff", "ot=th:d;rv:ffffffffffffff"),
            (true, "ot=th:8;rv:00000000000001", "ot=rv:00000000000001"),
            (true, "congo=1", "congo=1"),
            (true, "ot=th:nonsense", ""),
            (false, "ot=th:8;x:y", "ot=x:y"),
            (false, "congo=1", "congo=1"),
        ] {
            let sampler = ParentThreshold::new(AlwaysOff);
            assert_eq!(answer(sampler, parent(decided, remote, state)), (decided, goes_on.into()), "{state}");
        }
    }
    // An invalid parent is none.
    let invalid = Context::new().with_remote_span_context(SpanContext::empty_context());
    assert_eq!(answer(ParentThreshold::new(AlwaysOn), invalid), (true, "ot=th:0".into()));
}

#[test]
fn the_first_rule_that_is_met_decides() {
    let rules = || {
        RuleBased::new()
            .rule(Rule::new().route("/health*"), AlwaysOff)
            .rule(Rule::new().kind(SpanKind::Consumer).name("poll *"), AlwaysOff)
            .rule(Rule::new().attribute("tenant.tier", "gold"), AlwaysOn)
            .rule(Rule::new().route("/checkout/{id}"), AlwaysOn)
            .otherwise(AlwaysOff)
    };
    let attributes = |pairs: &[(&'static str, &'static str)]| -> Vec<KeyValue> {
        pairs.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect()
    };
    for (name, kind, pairs, kept) in [
        ("GET", SpanKind::Server, attributes(&[("http.route", "/healthz"), ("tenant.tier", "gold")]), false),
        ("GET", SpanKind::Server, attributes(&[("url.path", "/health/ready"), ("tenant.tier", "gold")]), false),
        ("GET", SpanKind::Server, attributes(&[("http.route", "/orders"), ("tenant.tier", "gold")]), true),
        ("GET", SpanKind::Server, attributes(&[("http.route", "/orders"), ("tenant.tier", "silver")]), false),
        ("GET", SpanKind::Server, attributes(&[("http.route", "/checkout/{id}"), ("url.path", "/health")]), true),
        ("poll orders", SpanKind::Consumer, attributes(&[("tenant.tier", "gold")]), false),
        ("poll orders", SpanKind::Client, attributes(&[("tenant.tier", "gold")]), true),
    ] {
        let ask = Ask { name, kind: Some(kind), attributes: &pairs, ..Ask::default() };
        assert_eq!(ask.keeps(rules()), kept, "{name} {pairs:?}");
    }
    assert!(!Ask::default().keeps(RuleBased::new()), "no rule, no span");
    let twice = [KeyValue::new("tenant.tier", "gold"), KeyValue::new("tenant.tier", "silver")];
    assert!(!Ask { attributes: &twice, ..Ask::default() }.keeps(rules()), "the last of equal keys counts");
}

#[test]
fn errors_and_priorities_that_are_known_at_the_start_are_kept() {
    let kept = |rule: Rule, attribute: KeyValue| {
        Ask { attributes: &[attribute], ..Ask::default() }.keeps(RuleBased::new().rule(rule, AlwaysOn))
    };
    for (attribute, is_error) in [
        (KeyValue::new("error.type", "timeout"), true),
        (KeyValue::new("error", true), true),
        (KeyValue::new("error", false), false),
        (KeyValue::new("http.response.status_code", 503), true),
        (KeyValue::new("http.response.status_code", 404), false),
        (KeyValue::new("sampling.priority", 1), false),
    ] {
        assert_eq!(kept(Rule::new().error(), attribute.clone()), is_error, "{attribute:?}");
    }
    for (attribute, has_priority) in [
        (KeyValue::new("sampling.priority", 1), true),
        (KeyValue::new("sampling.priority", 0), false),
        (KeyValue::new("sampling.priority", 0.5), true),
        (KeyValue::new("error", true), false),
    ] {
        assert_eq!(kept(Rule::new().priority(), attribute.clone()), has_priority, "{attribute:?}");
    }
}

#[test]
fn rules_can_ask_for_roots_baggage_numbers_and_anything_else() {
    let rules = |rule: Rule| RuleBased::new().rule(rule, AlwaysOn);
    let child = || Ask { context: parent(true, true, ""), ..Ask::default() };
    assert!(Ask::default().keeps(rules(Rule::new().root())) && !child().keeps(rules(Rule::new().root())));
    let context = Context::new().with_baggage([KeyValue::new("tenant.id", "blue-7")]);
    let ask = Ask { context, attributes: &[KeyValue::new("server.port", 8080)], ..Ask::default() };
    assert!(ask.keeps(rules(Rule::new().baggage("tenant.id", "blue-*"))));
    assert!(!ask.keeps(rules(Rule::new().baggage("tenant.id", "green-*"))));
    assert!(ask.keeps(rules(Rule::new().attribute("server.port", "8080"))));
    assert!(ask.keeps(rules(Rule::new().attribute("server.port", "*"))));
    assert!(!ask.keeps(rules(Rule::new().attribute("server.address", "*"))));
    assert!(ask.keeps(rules(Rule::new().when(|span| span.attributes().len() == 1))));
    assert!(!ask.keeps(rules(Rule::new().when(|span| !span.links().is_empty()).root())));
}

#[test]
fn a_span_with_a_sampled_link_is_kept_uncounted() {
    let link = |sampled: bool| {
        let flags = TraceFlags::default().with_sampled(sampled);
        Link::with_context(SpanContext::new(TraceId::from(9), SpanId::from(9), flags, true, TraceState::NONE))
    };
    let batch = [link(false), link(true)];
    let sampler = CompositeSampler::parent_based(LinksBased::new(AlwaysOff));
    let result = Ask { links: &batch, ..Ask::default() }.of(&sampler);
    assert!(sampled(&result));
    assert_eq!(result.trace_state.get("ot"), None);
    assert!(!sampled(&Ask { links: &[link(false)], ..Ask::default() }.of(&sampler)));
    assert!(!sampled(&Ask { links: &batch, context: parent(false, true, ""), ..Ask::default() }.of(&sampler)));
    let otherwise = CompositeSampler::new(LinksBased::new(AlwaysOn));
    assert_eq!(Ask::default().of(&otherwise).trace_state.header(), "ot=th:0");
}

#[test]
fn sampler_attributes_are_on_kept_spans_only() {
    let annotated = |sampler: Probability| Annotating::new([KeyValue::new("sampler.rule", "all")], sampler);
    let result = Ask::default().of(&CompositeSampler::new(annotated(probability(1.0))));
    assert_eq!(result.attributes, [KeyValue::new("sampler.rule", "all")]);
    assert!(Ask::default().of(&CompositeSampler::new(annotated(probability(0.0)))).attributes.is_empty());
}

#[test]
fn samplers_of_the_sdk_are_parts_without_a_threshold() {
    let of = |sampler| answer(SdkSampler::new(sampler), parent(true, true, "ot=th:8"));
    assert_eq!(of(Sampler::AlwaysOn), (true, String::new()));
    assert_eq!(of(Sampler::AlwaysOff), (false, String::new()));
}

#[test]
fn numbers_that_no_sampler_can_work_with_are_refused() {
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(
            Probability::new(bad).is_err() && RateLimited::new(bad, AlwaysOn).is_err() && Adaptive::new(bad).is_err()
        );
    }
    assert!(Probability::new(1.5).is_err() && RateLimited::new(0.0, AlwaysOn).is_err() && Adaptive::new(0.0).is_err());
    for (least, most) in [(0.5, 0.1), (-0.1, 1.0), (0.0, 1.1), (f64::NAN, 1.0)] {
        let bounded: Result<Adaptive, SamplerError> = Adaptive::new(1.0).unwrap().with_bounds(least, most);
        assert!(bounded.is_err(), "{least} {most}");
    }
}

proptest! {
    #[test]
    fn thresholds_and_randomness_read_as_they_were_written(bits in 0..1_u64 << 56) {
        let threshold = Threshold::new(bits).unwrap();
        let text = threshold.to_string();
        prop_assert!(text == "0" || !text.ends_with('0') && text.len() <= 14);
        prop_assert_eq!(text.parse(), Ok(threshold));
        let randomness = Randomness::new(bits).unwrap();
        prop_assert_eq!(randomness.to_string().len(), 14);
        prop_assert_eq!(randomness.to_string().parse(), Ok(randomness));
        prop_assert!(threshold.keeps(randomness));
    }

    #[test]
    fn a_threshold_is_as_near_to_its_probability_as_four_digits_are(exponent in -36.0..0.0_f64) {
        let probability = exponent.exp2();
        let threshold = Threshold::from_probability(probability).unwrap();
        let coarse = Threshold::with_precision(probability, 1).unwrap();
        prop_assert!(Threshold::new(coarse.to_u64()).is_some() && coarse.probability() <= 2.0 * probability);
        let off = (threshold.probability() - probability).abs();
        // Half of the last of four digits, of which the first one is not `f`.
        prop_assert!(off <= probability / 8_192.0, "{} {}", probability, off);
    }

    #[test]
    fn any_ot_member_gives_a_readable_decision(member in "[ -+--<>-~]{0,255}[!-+--<>-~]", flags in 0_u8..4) {
        let state = TraceState::from_key_value([("ot", member.as_str())]).unwrap();
        let span = SpanContext::new(trace(), SpanId::from(7), TraceFlags::new(flags), true, state);
        let ask = Ask { context: Context::new().with_remote_span_context(span), ..Ask::default() };
        for sampler in [CompositeSampler::parent_based(AlwaysOff), CompositeSampler::probability(0.5).unwrap()] {
            let result = ask.of(&sampler);
            let header = result.trace_state.header();
            let read = propagation_core::TraceState::parse(header.as_bytes()).unwrap();
            if let Some(threshold) = read.threshold() {
                let randomness = read.randomness().unwrap_or(0xce_929d_0e0e_4736);
                prop_assert!(sampled(&result) && randomness >= threshold, "{}", header);
            }
        }
    }
}
