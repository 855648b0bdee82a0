//! The shop of one test: its services, their spans, and their received messages.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use propagation_core::{InboundRule, OutboundRule, Policy, Propagator};
use propagation_opentelemetry::OpenTelemetryBridge;
use propagation_testkit::{
    otlp::OtlpReceiver,
    trace::{AssertionFailure, SpanId, TraceGraph, TraceId},
    wire::Wire,
};

use crate::{
    Failure,
    service::{Arrivals, Service},
    transport::{Address, Transport},
};

/// Longer than anything takes; only so that a broken promise ends a test instead of hanging it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The caller's span, outside of the shop.
pub(crate) const CALLER: &str = "00f067aa0ba902b7";

/// The baggage keys between the shop's services.
pub(crate) const TENANT: &str = "tenant.id";

pub(crate) struct Shop {
    pub(crate) receiver: OtlpReceiver,
    pub(crate) wire: Wire,
    providers: Mutex<Vec<SdkTracerProvider>>,
    name: String,
    names: AtomicU32,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self {
            receiver: OtlpReceiver::start().await.unwrap(),
            wire: Wire::new(),
            providers: Mutex::default(),
            name: format!("{}-{since}", std::process::id()),
            names: AtomicU32::new(0),
        }
    }

    /// A service whose policy lets the tenant pass, and nothing else.
    pub(crate) fn service(&self, name: &'static str) -> Service {
        self.service_with(name, tenant_only())
    }

    pub(crate) fn service_with(&self, name: &'static str, policy: Policy) -> Service {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(self.receiver.grpc_endpoint())
            .build()
            .unwrap();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name(name).build())
            .build();
        let bridge = OpenTelemetryBridge::new(provider.tracer("journeys"));
        self.providers.lock().unwrap_or_else(PoisonError::into_inner).push(provider);
        let propagator = Propagator::builder().policy(policy).bridge(bridge).build();
        Service { name, propagator, wire: self.wire.clone() }
    }

    /// Returns the text that [`name`](Self::name) adds to a name.
    pub(crate) fn run(&self) -> &str {
        &self.name
    }

    /// A topic or queue of this test's own. Nothing deletes it: it goes with the broker.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{what}-{}-{}", self.name, self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// The last service of a route: it passes messages to the test.
    pub(crate) async fn end(&self, service: &Service, from: &str, by: Transport) -> (Address, Arrivals) {
        self.stop(service, from, by, None).await.unwrap()
    }

    /// An intermediate service: it forwards messages.
    pub(crate) async fn through(&self, service: &Service, from: &str, by: Transport, to: &Address) -> Address {
        self.stop(service, from, by, Some(to)).await.unwrap().0
    }

    async fn stop(
        &self,
        service: &Service,
        from: &str,
        by: Transport,
        to: Option<&Address>,
    ) -> Result<(Address, Arrivals), Failure> {
        let (stop, arrivals) = service.stop(from, by, to).await?;
        let name = self.name(service.name);
        Ok((by.listen(stop, name).await?, arrivals))
    }

    /// Flushes the exporters of all services.
    pub(crate) async fn flush(&self) {
        let providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Blocks, so not on a thread that drives the exporters.
        tokio::task::spawn_blocking(move || {
            for provider in providers {
                if let Err(error) = provider.force_flush() {
                    eprintln!("spans are not flushed yet: {error}");
                }
            }
        })
        .await
        .unwrap();
    }

    /// Waits until an assertion holds on the trace of this request, with the span of its caller as known. Work of the services
    /// themselves, such as polling an empty queue, is in other traces.
    #[track_caller]
    pub(crate) fn trace(
        &self,
        trace: TraceId,
        claim: impl Fn(&TraceGraph) -> Result<(), AssertionFailure>,
    ) -> impl Future<Output = TraceGraph> {
        let place = std::panic::Location::caller();
        async move {
            let began = Instant::now();
            loop {
                self.flush().await;
                let graph = self.receiver.graph().trace(trace).with_outside([CALLER.parse::<SpanId>().unwrap()]);
                match claim(&graph) {
                    Ok(()) => return graph,
                    Err(broken) => assert!(began.elapsed() < PATIENCE, "{place}: {broken}"),
                }
                // Spans of receivers end after their message to the test.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Each has a thread of its own, which would outlive the test.
        for provider in self.providers.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            std::thread::spawn(move || provider.shutdown());
        }
    }
}

pub(crate) fn tenant_only() -> Policy {
    Policy::builder()
        .inbound(InboundRule::peers(["*"]).allow(TENANT))
        .outbound(OutboundRule::peers(["*"]).allow(TENANT))
        .build()
        .unwrap()
}
