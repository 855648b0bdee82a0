//! At the edge an outsider can't choose the trace, switch sampling on or off, or add baggage: over sockets, by any enabled format,
//! by repeated headers or by a spoofed forwarding header. Each attempt is also made where callers are trusted, and has its way there.

mod attempts;
#[path = "../shared/grpc.rs"]
mod grpc;
mod shop;

use std::time::Duration;

use futures_util::StreamExt;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{
    Formats, InboundRule, OutboundRule, Peer, Policy, Propagator, Sampling, SamplingPriority,
    bridge::opentelemetry_0_33::OpenTelemetryBridge,
    sampling::opentelemetry_sdk_0_33::{AlwaysOff, AlwaysOn, CompositeSampler, LinksBased, Rule, RuleBased},
};
use propagation_testkit::{
    in_memory::InMemory,
    trace::{Span, SpanKind, TraceGraph, TraceId, Which},
};

use attempts::{Attempt, BAGGAGE, CHOSEN, Field, Ids, OTHER};
use shop::{Outcome, Shop, Transport, Way};

const FORMATS: [&str; 8] = ["tracecontext", "b3", "b3multi", "jaeger", "xray", "datadog", "gcp", "grpc-trace-bin"];
/// An address of the shop's own network, and one of no network of ours.
const INSIDE: &str = "10.1.2.3";
const OUTSIDE: &str = "203.0.113.9";

/// Who lets every key of baggage in from whom it believes, and out to everyone: what is kept out was kept out at the door.
fn policy(believed: &str, profile: Option<&str>) -> Policy {
    let policy = Policy::builder()
        .inbound(InboundRule::peers([believed]).allow("*"))
        .outbound(OutboundRule::peers(["*"]).allow("*"));
    match profile {
        Some(profile) => policy.profile(profile).unwrap(),
        None => policy,
    }
    .build()
    .unwrap()
}

/// As a service has it that the internet reaches.
fn edge() -> Policy {
    policy("address:10.0.0.0/8", Some("edge"))
}

/// As a service has it that only its own kind reaches.
fn trusting() -> Policy {
    policy("*", None)
}

/// What samples all that no caller objects to, or nothing that no caller asks for: by a parent, a link, a priority or baggage.
fn gullible(sampled: bool) -> CompositeSampler {
    if sampled {
        return CompositeSampler::parent_based(AlwaysOn);
    }
    let asked = RuleBased::new()
        .rule(Rule::new().priority(), AlwaysOn)
        .rule(Rule::new().baggage(BAGGAGE[0].0, BAGGAGE[0].1), AlwaysOn)
        .otherwise(LinksBased::new(AlwaysOff));
    CompositeSampler::parent_based(asked)
}

/// The tracestate of a new trace, which only that sampler writes.
fn own_state(sampled: bool) -> &'static str {
    if sampled { "ot=th:0" } else { "" }
}

/// A shop whose root sampler decides this, and what is seen of it.
struct Observed {
    shop: Shop,
    memory: InMemory,
    _provider: SdkTracerProvider,
}

impl Observed {
    async fn open(policy: Policy, sampled: bool) -> Self {
        let memory = InMemory::new();
        let provider =
            SdkTracerProvider::builder().with_simple_exporter(memory.clone()).with_sampler(gullible(sampled)).build();
        let formats: Formats = format!("{},baggage", FORMATS.join(",")).parse().unwrap();
        let bridge = OpenTelemetryBridge::new(provider.tracer("shop"));
        let propagator = Propagator::builder().policy(policy).formats(formats).bridge(bridge).build();
        Self { shop: Shop::open(&propagator).await, memory, _provider: provider }
    }

