#![cfg(feature = "tracing")]

use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    trace::{Span, Status, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use propagation_core::{
    Attribute, Bridge, Exception, Hop, Link, OutboundRule, Outcome, Peer, Policy, PropagationContext, Propagator,
    SamplingDecision, Scrub, SpanKind, TraceContext, TraceState,
};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
};

use crate::wire::PARENT;

struct Setup {
    provider: SdkTracerProvider,
    exporter: InMemorySpanExporter,
}

impl Setup {
    fn new() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        Self { provider, exporter }
    }

    fn span(&self, name: &str) -> SpanData {
        let spans = self.exporter.get_finished_spans().unwrap();
        spans.into_iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"))
    }
}

/// Runs a check with each bridge, under a subscriber that exports to the same place.
fn with_each_bridge(check: impl Fn(&Setup, Propagator)) {
    type Make = Box<dyn FnOnce() -> Propagator>;
    let bridges: [fn(&Setup) -> Make; 2] = [
        |setup| {
            let bridge = OpenTelemetryBridge::new(setup.provider.tracer("shop")).with_baggage_map(true);
            Box::new(move || propagator(bridge))
        },
        |_| Box::new(|| propagator(TracingBridge::new().with_baggage_map(true))),
    ];
    for bridge in bridges {
        for activation in [true, false] {
            let setup = Setup::new();
            let layer = tracing_opentelemetry::layer()
                .with_tracer(setup.provider.tracer("app"))
                .with_context_activation(activation);
            let subscriber = tracing_subscriber::registry().with(LevelFilter::DEBUG).with(layer);
            let make = bridge(&setup);
            tracing::subscriber::with_default(subscriber, || check(&setup, make()));
        }
    }
}

fn propagator(bridge: impl Bridge + 'static) -> Propagator {
    Propagator::builder().bridge(bridge).build()
}

fn caller() -> PropagationContext {
    let state = TraceState::parse(b"0day=1,congo=t61rcWkgMzE").unwrap();
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()).with_state(state));
    context.baggage.set("tenant.id", "blue").unwrap();
    context
}

#[test]
fn server_and_client_spans_form_a_chain() {
    with_each_bridge(|setup, propagator| {
        let server = propagator
            .start(Hop::remote(SpanKind::Server, caller()).named("GET /orders").with("http.request.method", "GET"));
        let sent = server.in_scope(|| {
            let client = propagator.start(Hop::local(SpanKind::Client, propagator.current()).named("GET"));
            let sent = client.context().clone();
            client.end(&Outcome::error("503"));
            sent
        });
        server.end(&Outcome::Unset);

        let (server, client) = (setup.span("GET /orders"), setup.span("GET"));
        assert_eq!(server.span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(
            (server.parent_span_id.to_string(), server.parent_span_is_remote),
            ("00f067aa0ba902b7".into(), true)
        );
        assert_eq!(client.parent_span_id, server.span_context.span_id());
        assert_eq!(sent.trace.span_id().unwrap().to_string(), client.span_context.span_id().to_string());
        assert_eq!(sent.trace.state, caller().trace.state, "what was received goes on as it came");
        assert_eq!(sent.baggage, caller().baggage);
        assert!(matches!(client.status, Status::Error { .. }));
        assert!(client.attributes.contains(&KeyValue::new("error.type", "503")));
        assert!(server.attributes.contains(&KeyValue::new("http.request.method", "GET")));
    });
}

#[test]
fn user_spans_are_parents_of_outgoing_calls() {
    with_each_bridge(|setup, propagator| {
        let server = propagator.start(Hop::remote(SpanKind::Server, caller()).named("server"));
        let sent = server.in_scope(|| setup.provider.tracer("user").in_span("user", |_| propagator.current()));
        server.end(&Outcome::Unset);
        let (server, user) = (setup.span("server"), setup.span("user"));
        assert_eq!(user.parent_span_id, server.span_context.span_id());
        assert_eq!(sent.trace.span_id().unwrap().to_string(), user.span_context.span_id().to_string());
    });
}

/// A span of `tracing` inside of a hop is its child, and the parent of outgoing calls.
fn assert_tracing_spans_take_part(setup: &Setup, propagator: &Propagator) {
    let server = propagator.start(Hop::remote(SpanKind::Server, caller()).named("server"));
    let sent = server.in_scope(|| tracing::info_span!("handler").in_scope(|| propagator.current()));
    server.end(&Outcome::Unset);
    let (server, user) = (setup.span("server"), setup.span("handler"));
    assert_eq!(user.parent_span_id, server.span_context.span_id());
    assert_eq!(sent.trace.span_id().unwrap().to_string(), user.span_context.span_id().to_string());
}

#[test]
fn tracing_spans_are_parents_of_outgoing_calls() {
    with_each_bridge(|setup, propagator| {
        if format!("{propagator:?}").contains("OpenTelemetryBridge") {
            // That bridge sees `tracing` spans only where the layer activates them; see `context_activation`.
            return;
        }
        assert_tracing_spans_take_part(setup, &propagator);
    });
}

#[test]
fn context_activation_joins_tracing_to_opentelemetry() {
    let setup = Setup::new();
    let propagator = propagator(OpenTelemetryBridge::new(setup.provider.tracer("shop")));
    let layer = tracing_opentelemetry::layer().with_tracer(setup.provider.tracer("app"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        assert_tracing_spans_take_part(&setup, &propagator);
    });
}

#[test]
fn an_outer_span_is_never_adopted() {
    with_each_bridge(|setup, propagator| {
        let sent = tracing::info_span!("loop").in_scope(|| {
            setup.provider.tracer("user").in_span("outer", |_| {
                let hop = propagator.start(Hop::remote(SpanKind::Consumer, caller()).named("process"));
                hop.in_scope(|| propagator.current())
            })
        });
        assert_eq!(sent.trace.trace_id(), caller().trace.trace_id());
    });
}

#[test]
fn a_filter_that_disables_the_span_does_not_lose_the_trace() {
    let setup = Setup::new();
    let layer = tracing_opentelemetry::layer().with_tracer(setup.provider.tracer("app"));
    let subscriber = tracing_subscriber::registry().with(LevelFilter::ERROR).with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let propagator = propagator(TracingBridge::new());
        let server = propagator.start(Hop::remote(SpanKind::Server, caller()).named("server"));
        server.in_scope(|| assert_eq!(propagator.current(), caller()));
    });
}

