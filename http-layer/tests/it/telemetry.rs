//! Shared test set-up: tracing with either bridge, and the finished spans.

use opentelemetry_sdk::trace::SpanData;
use propagation_core::{InboundRule, OutboundRule, Policy, Propagator};
use propagation_testkit::telemetry::TestTelemetry;
pub(crate) use propagation_testkit::telemetry::{BridgeKind, PARENT};
use tracing::{level_filters::LevelFilter, subscriber::DefaultGuard};

pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const CALLER: &str = "00f067aa0ba902b7";

pub(crate) struct Telemetry {
    pub(crate) propagator: Propagator,
    memory: TestTelemetry,
    // For this thread: tests run on single-threaded runtimes.
    _subscriber: DefaultGuard,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        Self::with(BridgeKind::OpenTelemetry)
    }

    pub(crate) fn with(kind: BridgeKind) -> Self {
        let memory = TestTelemetry::with_bridge(kind, policy());
        let subscriber = tracing::subscriber::set_default(memory.subscriber(LevelFilter::INFO));
        Self { propagator: memory.propagator.clone(), memory, _subscriber: subscriber }
    }

    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.memory.spans()
    }

    /// Returns the first span with this name.
    pub(crate) fn span(&self, name: &str) -> SpanData {
        let spans = self.spans();
        let names: Vec<String> = spans.iter().map(|span| span.name.to_string()).collect();
        spans.into_iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name} in {names:?}"))
    }
}

fn policy() -> Policy {
    Policy::builder()
        .inbound(InboundRule::peers(["*"]).allow("tenant.id"))
        .outbound(OutboundRule::peers(["http:127.0.0.1"]).allow("tenant.id"))
        .build()
        .unwrap()
}

pub(crate) fn attribute(span: &SpanData, key: &str) -> Option<String> {
    propagation_testkit::telemetry::attribute(span, key).map(|value| value.to_string())
}