    /// Makes all attempts in a way.
    async fn ask<'a>(&self, transport: Transport, way: Way, attempts: &'a [Attempt]) -> Vec<(&'a Attempt, Outcome)> {
        let asked = attempts.iter().enumerate().map(async |(number, attempt)| {
            let fields = [attempt.fields.clone(), forwarded()].concat();
            (attempt, self.shop.ask(transport, way, &fields, number).await)
        });
        futures_util::stream::iter(asked).buffer_unordered(8).collect().await
    }

    /// The spans, once as many have ended: a caller may be done before the server is.
    async fn spans(&self, count: usize) -> TraceGraph {
        for _ in 0..2000 {
            if self.memory.graph().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let graph = self.memory.graph();
        graph.assert_count(Which::any(), count);
        graph
    }
}

/// What a caller says who has been told how proxies tell of callers.
fn forwarded() -> Vec<Field> {
    [
        ("X-Forwarded-For", INSIDE.to_owned()),
        ("Forwarded", format!("for={INSIDE};by={INSIDE}")),
        ("X-Real-IP", INSIDE.to_owned()),
        ("X-Client-IP", INSIDE.to_owned()),
        ("True-Client-IP", INSIDE.to_owned()),
        ("CF-Connecting-IP", INSIDE.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into_bytes()))
    .into()
}

/// What nothing of the shop's may say: what the caller chose, however it is written.
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

/// The trace of what was called, if it is the handler's in every format, and nothing of the caller's is with it.
fn assert_called_in_the_handlers_trace(attempt: &str, outcome: &Outcome, sampled: bool) {
    let trace = outcome.context.trace.trace_id();
    for format in FORMATS {
        let reader = Propagator::builder().policy(trusting()).formats(format.parse().unwrap()).build();
        let called = reader.extract(&Peer::http(""), &outcome.called).context;
        assert_eq!(called.trace.trace_id(), trace, "{attempt}: {format}");
        assert_eq!(called.trace.sampling.decided(), Some(sampled), "{attempt}: {format}");
        let loud = [
            Sampling::Debug,
            Sampling::Priority(SamplingPriority::UserKeep),
            Sampling::Priority(SamplingPriority::UserReject),
        ];
        assert!(!loud.contains(&called.trace.sampling), "{attempt}: {format}");
        assert!(called.baggage.is_empty(), "{attempt}: {format}: {called:?}");
        let state = if format == "tracecontext" { own_state(sampled) } else { "" };
        assert_eq!(called.trace.state.to_string(), state, "{attempt}: {format}");
    }
    // Of random bytes in base64 any short word may be part.
    for (name, value) in outcome.called.iter().filter(|(name, _)| name != "grpc-trace-bin") {
        let said = format!("{name}: {}", String::from_utf8_lossy(value));
        for text in chosen_texts() {
            assert!(!said.contains(&text), "{attempt}: {said}");
        }
    }
}

fn assert_span_is_of_no_callers(attempt: &Attempt, span: &Span) {
    let what = &attempt.what;
    assert_eq!((span.parent, span.trace_state.as_str()), (None, own_state(true)), "{what}");
    let linked: Vec<u128> = span.links.iter().map(|link| u128::from_be_bytes(link.trace_id.to_bytes())).collect();
    if let [only] = attempt.chooses[..] {
        assert_eq!(linked, [only.trace], "{what}");
    }
    assert!(linked.iter().all(|linked| [CHOSEN.trace, OTHER.trace].contains(linked)), "{what}: {linked:?}");
    assert!(span.links.iter().all(|link| link.trace_state.is_empty()), "{what}");
    let attributes = format!("{:?}", span.attributes);
    assert!(!attributes.contains("gold") && !attributes.contains("root"), "{what}: {attributes}");
}

