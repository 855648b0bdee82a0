//! Set-up in one call: resource, exporters, sampler, limits and propagator, from OpenTelemetry's standard variables.
//!
//! ```no_run
//! use propagation_core::Policy;
//! use propagation_opentelemetry::setup::Setup;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let telemetry = Setup::new("orders").version(env!("CARGO_PKG_VERSION")).policy(Policy::default()).build()?;
//! let propagator = telemetry.propagator();
//! // … serve …
//! # let _ = propagator;
//! if let Err(error) = telemetry.shutdown().await {
//!     tracing::error!(%error, "telemetry is incomplete");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Signals
//!
//! | Signal | Feature | Exported |
//! |---|---|---|
//! | traces | | unless `OTEL_TRACES_EXPORTER=none` |
//! | metrics: [`HopMetrics`](crate::metrics::HopMetrics) and the propagator's counters | `metrics` | unless `OTEL_METRICS_EXPORTER=none` |
//! | log records: events of `tracing` | `logs` | with `OTEL_LOGS_EXPORTER=otlp` or [`Setup::with_logs`] |
//!
//! # Variables
//!
//! | Variable | Effect | Default |
//! |---|---|---|
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | the resource | the name given in code, and a random `service.instance.id` |
//! | `OTEL_TRACES_EXPORTER` | a list of `otlp` and `console` (a line for each span on standard output), or `none` | `otlp` |
//! | `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` | `otlp` or `none` | `otlp`; log records only if code or `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN` enables them |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` | `grpc`, or `http/protobuf` with the feature `otlp-http` | `grpc` |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | the Collector. Over HTTP, `/v1/traces`, `/v1/metrics` or `/v1/logs` is added; not to the endpoint of one signal | `http://localhost:4317`, over HTTP `http://localhost:4318` |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | headers or gRPC metadata, as `key=value,…`, percent-encoded | none |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` | milliseconds for an export | 10,000 |
//! | `OTEL_EXPORTER_OTLP_INSECURE` | over gRPC, the scheme of an endpoint without one: `http://` if `true`, `https://` if `false` | such an endpoint is ignored |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE`, `…_CLIENT_KEY`, `…_CLIENT_CERTIFICATE` | PEM files for `https://` over gRPC: [TLS](#tls) | the system's roots |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` | read by the exporter itself, from the environment; needs a feature of `opentelemetry-otlp` | none |
//! | `OTEL_BSP_SCHEDULE_DELAY`, `…_MAX_QUEUE_SIZE`, `…_MAX_EXPORT_BATCH_SIZE` | batches of spans; `OTEL_BLRP_…` those of log records | 5,000 ms (log records 1,000), 2,048, 512 |
//! | `OTEL_METRIC_EXPORT_INTERVAL` | milliseconds between exports of metrics | 60,000 |
//! | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative`, `delta` or `lowmemory` | `cumulative` |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | the sampler: [names](#samplers) | the one given in code, or `parentbased_always_on` |
//! | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, `…_EVENT_…`, `…_LINK_…` | limits of a span | 128 each |
//! | `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, `OTEL_SPAN_…` | characters of a text in an attribute, truncated on export | no limit |
//! | `OTEL_PROPAGATORS` | the formats | `tracecontext,baggage` |
//! | `OTEL_SEMCONV_STABILITY_OPT_IN` | the names of RPC and messaging attributes: [`SemanticConventions`] | 1.45 |
//! | `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN` | `logs`: exceptions are log records in place of span events; `logs/dup`: both. Needs the feature `logs` | span events |
//! | `PROPAGATION_POLICY_FILE` | the policy file. Needs the feature `policy-file`; an error in it ends the start | the one given in code |
//! | `RUST_LOG` | the log lines that [`install`](Setup::install) writes | the filter given in code, or `info` |
//! | `OTEL_SDK_DISABLED`, `PROPAGATION_DISABLED` | the off switches | on |
//!
//! The `OTEL_EXPORTER_OTLP_…` variables exist for each signal, too: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `…_METRICS_HEADERS`, `…_LOGS_TIMEOUT`. The one of
//! a signal goes before the one of all signals.
//!
//! # TLS
//!
//! Over gRPC, an `https://` endpoint needs the feature `tls`. It trusts the roots of the system, or the certificates in the file that
//! `OTEL_EXPORTER_OTLP_CERTIFICATE` names. A Collector that requires client certificates gets the one of `…_CLIENT_CERTIFICATE` with the key of
//! `…_CLIENT_KEY`. A file that cannot be read is reported like a malformed variable.
//!
//! Over HTTP, an `https://` endpoint needs a TLS feature of `reqwest` 0.13 (`rustls` or `native-tls`), which the program enables itself: two such
//! features cannot be chosen for it. The roots of the system are trusted; the three variables are reported and ignored.
//!
//! # Samplers
//!
//! | `OTEL_TRACES_SAMPLER` | Keeps | `OTEL_TRACES_SAMPLER_ARG` |
//! |---|---|---|
//! | `always_on`, `always_off` | all, nothing | |
//! | `traceidratio` | a share of the traces, by the SDK's older algorithm | the share, 0 to 1; 1 if it is not set |
//! | `consistent_probability` | a share of the traces, equal in every service, with `ot=th` in tracestate | the share |
//! | `adaptive` | about a number of traces a second, with `ot=th` | the number |
//! | `rate_limited` | at most a number of traces a second | the number |
//! | `links_based` | spans that link to a sampled trace, and a share of the others | the share, 0 to 1; 1 if it is not set |
//!
//! After `parentbased_`, which the last two need, the caller's decision goes before. Other samplers, rules for instance, are given in code:
//! [`Setup::sampler`]. See [`sampling`](crate::sampling).
//!
//! # Unknown values and lost telemetry
//!
//! A variable with an unknown or malformed value is reported and ignored; [`Setup::strict`] makes it an error that names the variable. Reports are
//! events of the target `propagation`, or lines on standard error if no subscriber takes them.
//!
//! Spans that could not be exported are counted ([`Telemetry::span_counts`], [`Counters::spans_not_exported`](propagation_core::Counters::spans_not_exported)).
//! The first failure of each signal is reported with endpoint and cause, later ones at most once a minute. [`Telemetry::shutdown`] returns an error with
//! the number of lost spans, or with the last failed export of another signal.
//!
//! [`Setup::build`] sets no global; [`Setup::install`] sets the subscriber of `tracing`, and nothing else.

