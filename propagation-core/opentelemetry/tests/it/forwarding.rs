//! Trust survives forwarding: context that an outgoing message carries already is judged by the rule that admitted the current hop.
#![cfg(feature = "tracing")]

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use propagation_core::{
    Direction, Hop, InboundRule, NoBridge, OutboundRule, Outcome, Peer, Policy, PropagationContext, Propagator,
    RejectReason, SpanKind, StoredContext, TraceTrust, Transport,
    messaging::{self, ExistingContext, ParentMode, PreparedMessage, Processing},
    policy::ExistingOutsideHops,
    task,
};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

type Message = Vec<(String, Vec<u8>)>;

const OUTSIDER: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const STORED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A message that an outsider has made.
fn received() -> Message {
    [
        ("traceparent", format!("00-{OUTSIDER}-00f067aa0ba902b7-01")),
        ("tracestate", "evil=1".to_owned()),
        ("baggage", "tenant.id=evil,plan=evil".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into_bytes()))
    .to_vec()
}

fn field(message: &Message, name: &str) -> Option<String> {
    let mut values = message.iter().filter(|(found, _)| found == name);
    let value = values.next().map(|(_, value)| String::from_utf8(value.clone()).unwrap());
    assert!(values.next().is_none(), "{name} is there once");
    value
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bridge {
    None,
    OpenTelemetry,
    Tracing,
}

/// A service that an outsider reaches over each transport, and that sends to `next`.
struct Service {
    propagator: Propagator,
    exporter: InMemorySpanExporter,
    dispatch: Dispatch,
    _provider: SdkTracerProvider,
}

fn policy(trust: TraceTrust) -> Policy {
    let transports = ["kafka", "amqp", "sqs", "http", "grpc"];
    Policy::builder()
        .inbound(InboundRule::peers(transports.map(|kind| format!("{kind}:partner"))).trust(trust).named("partner"))
        .inbound(InboundRule::peers(["kafka:friend"]).allow("plan"))
        .outbound(OutboundRule::peers(transports.map(|kind| format!("{kind}:next"))).allow("tenant.id").allow("plan"))
        .build()
        .unwrap()
}

impl Service {
    fn new(trust: TraceTrust, bridge: Bridge) -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let builder = Propagator::builder().policy(policy(trust));
        let propagator = match bridge {
            Bridge::None => builder.bridge(NoBridge),
            Bridge::OpenTelemetry => builder.bridge(OpenTelemetryBridge::new(provider.tracer("shop"))),
            Bridge::Tracing => builder.bridge(TracingBridge::new()),
        }
        .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Self { propagator, exporter, dispatch, _provider: provider }
    }

    fn spans(&self, name: &str) -> Vec<SpanData> {
        let spans = self.exporter.get_finished_spans().unwrap();
        spans.into_iter().filter(|span| span.name == name).collect()
    }
}