#[test]
fn filtered_hop_spans_keep_user_spans_in_the_trace() {
    for activation in [true, false] {
        let setup = Setup::new();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(setup.provider.tracer("app"))
            .with_context_activation(activation);
        let filter = Targets::new().with_default(LevelFilter::INFO).with_target("propagation", LevelFilter::OFF);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(filter).with(layer), || {
            let propagator = propagator(TracingBridge::new());
            tracing::info_span!("loop").in_scope(|| {
                let server = propagator.start(Hop::remote(SpanKind::Server, caller()).named("server"));
                let handler = server.in_scope(|| tracing::info_span!("handler"));
                let (own, unseen) = server.in_scope(|| {
                    let own = handler.in_scope(|| propagator.current());
                    (own, tracing::debug_span!("unseen").in_scope(|| propagator.current()))
                });
                assert_eq!(unseen, caller(), "a span that is filtered out is no parent");
                assert_eq!(own.trace.trace_id(), caller().trace.trace_id(), "activation: {activation}");
                assert_eq!(own.baggage, caller().baggage);
                drop(handler);
                let handler = setup.span("handler");
                if activation {
                    assert_eq!(handler.parent_span_id.to_string(), "00f067aa0ba902b7");
                    assert_eq!(own.trace.span_id().unwrap().to_string(), handler.span_context.span_id().to_string());
                } else {
                    // See docs/telemetry.md: `tracing` knows no other parent for it.
                    let around = tracing::Span::current().context().span().span_context().span_id();
                    assert_eq!(handler.parent_span_id, around);
                    assert_eq!(own, caller());
                }
            });
        });
    }
}

#[test]
fn baggage_of_user_code_obeys_the_policy() {
    with_each_bridge(|_, propagator| {
        let rule = OutboundRule::peers(["kafka:orders"]).allow("tenant.id").allow("note");
        propagator.set_policy(Policy::builder().outbound(rule).build().unwrap());
        let server = propagator.start(Hop::remote(SpanKind::Server, caller()).named("server"));
        let record = server.in_scope(|| {
            let set = [
                KeyValue::new("tenant.id", "green"),
                KeyValue::new("plan", "pro"),
                KeyValue::new("note", "anna@example.com"),
            ];
            let _guard = Context::current().with_baggage(set).attach();
            let mut record: Vec<(String, Vec<u8>)> = Vec::new();
            propagator.inject(&Peer::kafka("orders"), &propagator.current(), &mut record);
            record
        });
        let baggage = record.iter().find(|(name, _)| name == "baggage").map(|(_, value)| value.as_slice());
        assert_eq!(baggage, Some(&b"tenant.id=green"[..]));
    });
}

