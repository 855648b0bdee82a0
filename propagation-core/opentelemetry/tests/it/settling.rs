//! Settling a message after it was processed.
#![cfg(feature = "tracing")]

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use propagation_core::{
    Hop, InboundRule, Outcome, Peer, Policy, Propagator, SpanKind, TraceTrust, Transport,
    messaging::{self, CreationContext, DeliveryKey, Processing},
};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing_subscriber::layer::SubscriberExt;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const NONE: &str = "0000000000000000";

fn message() -> Vec<(String, Vec<u8>)> {
    vec![("traceparent".to_owned(), format!("00-{TRACE}-00f067aa0ba902b7-01").into_bytes())]
}

struct Consumer {
    propagator: Propagator,
    exporter: InMemorySpanExporter,
}

/// Runs a check with each bridge, inside of a span that user code has made.
fn in_a_users_span(trust: TraceTrust, check: impl Fn(&Consumer)) {
    for tracing in [false, true] {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let policy = Policy::builder().inbound(InboundRule::peers(["*"]).trust(trust)).build().unwrap();
        let builder = Propagator::builder().policy(policy);
        let propagator = if tracing {
            builder.bridge(TracingBridge::new()).build()
        } else {
            builder.bridge(OpenTelemetryBridge::new(provider.tracer("shop"))).build()
        };
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info_span!("run").in_scope(|| check(&Consumer { propagator, exporter }));
        });
    }
}

impl Consumer {
    fn key(number: u64) -> DeliveryKey {
        DeliveryKey::new(Transport::KAFKA, number)
    }

    fn process(&self, number: u64, inside: impl FnOnce()) {
        let admission = self.propagator.extract(&Peer::kafka("orders"), &message());
        let processing = Processing::default().with_delivery(Some(Self::key(number)));
        let hop = messaging::process(&self.propagator, admission, processing, |hop| hop.name = "process".into());
        hop.in_scope(inside);
        hop.end(&Outcome::Unset);
    }

    fn creation(&self) -> CreationContext {
        messaging::creation_context(&self.propagator, &Peer::kafka("orders"), &message())
    }

    fn settle(&self, number: u64) {
        let name = |hop: &mut Hop| hop.name = "commit".into();
        messaging::settle(&self.propagator, Self::key(number), || self.creation(), name).end(&Outcome::Unset);
    }

    fn span(&self, name: &str) -> SpanData {
        let spans = self.exporter.get_finished_spans().unwrap();
        spans.into_iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"))
    }
}

#[test]
fn settling_after_processing_is_a_child_of_the_process_span() {
    for (trust, links) in
        [(TraceTrust::Full, 1), (TraceTrust::RestartWithLink, 1), (TraceTrust::Restart, 0), (TraceTrust::Ignore, 0)]
    {
        in_a_users_span(trust, |consumer| {
            consumer.process(1, || ());
            consumer.process(2, || ());
            consumer.settle(1);
            let (process, commit) = (consumer.span("process"), consumer.span("commit"));
            assert_eq!(commit.parent_span_id, process.span_context.span_id(), "{trust:?}");
            assert_eq!(commit.span_context.trace_id(), process.span_context.trace_id(), "{trust:?}");
            assert_eq!(commit.links.len(), links, "{trust:?}");
        });
    }
}

#[test]
fn settling_inside_the_handler_is_a_child_of_current() {
    in_a_users_span(TraceTrust::Full, |consumer| {
        let p = &consumer.propagator;
        consumer.process(1, || {
            let inner = p.start(Hop::local(SpanKind::Internal, p.current()).named("inner"));
            inner.in_scope(|| consumer.settle(1));
        });
        assert_eq!(consumer.span("commit").parent_span_id, consumer.span("inner").span_context.span_id());
    });
}

#[test]
fn settling_without_processing_is_a_child_of_the_message() {
    for (trust, parent) in [(TraceTrust::Full, "00f067aa0ba902b7"), (TraceTrust::IdsOnly, "00f067aa0ba902b7")] {
        in_a_users_span(trust, |consumer| {
            consumer.settle(1);
            assert_eq!(consumer.span("commit").parent_span_id.to_string(), parent, "{trust:?}");
        });
    }
    for trust in [TraceTrust::RestartWithLink, TraceTrust::Restart, TraceTrust::Ignore] {
        in_a_users_span(trust, |consumer| {
            consumer.settle(1);
            let commit = consumer.span("commit");
            assert_ne!(commit.parent_span_id.to_string(), NONE, "{trust:?}: the user's span, which is no outsider's");
            assert_ne!(commit.span_context.trace_id().to_string(), TRACE, "{trust:?}");
        });
    }
}

#[test]
fn a_received_delivery_is_settled_in_the_admitted_context() {
    in_a_users_span(TraceTrust::Full, |consumer| {
        messaging::remember(&consumer.propagator, Consumer::key(7), consumer.creation());
        let name = |hop: &mut Hop| hop.name = "delete".into();
        let settle = messaging::settle(&consumer.propagator, Consumer::key(7), CreationContext::default, name);
        settle.end(&Outcome::Unset);
        let delete = consumer.span("delete");
        assert_eq!(delete.span_context.trace_id().to_string(), TRACE);
        assert_eq!(delete.links.len(), 1);
        assert!(messaging::recall(&consumer.propagator, Consumer::key(7)).unwrap().trace.has_ids());
        assert!(messaging::recall(&consumer.propagator, Consumer::key(8)).is_none());
    });
}

#[test]
fn a_receive_hop_adopts_the_spans_of_its_messages() {
    for trust in [TraceTrust::Full, TraceTrust::Restart] {
        in_a_users_span(trust, |consumer| {
            let name = |hop: &mut Hop, _| hop.name = "receive".into();
            let receive = messaging::receive(&consumer.propagator, &[consumer.creation()], name);
            receive.in_scope(|| {
                consumer.process(1, || ());
                consumer.settle(1);
            });
            receive.end(&Outcome::Unset);
            let [receive, process, commit] = ["receive", "process", "commit"].map(|name| consumer.span(name));
            assert_eq!(process.parent_span_id, receive.span_context.span_id(), "{trust:?}");
            assert_eq!(commit.parent_span_id, process.span_context.span_id(), "{trust:?}");
        });
    }
}