fn peer(transport: &str, name: &'static str) -> Peer<'static> {
    match transport {
        "kafka" => Peer::kafka(name),
        "amqp" => Peer::amqp(name),
        "sqs" => Peer::sqs(name),
        "grpc" => Peer::grpc(name),
        _ => Peer::http(name),
    }
}

/// Sends on with the received headers, from a context with a tenant of the service's own.
fn forward(propagator: &Propagator, to: &str, existing: &ExistingContext, name: &str) -> Message {
    let mut context = propagator.current();
    context.baggage.set("tenant.id", "blue").unwrap();
    let own = propagator.start(Hop::local(SpanKind::Internal, context));
    own.in_scope(|| {
        let mut message = received();
        let PreparedMessage { hop, .. } =
            messaging::send(propagator, &peer(to, "next"), existing, &mut message, |hop| {
                hop.name = name.to_owned().into();
            });
        hop.end(&Outcome::Unset);
        message
    })
}

/// The ways from the hop that received a message to the send that forwards its headers.
#[derive(Clone, Copy, Debug)]
enum Way {
    Direct,
    FanOut,
    Batch,
    CreatedInBatch,
    Placed,
    Task,
    JoinSet,
    SpawnBlocking,
    Thread,
    Stored,
    ByHand,
}

const WAYS: [Way; 11] = [
    Way::Direct,
    Way::FanOut,
    Way::Batch,
    Way::CreatedInBatch,
    Way::Placed,
    Way::Task,
    Way::JoinSet,
    Way::SpawnBlocking,
    Way::Thread,
    Way::Stored,
    Way::ByHand,
];

/// Receives a message over one transport and forwards it over another.
async fn handle(service: &Service, from: &str, to: &'static str, way: Way, existing: &ExistingContext) -> Vec<Message> {
    let (p, dispatch) = (service.propagator.clone(), service.dispatch.clone());
    let creation = messaging::creation_context(&p, &peer(from, "partner"), &received());
    let hop = if let Way::Batch = way {
        messaging::batch(&p, SpanKind::Consumer, &[creation], |hop, _| hop.name = "process".into())
    } else {
        let admission = p.extract(&peer(from, "partner"), &received());
        if from == "http" {
            p.start(Hop::admitted(SpanKind::Server, admission))
        } else {
            messaging::process(&p, admission, Processing::default(), |hop| hop.name = "process".into())
        }
    };
    let existing = existing.clone();
    let (inner, again) = (p.clone(), existing.clone());
    let work = move || tracing::dispatcher::with_default(&dispatch, || vec![forward(&inner, to, &again, "send next")]);
    hop.scope(async move {
        match way {
            Way::Direct | Way::Batch => work(),
            Way::FanOut => [work(), work(), work()].concat(),
            Way::CreatedInBatch => {
                let mut message = received();
                let mut context = p.current();
                context.baggage.set("tenant.id", "blue").unwrap();
                p.start(Hop::local(SpanKind::Internal, context)).in_scope(|| {
                    let name = |hop: &mut Hop| hop.name = "send next".into();
                    let created = messaging::send(&p, &peer(to, "next"), &existing, &mut message, name);
                    created.hop.end(&Outcome::Unset);
                });
                vec![message]
            }
            Way::Placed => {
                let mut context = p.current();
                context.baggage.set("tenant.id", "blue").unwrap();
                let hop = p.start(Hop::local(SpanKind::Producer, context).named("send next"));
                let mut message = received();
                messaging::place(&p, &peer(to, "next"), &existing, &mut message, &hop);
                hop.end(&Outcome::Unset);
                vec![message]
            }
            Way::Task => task::spawn(&p, async move { work() }).await.unwrap(),
            Way::JoinSet => {
                use task::JoinSetExt;
                let mut tasks = tokio::task::JoinSet::new();
                tasks.spawn_in_context(&p, async move { work() });
                tasks.join_next().await.unwrap().unwrap()
            }
            Way::SpawnBlocking => task::spawn_blocking(&p, work).await.unwrap(),
            Way::Thread => std::thread::spawn(task::carry(&p, work)).join().unwrap(),
            // A context that is kept for later in the process, and resumed where no hop is current.
            Way::Stored => {
                let current = task::Current::resume(&p, p.current());
                std::thread::spawn(move || current.in_scope(work)).join().unwrap()
            }
            // A hop whose context was made by hand inside of the outsider's.
            Way::ByHand => {
                let mut context = PropagationContext::new(p.current().trace);
                context.baggage.set("plan", "free").unwrap();
                p.start(Hop::local(SpanKind::Internal, context)).in_scope(work)
            }
        }
    })
    .await
}

/// The context on a forwarded message, and the links of its send span.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected {
    outsiders_ids: bool,
    outsiders_state: bool,
    linked: bool,
}

fn expected(trust: TraceTrust, existing: &ExistingContext) -> Expected {
    let of = |outsiders_ids, outsiders_state, linked| Expected { outsiders_ids, outsiders_state, linked };
    match (trust, existing) {
        (TraceTrust::Full, ExistingContext::Keep) => of(true, true, true),
        (TraceTrust::IdsOnly, ExistingContext::Keep) => of(true, false, true),
        (TraceTrust::RestartWithLink, ExistingContext::Keep) => of(false, false, true),
        // The trace of an admitted caller goes on in our own spans.
        (TraceTrust::Full, _) => of(true, true, false),
        (TraceTrust::IdsOnly, _) => of(true, false, false),
        _ => of(false, false, false),
    }
}

