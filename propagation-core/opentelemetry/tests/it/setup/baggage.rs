//! Baggage that is copied to every span, and scopes without telemetry.

use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporterBuilder, SpanData};
use propagation_core::{Hop, InboundRule, KeyRule, Outcome, Peer, Policy, Propagator, SpanKind, task};
use propagation_opentelemetry::setup::{Setup, Telemetry};
use tracing_subscriber::layer::SubscriberExt;

use super::setup;
use crate::wire::PARENT;

fn policy(every_span: bool) -> Policy {
    let tenant = KeyRule::new("tenant.id").span_attribute("tenant.id").every_span(every_span);
    Policy::builder().inbound(InboundRule::peers(["http:*"]).allow(tenant).allow("plan")).build().unwrap()
}

/// Runs `run` with each kind of bridge, and returns the spans that it made.
fn with_each_bridge(setup: impl Fn() -> Setup, run: impl Fn(&Telemetry)) -> [Vec<SpanData>; 2] {
    [false, true].map(|with_tracing| {
        let exporter = InMemorySpanExporterBuilder::new().build();
        let setup = setup().exporter(exporter.clone());
        let telemetry = if with_tracing { setup.with_tracing() } else { setup }.build().unwrap();
        let subscriber = tracing_subscriber::registry().with(telemetry.span_layer());
        tracing::subscriber::with_default(subscriber, || run(&telemetry));
        exporter.get_finished_spans().unwrap()
    })
}

/// Handles a request with baggage, in which the service makes a span of its own and a call.
fn handle(telemetry: &Telemetry) {
    let propagator = telemetry.propagator();
    let received = vec![
        ("traceparent".to_owned(), PARENT.as_bytes().to_vec()),
        ("baggage".to_owned(), b"tenant.id=blue,plan=pro".to_vec()),
    ];
    let admission = propagator.extract(&Peer::http("shop"), &received);
    let hop = propagator.start(Hop::admitted(SpanKind::Server, admission).named("server"));
    hop.in_scope(|| {
        telemetry.provider().tracer("shop").in_span("own", |_| {});
        call(&propagator);
    });
    hop.end(&Outcome::Unset);
}

fn call(propagator: &Propagator) -> Vec<(String, Vec<u8>)> {
    let call = propagator.start(Hop::local(SpanKind::Client, propagator.current()).named("call"));
    let mut sent = Vec::new();
    propagator.inject(&Peer::http("stock"), call.context(), &mut sent);
    call.end(&Outcome::Unset);
    sent
}

fn tenants(spans: &[SpanData]) -> Vec<(String, Vec<String>)> {
    let of = |span: &SpanData| {
        let found = span.attributes.iter().filter(|attribute| attribute.key.as_str() == "tenant.id");
        found.map(|attribute| attribute.value.to_string()).collect()
    };
    let mut tenants: Vec<_> = spans.iter().map(|span| (span.name.to_string(), of(span))).collect();
    tenants.sort();
    tenants
}

#[test]
fn baggage_is_on_every_span_only_where_a_rule_asks_for_it() {
    for (every_span, inner) in [(true, vec!["blue".to_owned()]), (false, vec![])] {
        for spans in with_each_bridge(|| setup(&[]).policy(policy(every_span)), handle) {
            let expected = [
                ("call".to_owned(), inner.clone()),
                ("own".to_owned(), inner.clone()),
                ("server".to_owned(), vec!["blue".to_owned()]),
            ];
            assert_eq!(tenants(&spans), expected, "{every_span}");
        }
    }
}

#[test]
fn hop_of_another_trace_gets_no_baggage_of_the_outer_hop() {
    let spans = with_each_bridge(
        || setup(&[]).policy(policy(true)),
        |telemetry| {
            let propagator = telemetry.propagator();
            let received = vec![("baggage".to_owned(), b"tenant.id=blue".to_vec())];
            let outer = propagator.extract(&Peer::http("shop"), &received);
            let outer = propagator.start(Hop::admitted(SpanKind::Server, outer).named("outer"));
            outer.in_scope(|| {
                let inner = vec![("traceparent".to_owned(), PARENT.as_bytes().to_vec())];
                let inner = propagator.extract(&Peer::http("shop"), &inner);
                propagator.start(Hop::admitted(SpanKind::Server, inner).named("inner")).end(&Outcome::Unset);
            });
            outer.end(&Outcome::Unset);
        },
    );
    for spans in spans {
        assert_eq!(tenants(&spans), [("inner".to_owned(), vec![]), ("outer".to_owned(), vec!["blue".to_owned()])]);
    }
}

#[test]
fn suppressed_scope_makes_no_spans_and_injects_nothing() {
    let spans = with_each_bridge(
        || setup(&[]),
        |telemetry| {
            let propagator = telemetry.propagator();
            let hop = propagator.start(Hop::local(SpanKind::Server, propagator.current()).named("server"));
            hop.in_scope(|| {
                let health = propagator.suppressed();
                assert!(!health.is_recording());
                health.in_scope(|| {
                    assert!(call(&propagator).is_empty());
                    telemetry.provider().tracer("shop").in_span("own", |_| {});
                    let nested = propagator.start(Hop::local(SpanKind::Client, propagator.current()).named("nested"));
                    nested.in_scope(|| assert!(call(&propagator).is_empty()));
                });
                assert!(!call(&propagator).is_empty(), "after the scope, calls carry the context again");
            });
            hop.end(&Outcome::Unset);
        },
    );
    for spans in spans {
        let mut names: Vec<_> = spans.iter().map(|span| span.name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["call", "server"]);
    }
}

#[test]
fn suppressed_scope_is_carried_to_other_threads() {
    let spans = with_each_bridge(
        || setup(&[]),
        |telemetry| {
            let propagator = telemetry.propagator();
            let sent = propagator.suppressed().in_scope(|| {
                let inner = propagator.clone();
                std::thread::spawn(task::carry(&propagator, move || call(&inner)))
            });
            assert!(sent.join().unwrap().is_empty());
        },
    );
    assert!(spans.iter().all(Vec::is_empty));
}

#[test]
fn message_in_a_suppressed_scope_is_not_continued() {
    let spans = with_each_bridge(
        || setup(&[]),
        |telemetry| {
            let propagator = telemetry.propagator();
            propagator.suppressed().in_scope(|| {
                let received = vec![("traceparent".to_owned(), PARENT.as_bytes().to_vec())];
                let admission = propagator.extract(&Peer::http("shop"), &received);
                let hop = propagator.start(Hop::admitted(SpanKind::Server, admission).named("server"));
                hop.in_scope(|| assert!(call(&propagator).is_empty()));
            });
        },
    );
    assert!(spans.iter().all(Vec::is_empty));
}
