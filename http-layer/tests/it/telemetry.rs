//! Shared test set-up: tracing with either bridge, and the finished spans.

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use propagation_core::{Bridge, InboundRule, OutboundRule, Policy, Propagator};
use propagation_opentelemetry::{OpenTelemetryBridge, TracingBridge};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

pub(crate) const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const CALLER: &str = "00f067aa0ba902b7";

#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    OpenTelemetry,
    Tracing,
}

pub(crate) struct Telemetry {
    pub(crate) propagator: Propagator,
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
    // For this thread: tests run on single-threaded runtimes.
    _subscriber: DefaultGuard,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        Self::with(Which::OpenTelemetry)
    }

    pub(crate) fn with(which: Which) -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));
        let filter = tracing_subscriber::filter::LevelFilter::INFO;
        let subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(filter).with(layer));
        let propagator = match which {
            Which::OpenTelemetry => propagator(OpenTelemetryBridge::new(provider.tracer("http"))),
            Which::Tracing => propagator(TracingBridge::new()),
        };
        Self { propagator, exporter, provider, _subscriber: subscriber }
    }

    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.provider.force_flush().unwrap();
        self.exporter.get_finished_spans().unwrap()
    }

    pub(crate) fn span(&self, name: &str) -> SpanData {
        let spans = self.spans();
        let names: Vec<String> = spans.iter().map(|span| span.name.to_string()).collect();
        spans.into_iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name} in {names:?}"))
    }
}

fn propagator(bridge: impl Bridge + 'static) -> Propagator {
    let policy = Policy::builder()
        .inbound(InboundRule::peers(["*"]).allow("tenant.id"))
        .outbound(OutboundRule::peers(["http:127.0.0.1"]).allow("tenant.id"))
        .build()
        .unwrap();
    Propagator::builder().policy(policy).bridge(bridge).build()
}

pub(crate) fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|attribute| attribute.value.to_string())
}