async fn check(from: &str, to: &'static str, way: Way, trust: TraceTrust, existing: &ExistingContext, bridge: Bridge) {
    let case = format!("{from} to {to}, {way:?}, {trust:?}, {existing:?}, {bridge:?}");
    let service = Service::new(trust, bridge);
    let _default = tracing::dispatcher::set_default(&service.dispatch);
    let messages = handle(&service, from, to, way, existing).await;
    let mut expected = expected(trust, existing);
    if let (Way::Batch, ExistingContext::Replace) = (way, existing) {
        // The span of a batch is in no message's trace.
        expected = Expected { outsiders_ids: false, outsiders_state: false, linked: false };
    }
    assert!(!messages.is_empty(), "{case}");
    for message in &messages {
        let parent = field(message, "traceparent");
        let theirs = parent.as_ref().is_some_and(|parent| parent.contains(OUTSIDER));
        assert_eq!(theirs, expected.outsiders_ids, "{case}: {parent:?}");
        assert_eq!(parent.is_some(), theirs || bridge != Bridge::None, "{case}: {parent:?}");
        assert_eq!(field(message, "tracestate").is_some(), expected.outsiders_state, "{case}");
        let plan = if let Way::ByHand = way { "plan=free,tenant.id=blue" } else { "tenant.id=blue" };
        assert_eq!(field(message, "baggage").as_deref(), Some(plan), "{case}");
    }
    let sends = service.spans("send next");
    assert_eq!(sends.len(), if bridge == Bridge::None { 0 } else { messages.len() }, "{case}");
    for send in sends {
        let theirs = send.links.iter().filter(|link| link.span_context.trace_id().to_string() == OUTSIDER).count();
        assert_eq!(theirs, usize::from(expected.linked), "{case}: {:?}", send.links);
    }
}

const TRUSTS: [TraceTrust; 5] =
    [TraceTrust::Full, TraceTrust::IdsOnly, TraceTrust::RestartWithLink, TraceTrust::Restart, TraceTrust::Ignore];

const BRIDGES: [Bridge; 3] = [Bridge::None, Bridge::OpenTelemetry, Bridge::Tracing];

#[tokio::test]
async fn forwarded_headers_obey_the_admitting_rule() {
    for trust in TRUSTS {
        for bridge in BRIDGES {
            for existing in [ExistingContext::Keep, ExistingContext::Replace] {
                for way in WAYS {
                    check("kafka", "kafka", way, trust, &existing, bridge).await;
                }
                for (from, to) in
                    [("amqp", "amqp"), ("sqs", "sqs"), ("http", "kafka"), ("http", "sqs"), ("kafka", "amqp")]
                {
                    check(from, to, Way::Direct, trust, &existing, bridge).await;
                    check(from, to, Way::Task, trust, &existing, bridge).await;
                    check(from, to, Way::Batch, trust, &existing, bridge).await;
                }
            }
        }
    }
}

/// The sampled flag of a message that was forwarded with accepted ids.
fn flag(message: &Message) -> String {
    field(message, "traceparent").unwrap()[53..].to_owned()
}

#[test]
fn accepted_ids_go_out_under_our_own_sampling() {
    for (sampler, expected) in
        [(opentelemetry_sdk::trace::Sampler::AlwaysOff, "00"), (opentelemetry_sdk::trace::Sampler::AlwaysOn, "01")]
    {
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        let bridge = OpenTelemetryBridge::new(provider.tracer("shop"));
        let propagator = Propagator::builder().policy(policy(TraceTrust::IdsOnly)).bridge(bridge).build();
        let admission = propagator.extract(&Peer::kafka("partner"), &received());
        let hop = messaging::process(&propagator, admission, Processing::default(), |_| {});
        let message = hop.in_scope(|| forward(&propagator, "kafka", &ExistingContext::Keep, "send"));
        assert_eq!(flag(&message), expected);
        assert!(field(&message, "traceparent").unwrap().contains("00f067aa0ba902b7"), "the ids stay");
    }
}