mod builder;
mod console;
mod detect;
mod error;
mod every_span;
mod exports;
#[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
mod install;
#[cfg(feature = "tracing-subscriber")]
mod log_format;
#[cfg(feature = "logs")]
mod logs;
#[cfg(feature = "metrics")]
mod metrics;
mod otlp;
mod pipeline;
#[cfg(feature = "policy-file")]
mod policy;
mod report;
mod sampler;
mod settings;
mod signal;
mod telemetry;
mod tls;
mod truncating;
mod variables;

use std::sync::Arc;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use propagation_core::{
    Bridge,
    semconv::{self, SemanticConventions},
};

pub use builder::Setup;
pub use detect::{ContainerDetector, HostDetector};
pub use error::SetupError;
pub use every_span::BaggageSpanProcessor;
pub use exports::SpanCounts;
#[cfg(feature = "tracing-subscriber")]
pub use log_format::LogFormat;
pub use telemetry::Telemetry;

use self::{console::Console, exports::Exports, pipeline::Pipeline, settings::Settings, variables::Variables};
use crate::{OpenTelemetryBridge, ReceivedIdGenerator, instrumentation_scope, sampling::Recording};

impl Setup {
    /// Sets everything up.
    ///
    /// A variable with an unknown value is ignored and reported: as a warning of the target `propagation`, or on standard error if no subscriber
    /// takes it. An exporter that cannot be built (`https://` without TLS) exports nothing, and its spans count as lost.
    /// [`strict`](Self::strict) makes both an error.
    ///
    /// # Errors
    ///
    /// If a signal is exported over gRPC and no Tokio runtime runs, or if the policy file cannot be used.
    pub fn build(self) -> Result<Telemetry, SetupError> {
        let telemetry = self.build_quietly()?;
        telemetry.ignored_variables().iter().for_each(report::ignored);
        Ok(telemetry)
    }

