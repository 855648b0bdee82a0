//! Our propagator behind OpenTelemetry's interface.

use std::collections::HashMap;

use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::{TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{Formats, OutboundRule, Peer, Policy, Propagator};
use propagation_opentelemetry::OpenTelemetryPropagator;

use crate::wire::{PARENT, open, open_policy};

/// Headers in wire order, any number of each; setting one replaces it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    pub(crate) fn new(fields: &[(&str, &str)]) -> Self {
        Self(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

impl Extractor for Headers {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        Some(self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect())
    }
}

impl Injector for Headers {
    fn set(&mut self, key: &str, value: String) {
        self.0.retain(|(name, _)| name != key);
        self.0.push((key.to_owned(), value));
    }
}

/// Returns the fields that a span of the SDK sends under a received parent.
fn through(propagator: &OpenTelemetryPropagator, fields: &[(&str, &str)]) -> HashMap<String, String> {
    let parent = propagator.extract_with_context(&Context::new(), &Headers::new(fields));
    let span = SdkTracerProvider::builder().build().tracer("app").start_with_context("span", &parent);
    let mut sent = Headers::default();
    propagator.inject_context(&parent.with_span(span), &mut sent);
    sent.0.into_iter().collect()
}

#[test]
fn a_programs_own_spans_go_on_with_everything_that_came() {
    let propagator = OpenTelemetryPropagator::new(open());
    let state = "0day=1,a@much-longer-than-fourteen=2";
    let sent = through(
        &propagator,
        &[
            ("traceparent", &PARENT.replace("-01", "-03")),
            ("tracestate", state),
            ("baggage", "z=1;p;p"),
            ("baggage", "a=%20b"),
        ],
    );
    assert!(sent["traceparent"].starts_with(&PARENT[..36]) && sent["traceparent"].ends_with("-03"), "{sent:?}");
    assert_ne!(sent["traceparent"][36..52], PARENT[36..52]);
    assert_eq!((sent["tracestate"].as_str(), sent["baggage"].as_str()), (state, "z=1;p;p,a=%20b"));
}

#[test]
fn baggage_changes_through_opentelemetry_are_sent() {
    let propagator = OpenTelemetryPropagator::new(open());
    let received = propagator.extract_with_context(&Context::new(), &Headers::new(&[("baggage", "z=1;p,y=2,a=3")]));
    let changed = received.with_baggage([KeyValue::new("a", "3"), KeyValue::new("z", "9"), KeyValue::new("new", "4")]);
    let mut sent = HashMap::new();
    propagator.inject_context(&changed, &mut sent);
    assert_eq!(sent["baggage"], "z=9,a=3,new=4");
}

#[test]
fn malformed_or_repeated_fields_leave_the_context_unchanged() {
    let propagator = OpenTelemetryPropagator::new(open());
    let before = Context::new().with_baggage([KeyValue::new("own", "1")]);
    for fields in [
        &[("traceparent", "+0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")][..],
        &[("traceparent", "00-1-1-1")],
        &[("traceparent", PARENT), ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")],
        &[],
    ] {
        let after = propagator.extract_with_context(&before, &Headers::new(fields));
        assert!(!after.has_active_span(), "{fields:?}");
        assert_eq!(after.baggage().len(), 1);
    }
}

#[test]
fn the_policy_holds_for_the_peer_that_was_given() {
    let policy = Policy::builder().outbound(OutboundRule::peers(["kafka:orders"]).allow("tenant.id")).build().unwrap();
    let propagator = OpenTelemetryPropagator::new(Propagator::builder().policy(policy).build());
    let context = Context::new().with_baggage([KeyValue::new("tenant.id", "blue"), KeyValue::new("mail", "x")]);
    let sent = |propagator: &OpenTelemetryPropagator| {
        let mut sent = HashMap::new();
        propagator.inject_context(&context, &mut sent);
        sent
    };
    assert_eq!(sent(&propagator), HashMap::new());
    let orders = propagator.for_peer(&Peer::kafka("orders"));
    assert_eq!(sent(&orders), HashMap::from([("baggage".to_owned(), "tenant.id=blue".to_owned())]));

    let edge = OpenTelemetryPropagator::new(Propagator::builder().policy(Policy::edge()).build());
    let restarted = edge.extract_with_context(&Context::new(), &Headers::new(&[("traceparent", PARENT)]));
    assert!(!restarted.has_active_span());
}

#[test]
fn formats_keep_fields_beyond_opentelemetry_types() {
    let formats: Formats = "b3,jaeger".parse().unwrap();
    let propagator = OpenTelemetryPropagator::new(Propagator::builder().policy(open_policy()).formats(formats).build());
    let sent = through(&propagator, &[("b3", "d"), ("uberctx-k", "v")]);
    assert!(sent["b3"].ends_with("-d") && sent["uber-trace-id"].ends_with(":3"), "{sent:?}");
    assert_eq!(sent["uberctx-k"], "v");
    assert!(through(&propagator, &[("b3", "0")])["b3"].ends_with("-0"));
    let fields: Vec<_> = propagator.fields().collect();
    assert!(fields.contains(&"b3") && fields.contains(&"uber-trace-id"));
}

#[test]
fn only_own_traces_get_the_random_flag_and_on_request() {
    let propagator = OpenTelemetryPropagator::new(open());
    let theirs = opentelemetry_sdk::propagation::TraceContextPropagator::new();
    let received = theirs.extract_with_context(&Context::new(), &Headers::new(&[("traceparent", PARENT)]));
    let mut sent = HashMap::new();
    propagator.inject_context(&received, &mut sent);
    assert_eq!(sent["traceparent"], PARENT);
    assert!(through(&propagator, &[])["traceparent"].ends_with("-01"));
    let propagator = propagator.with_random_flag(true);
    assert!(through(&propagator, &[])["traceparent"].ends_with("-03"));
    let mut sent = HashMap::new();
    propagator.inject_context(&received, &mut sent);
    assert_eq!(sent["traceparent"], PARENT);
}