#[test]
fn stored_context_is_exempt_in_an_outsiders_hop() {
    let mut stored: StoredContext = format!("traceparent:{STORED}\nbaggage:tenant.id=green").parse().unwrap();
    for trust in TRUSTS {
        for bridge in BRIDGES {
            let service = Service::new(trust, bridge);
            let _default = tracing::dispatcher::set_default(&service.dispatch);
            let p = &service.propagator;
            let hop = p.start(Hop::admitted(SpanKind::Server, p.extract(&Peer::http("partner"), &received())));
            let message = hop.in_scope(|| forward(p, "kafka", &stored.clone().into(), "send next"));
            assert_eq!(field(&message, "traceparent").as_deref(), Some(STORED), "{trust:?} {bridge:?}");
            assert_eq!(field(&message, "baggage").as_deref(), Some("tenant.id=green"), "{trust:?} {bridge:?}");
            assert_eq!(field(&message, "tracestate"), None, "{trust:?} {bridge:?}");
            for send in service.spans("send next") {
                let links: Vec<_> = send.links.iter().map(|link| link.span_context.trace_id().to_string()).collect();
                assert_eq!(links, [&STORED[3..35]], "{trust:?}");
            }
        }
    }
    stored = "traceparent:nonsense".parse().unwrap();
    let service = Service::new(TraceTrust::Restart, Bridge::OpenTelemetry);
    let message = forward(&service.propagator, "kafka", &stored.into(), "send next");
    assert!(!field(&message, "traceparent").unwrap().contains(OUTSIDER), "an unreadable one is none");
}

#[test]
fn context_outside_of_hops_is_kept_unless_the_policy_restarts() {
    for (treatment, kept) in
        [(None, true), (Some(ExistingOutsideHops::Keep), true), (Some(ExistingOutsideHops::Restart), false)]
    {
        let mut builder = Policy::builder().outbound(OutboundRule::peers(["kafka:next"]).allow("tenant.id"));
        if let Some(treatment) = treatment {
            builder = builder.existing_outside_hops(treatment);
        }
        let propagator = Propagator::builder().policy(builder.build().unwrap()).build();
        let mut message = received();
        let sent = messaging::send(&propagator, &Peer::kafka("next"), &ExistingContext::Keep, &mut message, |_| {});
        assert_eq!(sent.creation.has_ids(), kept, "{treatment:?}");
        assert_eq!(field(&message, "traceparent").is_some(), kept, "{treatment:?}");
        assert_eq!(field(&message, "baggage").as_deref(), kept.then_some("tenant.id=evil"), "{treatment:?}");
        let counted = propagator.counters().get(Direction::Outbound, RejectReason::Restarted);
        assert_eq!(counted, if kept { 0 } else { 2 }, "{treatment:?}");
        // A hop of our own is no outsider's.
        let own = propagator.start(Hop::local(SpanKind::Internal, PropagationContext::EMPTY));
        let mut message = received();
        let _ = own.in_scope(|| {
            messaging::send(&propagator, &Peer::kafka("next"), &ExistingContext::Keep, &mut message, |_| {})
        });
        assert_eq!(field(&message, "traceparent").is_some(), kept, "{treatment:?}");
    }
}

#[test]
fn existing_outside_hops_is_a_word_of_the_policy_file() {
    let restart = Policy::from_toml("existing_outside_hops = \"restart\"\nopen = true").unwrap();
    let propagator = Propagator::builder().policy(restart).build();
    assert!(propagator.existing(&Peer::kafka("next"), &received()).is_empty());
    let keep = Policy::from_toml("existing_outside_hops = \"keep\"\nopen = true").unwrap();
    let loosened = propagator.policy().loosened_by(&keep);
    assert_eq!(loosened[0].to_string(), "outbound existing_outside_hops is keep instead of restart");
    assert!(keep.loosened_by(&propagator.policy()).is_empty());
    propagator.set_policy(keep);
    assert!(propagator.existing(&Peer::kafka("next"), &received()).trace.has_ids());
    let error = Policy::from_toml("# words\nexisting_outside_hops = \"perhaps\"").unwrap_err().to_string();
    assert!(error.contains("keep, restart") && error.contains("2:25"), "{error}");
}