#[test]
fn opentelemetry_baggage_is_shared_in_both_directions() {
    with_each_bridge(|_, propagator| {
        let server = propagator.start(Hop::remote(SpanKind::Server, caller()).named("server"));
        server.in_scope(|| {
            assert_eq!(Context::current().baggage().get("tenant.id").map(ToString::to_string).as_deref(), Some("blue"));
            let extended =
                Context::current().with_baggage([KeyValue::new("tenant.id", "green"), KeyValue::new("plan", "pro")]);
            let _guard = extended.attach();
            let baggage = propagator.current().baggage;
            assert_eq!(
                (baggage.get("tenant.id").as_deref(), baggage.get("plan").as_deref()),
                (Some("green"), Some("pro"))
            );
        });
    });
}

#[test]
fn a_hop_that_is_dropped_ends_as_cancelled() {
    with_each_bridge(|setup, propagator| {
        drop(propagator.start(Hop::remote(SpanKind::Server, caller()).named("given up")));
        assert!(setup.span("given up").attributes.contains(&KeyValue::new("error.type", "cancelled")));
    });
}

#[test]
fn resumed_work_continues_the_trace_without_a_span_of_its_own() {
    with_each_bridge(|setup, propagator| {
        let hop = propagator.continue_from(caller());
        hop.in_scope(|| {
            assert_eq!(propagator.current(), caller());
            setup.provider.tracer("user").start("work").end();
        });
        drop(hop);
        assert_eq!(setup.span("work").parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!(setup.exporter.get_finished_spans().unwrap().len(), 1);
    });
}

#[test]
fn links_carry_their_attributes_through_each_bridge() {
    with_each_bridge(|setup, propagator| {
        let link = |offset: i64| Link::new(caller().trace).with_attributes(vec![Attribute::new("offset", offset)]);
        let hop =
            propagator.start(Hop::local(SpanKind::Client, PropagationContext::EMPTY).named("batch").linked([link(1)]));
        hop.add_link(link(2));
        hop.end(&Outcome::Unset);
        let links = setup.span("batch").links;
        let offsets: Vec<_> =
            links.iter().flat_map(|link| &link.attributes).map(|each| each.value.to_string()).collect();
        assert_eq!(offsets, ["1", "2"]);
    });
}

#[test]
fn continuing_in_the_current_context_keeps_its_span() {
    with_each_bridge(|setup, propagator| {
        let server = propagator.start(Hop::remote(SpanKind::Server, caller()).named("server"));
        server.in_scope(|| {
            let continued = propagator.continue_from(propagator.current());
            continued.in_scope(|| Context::current().span().set_attribute(KeyValue::new("added", true)));
        });
        server.end(&Outcome::Unset);
        assert!(setup.span("server").attributes.contains(&KeyValue::new("added", true)));
    });
}

#[test]
fn a_new_trace_links_to_the_callers_and_has_no_random_flag() {
    with_each_bridge(|setup, propagator| {
        let hop = propagator
            .start(Hop::remote(SpanKind::Server, PropagationContext::EMPTY).named("edge").linked(vec![caller().trace]));
        assert!(!hop.context().trace.flags().is_random() && hop.context().trace.sampling == SamplingDecision::Sample);
        hop.end(&Outcome::Unset);
        let links = setup.span("edge").links;
        assert_eq!(
            links.iter().map(|link| link.span_context.span_id().to_string()).collect::<Vec<_>>(),
            ["00f067aa0ba902b7"]
        );
    });
}

/// The exception records of a span, `key=value` in order.
fn exceptions(span: &SpanData) -> Vec<Vec<String>> {
    assert!(span.events.iter().all(|event| event.name == "exception"));
    let record = |event: &opentelemetry::trace::Event| {
        event.attributes.iter().map(|each| format!("{}={}", each.key, each.value)).collect()
    };
    span.events.iter().map(record).collect()
}

#[test]
fn error_sets_status_and_exception_and_success_neither() {
    with_each_bridge(|setup, propagator| {
        let start = |name: &'static str| propagator.start(Hop::remote(SpanKind::Consumer, caller()).named(name));
        let refused: Result<u32, std::num::ParseIntError> = "4711x".parse();
        start("typed").end(&Outcome::of(&refused));
        let error = refused.unwrap_err();
        let traced = Exception::of(&error).with_stacktrace("0: shop::orders::accept");
        start("traced").end(&Outcome::raised(traced));
        start("described").end(&Outcome::raised(Exception::of(&error)).described("no such order"));
        start("status").end(&Outcome::error("503"));
        start("fine").end(&Outcome::of(&Ok::<_, std::num::ParseIntError>(1)));

        let error_type = KeyValue::new("error.type", "core::num::error::ParseIntError");
        for (name, status) in
            [("typed", ""), ("traced", "invalid digit found in string"), ("described", "no such order")]
        {
            let span = setup.span(name);
            assert_eq!(span.status, Status::error(status), "{name}");
            assert!(span.attributes.contains(&error_type), "{name}");
        }
        let kind = "exception.type=core::num::error::ParseIntError";
        let message = "exception.message=invalid digit found in string";
        assert_eq!(exceptions(&setup.span("typed")), [[kind]]);
        assert_eq!(
            exceptions(&setup.span("traced")),
            [[kind, message, "exception.stacktrace=0: shop::orders::accept"]]
        );
        assert_eq!(exceptions(&setup.span("described")), [[kind, message]]);
        assert!(exceptions(&setup.span("status")).is_empty(), "a status code is no exception");
        assert_eq!((setup.span("fine").status, exceptions(&setup.span("fine")).len()), (Status::Unset, 0));
    });
}

#[test]
fn personal_data_of_an_error_is_not_recorded() {
    with_each_bridge(|setup, propagator| {
        let start = |name: &'static str| propagator.start(Hop::remote(SpanKind::Consumer, caller()).named(name));
        let error = std::io::Error::other("no account for anna@example.com");
        let traced = Exception::of(&error).with_stacktrace("at card 4111 1111 1111 1111");
        start("raised").end(&Outcome::raised(traced));
        start("described").end(&Outcome::error("refused").described("anna%40example.com is not known"));
        for name in ["raised", "described"] {
            let span = setup.span(name);
            assert_eq!(span.status, Status::error(""), "{name}: still an error");
            // Not the whole of the span: times and random ids may hold any digits.
            let recorded = format!("{:?} {:?} {:?}", span.name, span.attributes, exceptions(&span));
            assert!(!recorded.contains("anna") && !recorded.contains("4111"), "{recorded}");
        }
        assert_eq!(exceptions(&setup.span("raised")), [["exception.type=std::io::error::Error"]]);

        // With the scrubbers off it is recorded: they caused the absence above.
        let off = Policy::builder().scrub(Scrub::off()).build().unwrap();
        propagator.set_policy(off);
        start("off").end(&Outcome::raised(Exception::of(&error)));
        assert!(format!("{:?}", setup.span("off")).contains("anna@example.com"));
    });
}

#[test]
fn recorded_exception_belongs_to_its_failed_hop() {
    with_each_bridge(|setup, propagator| {
        let start = |name: &'static str| propagator.start(Hop::remote(SpanKind::Server, caller()).named(name));
        let note = |text: &'static str| Exception::new("shop::Refused").with_message(text).record_exception();
        let (failed, nested, fine) = (start("failed"), start("nested"), start("fine"));
        failed.in_scope(|| {
            nested.in_scope(|| note("of the call inside"));
            note("no such order");
            note("the same, recorded again further out");
        });
        fine.in_scope(|| note("handled"));
        failed.end(&Outcome::error("500"));
        // Only the type came this far.
        nested.end(&Outcome::of(&Err::<(), _>(Refused)));
        fine.end(&Outcome::Unset);
        note("outside of any hop");

        let record =
            |message: &str| vec![["exception.type=shop::Refused".to_owned(), format!("exception.message={message}")]];
        assert_eq!(exceptions(&setup.span("failed")), record("no such order"));
        assert_eq!(setup.span("failed").status, Status::error("no such order"));
        assert!(setup.span("failed").attributes.contains(&KeyValue::new("error.type", "500")));
        assert_eq!(exceptions(&setup.span("nested")), record("of the call inside"));
        assert!(exceptions(&setup.span("fine")).is_empty());

        let personal = start("personal");
        personal.in_scope(|| note("no account for anna@example.com"));
        personal.end(&Outcome::error("500"));
        assert_eq!(exceptions(&setup.span("personal")), [["exception.type=shop::Refused"]]);
    });
}

struct Refused;

/// A tracestate belongs to its trace: a new one does not take it over.
#[test]
fn tracestate_without_ids_is_in_no_new_trace() {
    with_each_bridge(|_, propagator| {
        let trace = TraceContext::EMPTY.with_state(TraceState::parse(b"congo=1,ot=th:8").unwrap());
        let hop = propagator.start(Hop::remote(SpanKind::Server, PropagationContext::new(trace)).named("GET"));
        assert!(hop.context().trace.has_ids());
        assert!(hop.context().trace.state.is_empty(), "{:?}", hop.context().trace.state);
    });
}
