use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::StartUpError;
use propagation_core::Propagator;

/// Telemetry that was started. Keep it until the service ends: dropped, it exports what is left, and blocks meanwhile.
#[derive(Debug)]
pub struct Telemetry {
    propagator: Propagator,
    provider: SdkTracerProvider,
}

impl Telemetry {
    pub(super) fn new(propagator: Propagator, provider: SdkTracerProvider) -> Self {
        Self { propagator, provider }
    }

    /// The propagator that every adapter of the service is given a clone of.
    #[must_use]
    pub fn propagator(&self) -> Propagator {
        self.propagator.clone()
    }

    /// A tracer for spans of the service's own.
    #[must_use]
    pub fn tracer(&self, name: &'static str) -> SdkTracer {
        self.provider.tracer(name)
    }

    /// The provider, for what stands nowhere here; a global is yours to set.
    #[must_use]
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// The layer that exports `tracing` spans, for the service's subscriber. Leave the exporter's own crates out of it with a filter
    /// where the level is below info.
    #[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
    pub fn span_layer<S>(&self) -> tracing_opentelemetry::OpenTelemetryLayer<S, SdkTracer>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        tracing_opentelemetry::layer().with_tracer(self.provider.tracer("tracing"))
    }

    /// Exports what is left and ends. Off the runtime's own threads, so that a runtime of one thread can drive the export.
    ///
    /// # Errors
    ///
    /// If spans could not be exported in time: then they are lost.
    pub async fn shutdown(self) -> Result<(), StartUpError> {
        let provider = self.provider.clone();
        // The SDK's shutdown does not tell whether its last export succeeded; its flush does.
        let ended = ::tokio::task::spawn_blocking(move || {
            let flushed = provider.force_flush();
            provider.shutdown().and(flushed)
        })
        .await;
        match ended {
            Ok(ended) => ended.map_err(|error| StartUpError::Shutdown(Box::new(error))),
            Err(error) => Err(StartUpError::Shutdown(Box::new(error))),
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // After `shutdown` this says only that it was done.
        let _ = self.provider.shutdown();
    }
}