/// No attempt has its way, whichever way it comes.
async fn no_outsider_has_a_say(transport: Transport) {
    let attempts = attempts::all();
    for sampled in [true, false] {
        let observed = Observed::open(edge(), sampled).await;
        let mut outcomes = Vec::new();
        for way in [Way::Straight, Way::ProxyJoins(OUTSIDE), Way::ProxyAppends(OUTSIDE)] {
            outcomes.extend(observed.ask(transport, way, &attempts).await);
        }
        for (attempt, Outcome { context, .. }) in &outcomes {
            let what = &attempt.what;
            let trace = context.trace.trace_id().expect(what);
            assert!(!is_chosen(trace), "{what}: {context:?}");
            assert_eq!(context.trace.sampling, Sampling::from_sampled(sampled), "{what}: {context:?}");
            assert!(context.baggage.is_empty(), "{what}: {context:?}");
            assert_eq!(context.trace.state.to_string(), own_state(sampled), "{what}");
        }
        for (attempt, outcome) in &outcomes {
            assert_called_in_the_handlers_trace(&attempt.what, outcome, sampled);
        }
        // Of each request the server's span and that of its call.
        let spans = observed.spans(if sampled { outcomes.len() * 2 } else { 0 }).await;
        assert_eq!(spans.trace_ids().len(), spans.len() / 2, "no two requests are in one trace");
        for (attempt, outcome) in outcomes.iter().filter(|_| sampled) {
            let trace = TraceId::from_bytes(outcome.context.trace.trace_id().unwrap().to_bytes());
            let trace = spans.trace(trace);
            assert_span_is_of_no_callers(attempt, trace.find(SpanKind::Server).next().expect(&attempt.what));
        }
    }
}

fn is_chosen(trace: propagation_core::TraceId) -> bool {
    [CHOSEN, OTHER].iter().any(|ids| ids.trace.to_be_bytes() == trace.to_bytes())
}

/// Every attempt has its way. Else its failure at the edge says nothing.
fn assert_they_have_their_way(sampled: bool, outcomes: &[(&Attempt, Outcome)]) {
    let mut had = [0; 2];
    for (attempt, Outcome { context, .. }) in outcomes {
        let what = &attempt.what;
        if !attempt.chooses.is_empty() {
            let trace = u128::from_be_bytes(context.trace.trace_id().expect(what).to_bytes());
            assert!(attempt.chooses.iter().any(|ids| ids.trace == trace), "{what}: {context:?}");
            had[0] += 1;
        }
        // The root sampler would have decided otherwise.
        if let Some(decided) = attempt.decides.filter(|&decided| decided != sampled) {
            assert_eq!(context.trace.sampling.decided(), Some(decided), "{what}: {context:?}");
            had[1] += 1;
        }
        for (key, value) in BAGGAGE {
            assert_eq!(context.baggage.get(key).as_deref(), Some(value), "{what}: {context:?}");
        }
    }
    assert!(had.iter().all(|&had| had > 16), "{had:?}");
}

async fn who_is_trusted_has_a_say(transport: Transport) {
    let attempts = attempts::all();
    for sampled in [true, false] {
        let observed = Observed::open(trusting(), sampled).await;
        assert_they_have_their_way(sampled, &observed.ask(transport, Way::Straight, &attempts).await);
        let observed = Observed::open(edge(), sampled).await;
        let from_inside = observed.ask(transport, Way::ProxyAppends(INSIDE), &attempts).await;
        assert_they_have_their_way(sampled, &from_inside);
    }
}

#[tokio::test]
async fn over_http_no_outsider_chooses_a_trace_or_decides_about_sampling_or_adds_baggage() {
    no_outsider_has_a_say(Transport::Http).await;
}

#[tokio::test]
async fn over_grpc_no_outsider_chooses_a_trace_or_decides_about_sampling_or_adds_baggage() {
    no_outsider_has_a_say(Transport::Grpc).await;
}

#[tokio::test]
async fn over_http_who_is_trusted_has_its_way_also_through_a_trusted_proxy() {
    who_is_trusted_has_a_say(Transport::Http).await;
}

#[tokio::test]
async fn over_grpc_who_is_trusted_has_its_way_also_through_a_trusted_proxy() {
    who_is_trusted_has_a_say(Transport::Grpc).await;
}