#[test]
fn a_batch_is_forwarded_by_its_strictest_admission() {
    for (peers, kept) in
        [(vec!["friend"], true), (vec!["friend", "partner"], false), (vec!["partner", "friend"], false)]
    {
        for bridge in [Bridge::None, Bridge::OpenTelemetry] {
            let service = Service::new(TraceTrust::Restart, bridge);
            let p = &service.propagator;
            let creations: Vec<_> =
                peers.iter().map(|name| messaging::creation_context(p, &Peer::kafka(name), &received())).collect();
            let hop = messaging::batch(p, SpanKind::Consumer, &creations, |_, _| {});
            let message = hop.in_scope(|| forward(p, "kafka", &ExistingContext::Keep, "send next"));
            let theirs = field(&message, "traceparent").is_some_and(|parent| parent.contains(OUTSIDER));
            assert_eq!(theirs, kept, "{peers:?} {bridge:?}");
            let baggage = if kept { "tenant.id=blue,plan=evil" } else { "tenant.id=blue" };
            assert_eq!(field(&message, "baggage").as_deref(), Some(baggage), "{peers:?} {bridge:?}");
        }
    }
}

#[test]
fn two_rules_of_one_trust_let_no_baggage_of_either_on() {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["kafka:one"]).allow("tenant.id"))
        .inbound(InboundRule::peers(["kafka:two"]).allow("plan"))
        .outbound(OutboundRule::peers(["*"]).allow("*"))
        .build()
        .unwrap();
    let propagator = Propagator::builder().policy(policy).build();
    let creations =
        ["one", "two"].map(|topic| messaging::creation_context(&propagator, &Peer::kafka(topic), &received()));
    let hop = messaging::batch(&propagator, SpanKind::Consumer, &creations, |_, _| {});
    let existing = hop.in_scope(|| propagator.existing(&Peer::kafka("next"), &received()));
    assert!(existing.trace.has_ids() && existing.baggage.is_empty(), "{existing:?}");
}

#[test]
fn a_policy_that_was_replaced_counts_as_restart() {
    let propagator = Propagator::builder().policy(policy(TraceTrust::Full)).build();
    let admission = propagator.extract(&Peer::kafka("friend"), &received());
    let hop = propagator.start(Hop::admitted(SpanKind::Consumer, admission));
    hop.in_scope(|| {
        assert!(propagator.existing(&Peer::kafka("next"), &received()).trace.has_ids());
        propagator.set_policy(policy(TraceTrust::Full));
        assert!(propagator.existing(&Peer::kafka("next"), &received()).is_empty());
    });
}

