//! At the edge an outsider can't choose the trace, switch sampling on or off, or add baggage: over sockets, by any enabled format,
//! by repeated headers or by a spoofed forwarding header. Each attempt is also made where callers are trusted, and has its way there.

mod assertions;
mod attempts;
#[path = "../shared/grpc.rs"]
mod grpc;
mod queues;
mod shop;

use std::time::Duration;

use futures_util::StreamExt;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{Formats, InboundRule, OutboundRule, Policy, Propagator, TraceTrust};
use propagation_opentelemetry::{
    OpenTelemetryBridge,
    sampling::{AlwaysOff, AlwaysOn, CompositeSampler, LinksBased, Rule, RuleBased},
};
use propagation_testkit::{
    in_memory::InMemory,
    trace::{SpanKind, SpanSelector, TraceGraph},
};

use attempts::{Attempt, BAGGAGE, Field};
use queues::{AmqpQueue, Queue, SqsQueue, Topic};
use shop::{Outcome, Shop, Transport, Way};

const FORMATS: [&str; 8] = ["tracecontext", "b3", "b3multi", "jaeger", "xray", "datadog", "gcp", "grpc-trace-bin"];
/// An address of the shop's own network, and one of no network of ours.
const INSIDE: &str = "10.1.2.3";
const OUTSIDE: &str = "203.0.113.9";

/// A policy that passes all baggage of trusted peers and to all peers: only inbound rules reject.
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

/// As a service has it that takes messages from anyone.
fn open_to_all() -> Policy {
    let rule = InboundRule::peers(["*"]).trust(TraceTrust::RestartWithLink);
    Policy::builder().inbound(rule).outbound(OutboundRule::peers(["*"]).allow("*")).build().unwrap()
}

/// As a service has it that only its own kind reaches.
fn trusting() -> Policy {
    policy("*", None)
}

/// A sampler that follows callers: by a parent, a link, a priority or baggage; its root decision is a parameter.
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

/// A service with this root sampler, and its recorded spans.
struct Observed {
    sampled: bool,
    propagator: Propagator,
    memory: InMemory,
    _provider: SdkTracerProvider,
}

impl Observed {
    fn new(policy: Policy, sampled: bool) -> Self {
        let memory = InMemory::new();
        let provider =
            SdkTracerProvider::builder().with_simple_exporter(memory.clone()).with_sampler(gullible(sampled)).build();
        let formats: Formats = format!("{},baggage", FORMATS.join(",")).parse().unwrap();
        let bridge = OpenTelemetryBridge::new(provider.tracer("shop"));
        let propagator = Propagator::builder().policy(policy).formats(formats).bridge(bridge).build();
        Self { sampled, propagator, memory, _provider: provider }
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
        graph.assert_count(SpanSelector::any(), count);
        graph
    }

    /// No attempt has had its way. Each made so many spans, one of them of this kind.
    async fn assert_caller_decided_nothing(&self, outcomes: &[(&Attempt, Outcome)], spans: usize, kind: SpanKind) {
        assertions::assert_contexts_are_of_no_callers(outcomes, self.sampled);
        let spans = self.spans(if self.sampled { outcomes.len() * spans } else { 0 }).await;
        if self.sampled {
            assert_eq!(spans.trace_ids().len(), outcomes.len(), "no two requests are in one trace");
            assertions::assert_spans_are_of_no_callers(outcomes, &spans, kind);
        }
    }
}

/// Makes all attempts in a way.
async fn ask<'a>(shop: &Shop, transport: Transport, way: Way, attempts: &'a [Attempt]) -> Vec<(&'a Attempt, Outcome)> {
    let asked = attempts.iter().enumerate().map(async |(number, attempt)| {
        let fields = [attempt.fields.clone(), forwarded()].concat();
        (attempt, shop.ask(transport, way, &fields, number).await)
    });
    futures_util::stream::iter(asked).buffer_unordered(8).collect().await
}

/// The forwarding headers of a caller that imitates a proxy.
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

/// No attempt has its way, whichever way it comes.
async fn no_outsider_has_a_say(transport: Transport) {
    let attempts = attempts::all();
    for sampled in [true, false] {
        let observed = Observed::new(edge(), sampled);
        let shop = Shop::open(&observed.propagator).await;
        let mut outcomes = Vec::new();
        for way in [Way::Straight, Way::ProxyJoins(OUTSIDE), Way::ProxyAppends(OUTSIDE)] {
            outcomes.extend(ask(&shop, transport, way, &attempts).await);
        }
        // Of each request the server's span and that of its call.
        observed.assert_caller_decided_nothing(&outcomes, 2, SpanKind::Server).await;
        assertions::assert_calls_are_of_no_callers(&outcomes, sampled);
    }
}

async fn trusted_caller_decides_sampling(transport: Transport) {
    let attempts = attempts::all();
    for sampled in [true, false] {
        let observed = Observed::new(trusting(), sampled);
        let shop = Shop::open(&observed.propagator).await;
        assertions::assert_they_had_their_way(&ask(&shop, transport, Way::Straight, &attempts).await, sampled);
        let observed = Observed::new(edge(), sampled);
        let shop = Shop::open(&observed.propagator).await;
        let from_inside = ask(&shop, transport, Way::ProxyAppends(INSIDE), &attempts).await;
        assertions::assert_they_had_their_way(&from_inside, sampled);
    }
}

/// Senders to a topic or queue: every attempt fails if the policy does not trust them, and succeeds if it does.
async fn no_sender_has_a_say<Q: Queue>() {
    let attempts: Vec<Attempt> = attempts::all().into_iter().map(Attempt::into_message).collect();
    for (policy, trusted) in [(open_to_all(), false), (trusting(), true)] {
        for sampled in [true, false] {
            let observed = Observed::new(policy.clone(), sampled);
            let mut queue = Q::open(&observed.propagator).await;
            let mut outcomes = Vec::new();
            for attempt in &attempts {
                if let Some(context) = queue.handle(&attempt.fields).await {
                    outcomes.push((attempt, Outcome { context, called: Vec::new() }));
                }
            }
            if trusted {
                assertions::assert_they_had_their_way(&outcomes, sampled);
            } else {
                observed.assert_caller_decided_nothing(&outcomes, 1, SpanKind::Consumer).await;
            }
        }
    }
}

#[tokio::test]
async fn http_outsider_controls_no_trace_sampling_or_baggage() {
    no_outsider_has_a_say(Transport::Http).await;
}

#[tokio::test]
async fn grpc_outsider_controls_no_trace_sampling_or_baggage() {
    no_outsider_has_a_say(Transport::Grpc).await;
}

#[tokio::test]
async fn http_trusted_caller_is_followed_also_through_a_proxy() {
    trusted_caller_decides_sampling(Transport::Http).await;
}

#[tokio::test]
async fn grpc_trusted_caller_is_followed_also_through_a_proxy() {
    trusted_caller_decides_sampling(Transport::Grpc).await;
}

#[tokio::test]
async fn over_kafka_only_who_is_trusted_has_its_way() {
    no_sender_has_a_say::<Topic>().await;
}

#[tokio::test]
async fn over_amqp_only_who_is_trusted_has_its_way() {
    no_sender_has_a_say::<AmqpQueue>().await;
}

#[tokio::test]
async fn over_sqs_only_who_is_trusted_has_its_way() {
    no_sender_has_a_say::<SqsQueue>().await;
}
