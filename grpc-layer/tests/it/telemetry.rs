//! Shared test set-up: spans and metrics of the real SDK, and a real server and channel.

use std::{collections::BTreeSet, time::Duration};

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use propagation_core::{Hop, HopSpan, Policy, PropagationContext, Propagator, SpanKind as Kind};
use propagation_opentelemetry::metrics::HopMetrics;
use propagation_testkit::{in_memory::InMemoryMetrics, telemetry::TestTelemetry};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint};

pub(crate) struct Telemetry {
    pub(crate) propagator: Propagator,
    pub(crate) metrics: InMemoryMetrics,
    memory: TestTelemetry,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        let metrics = InMemoryMetrics::new();
        let memory = TestTelemetry::build(Policy::default(), |bridge| HopMetrics::new(&metrics.meter("grpc"), bridge));
        Self { propagator: memory.propagator.clone(), metrics, memory }
    }

    pub(crate) fn spans(&self, kind: &SpanKind) -> Vec<SpanData> {
        self.memory.spans().into_iter().filter(|span| span.span_kind == *kind).collect()
    }

    /// Waits for a number of spans of a kind, and returns them.
    pub(crate) async fn finished(&self, kind: &SpanKind, count: usize) -> Vec<SpanData> {
        for _ in 0..400 {
            if self.spans(kind).len() >= count {
                break;
            }
            // The server's span ends with its body, possibly after the client has received it.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Fails if there are more.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let spans = self.spans(kind);
        assert_eq!(spans.len(), count, "{spans:?}");
        spans
    }

    pub(crate) async fn one(&self, kind: &SpanKind) -> SpanData {
        self.finished(kind, 1).await.remove(0)
    }

    pub(crate) fn names(&self, kind: &SpanKind) -> BTreeSet<String> {
        self.spans(kind).into_iter().map(|span| span.name.to_string()).collect()
    }

    pub(crate) fn caller(&self) -> HopSpan {
        self.propagator.start(Hop::remote(Kind::Consumer, PropagationContext::EMPTY).named("caller"))
    }
}

pub(crate) fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().rev().find(|each| each.key.as_str() == key).map(|each| each.value.to_string())
}

/// Returns `rpc.status_code`, `error.type`, and whether the span status is an error.
pub(crate) fn ending(span: &SpanData) -> (Option<String>, Option<String>, bool) {
    let failed = matches!(span.status, Status::Error { .. });
    (attribute(span, "rpc.status_code"), attribute(span, "error.type"), failed)
}

/// The expected end of a call: its status, and its error type if it is an error.
pub(crate) fn code(code: &str, failed: bool) -> (Option<String>, Option<String>, bool) {
    (Some(code.to_owned()), failed.then(|| code.to_owned()), failed)
}

/// Binds a socket for a server, and returns it with its URL.
pub(crate) async fn listen() -> (TcpListenerStream, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (TcpListenerStream::new(listener), url)
}

pub(crate) async fn connect(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap()
}
