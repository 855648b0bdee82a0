//! The SDK with a batch processor and an exporter that keeps nothing, and the `tracing` subscriber: once per process.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapCompositePropagator,
    trace::{Link, SpanKind, TraceId, TraceState, TracerProvider},
};
use opentelemetry_sdk::{
    metrics::SdkMeterProvider,
    propagation::{BaggagePropagator, TraceContextPropagator},
    trace::{Sampler, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample},
};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt};

use crate::cases::Sampling;

/// An exported span, as far as the checks read it.
#[derive(Clone, Debug)]
pub struct Exported {
    pub trace: String,
    pub parent: String,
    pub state: String,
    pub attributes: Vec<String>,
}

static KEEPS: AtomicBool = AtomicBool::new(false);
static SPANS: Mutex<Vec<Exported>> = Mutex::new(Vec::new());
static SAMPLING: AtomicU8 = AtomicU8::new(0);
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

fn keep(span: Exported) {
    if KEEPS.load(Relaxed) {
        SPANS.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
}

/// Makes a provider of one version of the SDK. Its processor's thread sleeps while operations are counted.
macro_rules! provider {
    ($name:ident, $api:ident, $sdk:ident, $sampler:expr) => {
        fn $name() -> $sdk::trace::SdkTracerProvider {
            use $sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter};

            #[derive(Debug)]
            struct Sink;

            impl SpanExporter for Sink {
                async fn export(&self, batch: Vec<SpanData>) -> $sdk::error::OTelSdkResult {
                    for span in batch {
                        keep(Exported {
                            trace: span.span_context.trace_id().to_string(),
                            parent: span.parent_span_id.to_string(),
                            state: span.span_context.trace_state().header(),
                            attributes: span.attributes.iter().map(|each| each.key.to_string()).collect(),
                        });
                    }
                    Ok(())
                }
            }

            let config = BatchConfigBuilder::default()
                .with_scheduled_delay(Duration::from_secs(3600))
                .with_max_queue_size(16_384)
                .with_max_export_batch_size(16_384)
                .build();
            let processor = BatchSpanProcessor::builder(Sink).with_batch_config(config).build();
            SdkTracerProvider::builder().with_span_processor(processor).with_sampler($sampler).build()
        }
    };
}

provider!(current, opentelemetry, opentelemetry_sdk, Chosen);
provider!(older, opentelemetry_0_32, opentelemetry_sdk_0_32, opentelemetry_sdk_0_32::trace::Sampler::AlwaysOn);

/// The sampler of the case that is measured.
#[derive(Clone, Debug)]
struct Chosen;

impl ShouldSample for Chosen {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let never = SAMPLING.load(Relaxed) == Sampling::Never as u8;
        let sampler = if never { Sampler::AlwaysOff } else { Sampler::AlwaysOn };
        let mut result = sampler.should_sample(parent, trace_id, name, kind, attributes, links);
        if SAMPLING.load(Relaxed) == Sampling::WritesOt as u8 {
            // A consistent-probability sampler writes its threshold.
            let state: TraceState = result.trace_state;
            result.trace_state = state.insert("ot", "th:c").unwrap_or_default();
        }
        result
    }
}

pub fn propagator() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ])
}

/// Installs the SDK for one side.
pub fn install(side: &str) {
    let filter = EnvFilter::new("info,otel::tracing=trace");
    if side == "reqwest-tracing" {
        use opentelemetry_0_32::{global, propagation::TextMapCompositePropagator, trace::TracerProvider};
        use opentelemetry_sdk_0_32::propagation::{BaggagePropagator, TraceContextPropagator};

        let provider = older();
        let layer = tracing_opentelemetry_0_33::layer().with_tracer(provider.tracer("whole"));
        global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ]));
        let _ = OLDER.set(provider);
        subscribe(tracing_subscriber::registry().with(filter).with(layer));
        return;
    }
    let provider = current();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("whole"));
    opentelemetry::global::set_text_map_propagator(propagator());
    opentelemetry::global::set_tracer_provider(provider.clone());
    let _ = PROVIDER.set(provider);
    subscribe(tracing_subscriber::registry().with(filter).with(layer));
}

static OLDER: OnceLock<opentelemetry_sdk_0_32::trace::SdkTracerProvider> = OnceLock::new();

fn subscribe(subscriber: impl tracing::Subscriber + Send + Sync) {
    tracing::subscriber::set_global_default(subscriber).expect("the first subscriber");
}

pub fn tracer() -> SdkTracer {
    PROVIDER.get().expect("the SDK is installed").tracer("whole")
}

/// A meter whose measurements are collected and dropped.
pub fn meter() -> opentelemetry::metrics::Meter {
    use opentelemetry::metrics::MeterProvider;

    use opentelemetry_sdk::{
        error::OTelSdkResult,
        metrics::{PeriodicReader, Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    };

    struct Sink;

    impl PushMetricExporter for Sink {
        async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
            Ok(())
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }

        fn temporality(&self) -> Temporality {
            Temporality::Cumulative
        }
    }

    let reader = PeriodicReader::builder(Sink).with_interval(Duration::from_secs(3600)).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let meter = provider.meter("whole");
    // Shut down, it would measure nothing.
    std::mem::forget(provider);
    meter
}

pub fn sample(sampling: Sampling) {
    SAMPLING.store(sampling as u8, Relaxed);
}

/// The older SDK's spans end in the same place.
pub fn flush() {
    let _ = PROVIDER.get().map(SdkTracerProvider::force_flush);
    let _ = OLDER.get().map(opentelemetry_sdk_0_32::trace::SdkTracerProvider::force_flush);
}

/// Returns the spans that `run` exports.
pub fn spans_of(run: impl FnOnce()) -> Vec<Exported> {
    flush();
    SPANS.lock().unwrap_or_else(PoisonError::into_inner).clear();
    KEEPS.store(true, Relaxed);
    run();
    flush();
    KEEPS.store(false, Relaxed);
    std::mem::take(&mut *SPANS.lock().unwrap_or_else(PoisonError::into_inner))
}