#[test]
fn headers_on_a_request_are_judged_like_those_on_a_message() {
    let cases: [(&str, Peer<'_>, &str); 3] = [
        ("none", Peer::http("partner"), ""),
        ("allowed", Peer::kafka("friend"), "plan=evil"),
        ("own", Peer::caller(Transport::HTTP), ""),
    ];
    for (case, from, baggage) in cases {
        let propagator = Propagator::builder().policy(policy(TraceTrust::Restart)).build();
        let hop = propagator.start(Hop::admitted(SpanKind::Server, propagator.extract(&from, &received())));
        let existing = hop.in_scope(|| propagator.existing(&Peer::http("next"), &received()));
        assert_eq!(existing.baggage.as_wire(), baggage.as_bytes(), "{case}");
        let denied = propagator.counters().get(Direction::Outbound, RejectReason::NotAllowed);
        assert_eq!(denied, 2 - existing.baggage.len() as u64, "{case}: counted");
    }
    let propagator = Propagator::builder().policy(policy(TraceTrust::Restart)).build();
    let outside = propagator.existing(&Peer::http("next"), &received());
    assert_eq!(outside.baggage.len(), 2, "outside of any hop it is the application's own");
    propagator.set_enabled(false);
    assert!(propagator.existing(&Peer::http("next"), &received()).is_empty());
}

#[test]
fn replaced_and_restarted_context_is_counted() {
    let service = Service::new(TraceTrust::Restart, Bridge::None);
    let p = &service.propagator;
    let hop = p.start(Hop::admitted(SpanKind::Consumer, p.extract(&Peer::kafka("partner"), &received())));
    let before = p.counters().get(Direction::Outbound, RejectReason::Restarted);
    hop.in_scope(|| forward(p, "kafka", &ExistingContext::Keep, "send next"));
    assert_eq!(p.counters().get(Direction::Outbound, RejectReason::Restarted), before + 1);
    assert_eq!(p.counters().get(Direction::Outbound, RejectReason::NotAllowed), 2, "tenant.id and plan");
}

/// Inside a user's span, a restarted message is still a root, and a trusted one goes on in its own trace.
#[test]
fn process_spans_are_not_adopted_by_a_users_span() {
    for bridge in [Bridge::OpenTelemetry, Bridge::Tracing] {
        for (trust, mode, parent) in [
            (TraceTrust::Full, ParentMode::Message, "00f067aa0ba902b7"),
            (TraceTrust::IdsOnly, ParentMode::Message, "00f067aa0ba902b7"),
            (TraceTrust::RestartWithLink, ParentMode::Message, "0000000000000000"),
            (TraceTrust::Restart, ParentMode::Message, "0000000000000000"),
            (TraceTrust::Ignore, ParentMode::Message, "0000000000000000"),
            (TraceTrust::Full, ParentMode::LinkOnly, "0000000000000000"),
            (TraceTrust::Restart, ParentMode::Current, "run"),
            (TraceTrust::Full, ParentMode::Current, "run"),
        ] {
            let service = Service::new(trust, bridge);
            let p = &service.propagator;
            let name = |hop: &mut Hop| hop.name = "process".into();
            let work = || {
                let admission = p.extract(&Peer::kafka("partner"), &received());
                let hop = messaging::process(p, admission, Processing::new(mode), name);
                hop.in_scope(|| p.start(Hop::local(SpanKind::Client, p.current()).named("call")).end(&Outcome::Unset));
                hop.end(&Outcome::Unset);
            };
            tracing::dispatcher::with_default(&service.dispatch, || {
                tracing::info_span!("run").in_scope(work);
            });
            let [run, process, call] = ["run", "process", "call"].map(|name| service.spans(name).remove(0));
            let expected = if parent == "run" { run.span_context.span_id().to_string() } else { parent.to_owned() };
            assert_eq!(process.parent_span_id.to_string(), expected, "{bridge:?} {trust:?} {mode:?}");
            assert_eq!(call.parent_span_id, process.span_context.span_id(), "{bridge:?} {trust:?} {mode:?}");
            let same = process.span_context.trace_id() == run.span_context.trace_id();
            assert_eq!(same, parent == "run", "{bridge:?} {trust:?} {mode:?}: a trace of its own");
            let linked = matches!(trust, TraceTrust::Full | TraceTrust::IdsOnly | TraceTrust::RestartWithLink);
            assert_eq!(process.links.len(), usize::from(linked), "{bridge:?} {trust:?} {mode:?}");
        }
    }
}

/// A handler that copies the headers that it was called with onto a request.
#[test]
fn copied_request_headers_give_an_outsider_nothing() {
    for trust in TRUSTS {
        for bridge in BRIDGES {
            let service = Service::new(trust, bridge);
            let _default = tracing::dispatcher::set_default(&service.dispatch);
            let p = &service.propagator;
            for (from, transport) in [("http", "http"), ("http", "grpc"), ("kafka", "http"), ("grpc", "grpc")] {
                let case = format!("{trust:?} {bridge:?} {from} {transport}");
                let admission = p.extract(&peer(from, "partner"), &received());
                let server = p.start(Hop::admitted(SpanKind::Server, admission));
                let request = server.in_scope(|| {
                    let mut context = p.current();
                    context.baggage.set("tenant.id", "blue").unwrap();
                    let client = p.start(Hop::local(SpanKind::Client, context));
                    let mut request = received();
                    p.inject_merged(&peer(transport, "next"), client.context(), &mut request);
                    request
                });
                assert_eq!(field(&request, "baggage").as_deref(), Some("tenant.id=blue"), "{case}");
                let theirs = field(&request, "traceparent").is_some_and(|parent| parent.contains(OUTSIDER));
                assert_eq!(theirs, matches!(trust, TraceTrust::Full | TraceTrust::IdsOnly), "{case}");
            }
            // Keys that the rule lists are merged.
            let admission = p.extract(&Peer::kafka("friend"), &received());
            let server = p.start(Hop::admitted(SpanKind::Server, admission));
            let mut request = vec![("baggage".to_owned(), b"plan=free,tenant.id=evil".to_vec())];
            server.in_scope(|| p.inject_merged(&Peer::http("next"), &PropagationContext::EMPTY, &mut request));
            assert_eq!(field(&request, "baggage").as_deref(), Some("plan=free"), "{trust:?} {bridge:?}");
        }
    }
}
