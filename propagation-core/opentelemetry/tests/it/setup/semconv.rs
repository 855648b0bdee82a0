//! Names of attributes, scope and schema URL.

use opentelemetry_sdk::trace::{InMemorySpanExporterBuilder, SpanData};
use propagation_core::{
    Hop, Outcome, PropagationContext, SpanKind,
    semconv::{self, NameSet, SemanticConventions},
};
use propagation_opentelemetry::setup::Setup;
use tracing_subscriber::layer::SubscriberExt;

use super::{Variables, setup};

/// Returns the span of one message, made with OpenTelemetry's API or through `tracing`.
fn span_of(setup: Setup, with_tracing: bool) -> SpanData {
    let exporter = InMemorySpanExporterBuilder::new().build();
    let setup = setup.exporter(exporter.clone());
    let telemetry = if with_tracing { setup.with_tracing() } else { setup }.build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.span_layer());
    tracing::subscriber::with_default(subscriber, || {
        let hop = Hop::local(SpanKind::Producer, PropagationContext::EMPTY)
            .named("send orders")
            .with(semconv::MESSAGING_SYSTEM_NAME, semconv::SYSTEM_AWS_SQS);
        let hop = telemetry.propagator().start(hop);
        hop.set_attribute(semconv::RPC_STATUS_CODE, "OK");
        hop.end(&Outcome::Unset);
    });
    exporter.get_finished_spans().unwrap().remove(0)
}

fn attributes(span: &SpanData) -> Vec<String> {
    let renamed = span.attributes.iter().filter(|attribute| {
        let key = attribute.key.as_str();
        key.starts_with("messaging.") || key.starts_with("rpc.")
    });
    let mut attributes: Vec<_> = renamed.map(|found| format!("{}={}", found.key, found.value)).collect();
    attributes.sort();
    attributes
}

#[test]
fn spans_have_scope_version_and_schema_url() {
    for with_tracing in [false, true] {
        let span = span_of(setup(&[]), with_tracing);
        let scope = &span.instrumentation_scope;
        assert_eq!(scope.name(), "propagation", "{with_tracing}");
        assert_eq!(scope.version(), Some(env!("CARGO_PKG_VERSION")), "{with_tracing}");
        assert_eq!(scope.schema_url(), Some("https://opentelemetry.io/schemas/1.45.0"), "{with_tracing}");
    }
}

#[test]
fn opt_in_variable_selects_the_attribute_names() {
    const CURRENT: [&str; 2] = ["messaging.system.name=aws.sqs", "rpc.status_code=OK"];
    const OLDER: [&str; 2] = ["messaging.system=aws_sqs", "rpc.response.status_code=OK"];
    const BOTH: [&str; 4] = [
        "messaging.system.name=aws.sqs",
        "messaging.system=aws_sqs",
        "rpc.response.status_code=OK",
        "rpc.status_code=OK",
    ];
    let rows: [(Variables, &[&str], Option<&str>); 4] = [
        (&[], &CURRENT, Some("https://opentelemetry.io/schemas/1.45.0")),
        (
            &[("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup,rpc,messaging")],
            &CURRENT,
            Some("https://opentelemetry.io/schemas/1.45.0"),
        ),
        (&[("OTEL_SEMCONV_STABILITY_OPT_IN", "rpc/dup, messaging/dup")], &BOTH, None),
        (
            &[("OTEL_SEMCONV_STABILITY_OPT_IN", "rpc/old,messaging/old")],
            &OLDER,
            Some("https://opentelemetry.io/schemas/1.44.0"),
        ),
    ];
    for (variables, expected, schema_url) in rows {
        for with_tracing in [false, true] {
            let span = span_of(setup(variables), with_tracing);
            assert_eq!(attributes(&span), expected, "{variables:?}, tracing: {with_tracing}");
            assert_eq!(span.instrumentation_scope.schema_url(), schema_url, "{variables:?}, tracing: {with_tracing}");
        }
    }
}

#[test]
fn code_selects_names_where_the_variable_does_not() {
    let names = SemanticConventions::default().with_messaging(NameSet::Older).with_rpc(NameSet::Older);
    let span = span_of(setup(&[("OTEL_SEMCONV_STABILITY_OPT_IN", "rpc")]).semantic_conventions(names), false);
    assert_eq!(attributes(&span), ["messaging.system=aws_sqs", "rpc.status_code=OK"]);
}

#[test]
fn unknown_opt_in_of_our_areas_is_reported() {
    for (list, reported) in [("http/new,gen_ai_latest_experimental", 0), ("rpc/both", 1), ("Messaging/DUP", 0)] {
        let telemetry = setup(&[])
            .variables(move |name| (name == "OTEL_SEMCONV_STABILITY_OPT_IN").then(|| list.to_owned()))
            .exporter(InMemorySpanExporterBuilder::new().build())
            .build()
            .unwrap();
        assert_eq!(telemetry.ignored_variables().len(), reported, "{list}");
    }
}