    /// [`build`](Self::build) without reports.
    fn build_quietly(self) -> Result<Telemetry, SetupError> {
        let variables = Variables::new(&self.variables, self.strict);
        let settings = Settings::read(&variables)?;
        let over_otlp = !self.has_exporter();
        let resource = settings.resource(&self);
        let service = resource.get(&opentelemetry::Key::from_static_str(semconv::SERVICE_NAME));
        let service = service.map_or_else(|| self.service.clone(), |name| name.to_string());
        let mut sampler = settings.sampler.clone().or(self.sampler).unwrap_or_else(sampler::standard);
        if self.keep_errors && !settings.disabled {
            sampler = Recording::new(sampler).into();
        }
        let baggage = BaggageSpanProcessor::default();
        let builder = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(sampler)
            .with_id_generator(ReceivedIdGenerator::default())
            .with_span_limits(settings.limits)
            .with_span_processor(baggage.clone());
        let batched = over_otlp && settings.traces.is_some();
        let exports = Exports::new(service, batched.then(|| settings.capacity()));
        let (value_limit, keep_errors) = (settings.value_limit, self.keep_errors);
        let mut pipeline = Pipeline { builder, value_limit, keep_errors, exports: Arc::clone(&exports) };
        if !settings.disabled {
            if let Some(install) = self.exporter {
                pipeline = install(pipeline);
            } else if over_otlp {
                if let Some(otlp) = &settings.traces {
                    pipeline = pipeline.otlp(otlp, &settings, &variables)?;
                }
                if settings.console {
                    pipeline = pipeline.simple(Console::default(), "standard output");
                }
            }
        }
        let provider = pipeline.builder.build();

        let opt_in = (self.variables)(SemanticConventions::VARIABLE).unwrap_or_default();
        let names = self.semantic_conventions.with_opt_in(&opt_in);
        let tracer = provider.tracer_with_scope(instrumentation_scope(names));
        let bridge: Box<dyn Bridge> =
            Box::new(OpenTelemetryBridge::new(tracer).with_random_flag(self.random_flag).with_baggage_map(true));
        #[cfg(feature = "tracing")]
        let bridge: Box<dyn Bridge> = if self.tracing {
            Box::new(crate::TracingBridge::new().with_random_flag(self.random_flag).with_baggage_map(true))
        } else {
            bridge
        };
        #[cfg(feature = "logs")]
        let (bridge, logs) = {
            let mut logs = logs::Logs::default();
            if !settings.disabled {
                let read = logs::LogSettings::read(&variables, self.logs)?;
                logs = logs::Logs::build(&read, self.log_exporter, over_otlp, resource.clone(), &variables)?;
                logs.around(read.exceptions, names, bridge)
            } else {
                (bridge, logs)
            }
        };
        #[cfg(feature = "metrics")]
        let (bridge, metrics) = {
            let mut metrics = metrics::Metrics::default();
            if !settings.disabled {
                let read = metrics::MetricSettings::read(&variables, self.metrics)?;
                metrics = metrics::Metrics::build(&read, self.metric_exporter, over_otlp, resource, &variables)?;
            }
            (metrics.around(names, bridge), metrics)
        };
        #[cfg(feature = "policy-file")]
        let policy_file = variables.get(policy::VARIABLE).map(Into::into).or(self.policy_file);
        let ignored = variables.into_ignored();
        let propagator = self
            .propagator
            .formats(settings.formats)
            .with_stack_traces(self.stack_traces)
            .semantic_conventions(self.semantic_conventions)
            .switches_from(&self.variables)
            .bridge(bridge)
            .build();
        baggage.set_propagator(&propagator);
        #[cfg(feature = "metrics")]
        metrics.observe(&propagator);
        let telemetry = Telemetry::new(propagator, provider, exports, ignored);
        #[cfg(feature = "metrics")]
        let telemetry = telemetry.with_metrics(metrics);
        #[cfg(feature = "logs")]
        let telemetry = telemetry.with_logs(logs);
        #[cfg(feature = "policy-file")]
        let telemetry = match policy_file {
            #[cfg(feature = "reload")]
            Some(path) => policy::watch(telemetry, path, self.reload_interval)?,
            #[cfg(not(feature = "reload"))]
            Some(path) => policy::read(telemetry, path)?,
            None => telemetry,
        };
        Ok(telemetry)
    }
}
