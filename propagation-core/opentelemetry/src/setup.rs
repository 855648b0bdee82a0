//! Start-up in one call: resource, exporter, batches, sampler, limits and propagator, from OpenTelemetry's standard variables.
//!
//! ```no_run
//! use propagation_core::Policy;
//! use propagation_opentelemetry::setup::Setup;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let telemetry = Setup::new("orders").policy(Policy::default()).build()?;
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
//! | Variable | What it does | Without it |
//! |---|---|---|
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | the resource | the name given in code |
//! | `OTEL_TRACES_EXPORTER` | a list of `otlp` and `console` (a line for each span on standard output), or `none` | `otlp` |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL`, `…_TRACES_PROTOCOL` | `grpc`, or `http/protobuf` with the feature `otlp-http` | `grpc` |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_TRACES_ENDPOINT` | the Collector; over HTTP, `/v1/traces` is added to the first, and not to the second | `http://localhost:4317`, over HTTP `http://localhost:4318` |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT`, `…_TRACES_TIMEOUT` | milliseconds for an export | 10,000 |
//! | `OTEL_EXPORTER_OTLP_INSECURE`, `…_TRACES_INSECURE` | over gRPC, the scheme of an endpoint without one: `http://` if `true`, `https://` if `false` | such an endpoint is ignored |
//! | `OTEL_EXPORTER_OTLP_…` `HEADERS`, `COMPRESSION` | read by the exporter itself, from the environment | none |
//! | `OTEL_BSP_SCHEDULE_DELAY`, `…_MAX_QUEUE_SIZE`, `…_MAX_EXPORT_BATCH_SIZE` | batches | 5,000 ms, 2,048, 512 |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | the sampler: [names](#samplers) | the one given in code, or `parentbased_always_on` |
//! | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, `…_EVENT_…`, `…_LINK_…` | limits of a span | 128 each |
//! | `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, `OTEL_SPAN_…` | characters of a text in an attribute, cut on export | no limit |
//! | `OTEL_PROPAGATORS` | the formats | `tracecontext,baggage` |
//! | `OTEL_SEMCONV_STABILITY_OPT_IN` | the names of RPC and messaging attributes: [`SemanticConventions`] | 1.45 |
//! | `RUST_LOG` | which log lines are written, where [`install`](Setup::install) writes any | what code says, or `info` |
//! | `OTEL_SDK_DISABLED`, `PROPAGATION_DISABLED` | the off switches | on |
//!
//! # Samplers
//!
//! | `OTEL_TRACES_SAMPLER` | Keeps | `OTEL_TRACES_SAMPLER_ARG` |
//! |---|---|---|
//! | `always_on`, `always_off` | all, nothing | |
//! | `traceidratio` | a share of the traces, by the SDK's older algorithm | the share, 0 to 1; 1 where it is not set |
//! | `consistent_probability` | a share of the traces, the same ones in every service, with `ot=th` in tracestate | the same |
//! | `adaptive` | about so many traces a second, with `ot=th` | how many |
//! | `rate_limited` | no more than so many traces a second | how many |
//! | `links_based` | what links to a sampled trace, and a share of the rest | the share, 0 to 1; 1 where it is not set |
//!
//! After `parentbased_`, which the last two need, the caller's decision goes before. Everything else, rules for instance, is given in
//! code: [`Setup::sampler`]. See [`sampling`](crate::sampling).
//!
//! # Unknown values and lost spans
//!
//! A variable with an unknown or malformed value is reported and ignored; [`Setup::strict`] makes it an error that names the variable.
//! Reports are events of the target `propagation`, or lines on standard error where no subscriber takes them.
//!
//! Spans that could not be exported are counted ([`Telemetry::span_counts`], [`Counters::spans_not_exported`](propagation_core::Counters::spans_not_exported)).
//! The first failure is reported with endpoint and cause, later ones at most once a minute, and [`Telemetry::shutdown`] returns an error with
//! their number.
//!
//! [`Setup::build`] sets no global; [`Setup::install`] sets the subscriber of `tracing`, and nothing else.

mod console;
mod error;
mod exports;
#[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
mod install;
#[cfg(feature = "tracing-subscriber")]
mod log_format;
mod otlp;
mod report;
mod sampler;
mod settings;
mod telemetry;
mod truncating;
mod variables;

use std::{fmt, sync::Arc};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SdkTracerProvider, ShouldSample, SimpleSpanProcessor, SpanExporter, SpanProcessor,
    TracerProviderBuilder,
};

pub use error::SetupError;
pub use exports::SpanCounts;
#[cfg(feature = "tracing-subscriber")]
pub use log_format::LogFormat;
pub use telemetry::Telemetry;

use self::{
    console::Console,
    exports::{CountingExporter, CountingProcessor, Exports},
    settings::{Export, Otlp, Settings},
    truncating::TruncatingExporter,
    variables::Variables,
};
use propagation_core::{
    Direction, Peer, Policy, Propagator, PropagatorBuilder, Rejection,
    semconv::{self, SemanticConventions},
};

use crate::{
    OpenTelemetryBridge, ReceivedIdGenerator, instrumentation_scope,
    sampling::{KeepErrors, Recording},
};

type LookUp = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;
type Install = Box<dyn FnOnce(Pipeline) -> Pipeline + Send>;

/// What a service sets up before it serves.
pub struct Setup {
    service: String,
    environment: Option<String>,
    propagator: PropagatorBuilder,
    variables: LookUp,
    exporter: Option<Install>,
    sampler: Option<Box<dyn ShouldSample>>,
    keep_errors: bool,
    strict: bool,
    random_flag: bool,
    semantic_conventions: SemanticConventions,
    #[cfg(feature = "tracing")]
    tracing: bool,
    #[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
    layers: install::Layers,
}

impl Setup {
    /// Starts from the process's environment. `service` is the `service.name` where no variable says another.
    #[must_use]
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            environment: None,
            propagator: Propagator::builder(),
            variables: Box::new(|name| std::env::var(name).ok()),
            exporter: None,
            sampler: None,
            keep_errors: false,
            strict: false,
            random_flag: false,
            semantic_conventions: SemanticConventions::default(),
            #[cfg(feature = "tracing")]
            tracing: false,
            #[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
            layers: install::Layers::default(),
        }
    }

    /// The `deployment.environment.name` where `OTEL_RESOURCE_ATTRIBUTES` says no other.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = Some(name.into());
        self
    }

    /// The policy to start with. Without it, [`Policy::default`].
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.propagator = self.propagator.policy(policy);
        self
    }

    /// Sets a callback for rejected and changed fields and keys: see [`PropagatorBuilder::on_rejection`].
    #[must_use]
    pub fn on_rejection(mut self, callback: impl Fn(Direction, &Peer<'_>, &Rejection) + Send + Sync + 'static) -> Self {
        self.propagator = self.propagator.on_rejection(callback);
        self
    }

    /// Looks variables up elsewhere than in the environment. What the exporter itself reads stays there.
    #[must_use]
    pub fn variables(mut self, look_up: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.variables = Box::new(look_up);
        self
    }

    /// The sampler where `OTEL_TRACES_SAMPLER` names none. Without it, `parentbased_always_on`.
    #[must_use]
    pub fn sampler(mut self, sampler: impl Into<Box<dyn ShouldSample>>) -> Self {
        self.sampler = Some(sampler.into());
        self
    }

    /// Exports spans that end as errors even where their trace is not sampled; for that, all are recorded. See
    /// [`KeepErrors`] for what is missing in such traces.
    #[must_use]
    pub fn keep_errors(mut self) -> Self {
        self.keep_errors = true;
        self
    }

    /// Sets whether traces that begin here carry the random flag. Off by default; see [`OpenTelemetryBridge::with_random_flag`].
    #[must_use]
    pub fn with_random_flag(mut self, random: bool) -> Self {
        self.random_flag = random;
        self
    }

    /// Sets the names of attributes where `OTEL_SEMCONV_STABILITY_OPT_IN` names none. By default, those of the semantic conventions 1.45.
    #[must_use]
    pub fn semantic_conventions(mut self, names: SemanticConventions) -> Self {
        self.semantic_conventions = names;
        self
    }

    /// Exports each span as it ends to this exporter, in place of OTLP: for tests and small tools.
    #[must_use]
    pub fn exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        self.exporter = Some(Box::new(move |pipeline| pipeline.simple(exporter, "the exporter of Setup::exporter")));
        self
    }

    /// Makes a variable with an unknown or malformed value an error. Without it, such a variable is reported and ignored, as
    /// OpenTelemetry's specification asks: platforms inject variables for other SDKs.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Makes `tracing` spans in place of OpenTelemetry's own: put `Telemetry::span_layer` (with the feature
    /// `tracing-subscriber`), or a layer of `tracing-opentelemetry` with [`Telemetry::tracer`], into the subscriber, too.
    #[cfg(feature = "tracing")]
    #[must_use]
    pub fn with_tracing(mut self) -> Self {
        self.tracing = true;
        self
    }

    /// Sets everything up.
    ///
    /// A variable with an unknown value is ignored and reported: as a warning of the target `propagation`, or on standard error where no
    /// subscriber takes it. An exporter that cannot be built (`https://` without a TLS feature of `opentelemetry-otlp`) exports nothing, and its
    /// spans count as lost. [`strict`](Self::strict) makes both an error.
    ///
    /// # Errors
    ///
    /// If spans are exported over gRPC and no Tokio runtime runs.
    pub fn build(self) -> Result<Telemetry, SetupError> {
        let telemetry = self.build_quietly()?;
        telemetry.ignored_variables().iter().for_each(report::ignored);
        Ok(telemetry)
    }

    /// [`build`](Self::build) without reports.
    fn build_quietly(self) -> Result<Telemetry, SetupError> {
        let variables = Variables::new(&self.variables, self.strict);
        let settings = Settings::read(&variables)?;
        let resource = settings.resource(&self.service, self.environment.as_deref());
        let service = resource.get(&opentelemetry::Key::from_static_str(semconv::SERVICE_NAME));
        let service = service.map_or_else(|| self.service.clone(), |name| name.to_string());
        let mut sampler = settings.sampler.clone().or(self.sampler).unwrap_or_else(sampler::standard);
        if self.keep_errors && !settings.disabled {
            sampler = Recording::new(sampler).into();
        }
        let builder = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(sampler)
            .with_id_generator(ReceivedIdGenerator::default())
            .with_span_limits(settings.limits);
        let batched =
            self.exporter.is_none() && settings.exports.iter().any(|export| matches!(export, Export::Otlp(_)));
        let exports = Exports::new(service, batched.then(|| settings.capacity()));
        let (value_limit, keep_errors) = (settings.value_limit, self.keep_errors);
        let mut pipeline = Pipeline { builder, value_limit, keep_errors, exports: Arc::clone(&exports) };
        match self.exporter {
            _ if settings.disabled => {}
            Some(install) => pipeline = install(pipeline),
            None => {
                for export in &settings.exports {
                    pipeline = match export {
                        Export::Otlp(otlp) => pipeline.otlp(otlp, &settings, &variables)?,
                        Export::Console => pipeline.simple(Console::default(), "standard output"),
                    };
                }
            }
        }
        let ignored = variables.into_ignored();
        let provider = pipeline.builder.build();
        let propagator = self
            .propagator
            .formats(settings.formats)
            .semantic_conventions(self.semantic_conventions)
            .switches_from(&self.variables);
        #[cfg(feature = "tracing")]
        if self.tracing {
            let bridge = crate::TracingBridge::new().with_random_flag(self.random_flag);
            return Ok(Telemetry::new(propagator.bridge(bridge).build(), provider, exports, ignored));
        }
        let opt_in = (self.variables)(SemanticConventions::VARIABLE).unwrap_or_default();
        let names = self.semantic_conventions.with_opt_in(&opt_in);
        let tracer = provider.tracer_with_scope(instrumentation_scope(names));
        let bridge = OpenTelemetryBridge::new(tracer).with_random_flag(self.random_flag);
        Ok(Telemetry::new(propagator.bridge(bridge).build(), provider, exports, ignored))
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("service", &self.service).finish_non_exhaustive()
    }
}

/// A provider that is being built, and the settings of its processors.
struct Pipeline {
    builder: TracerProviderBuilder,
    value_limit: Option<usize>,
    keep_errors: bool,
    exports: Arc<Exports>,
}

impl Pipeline {
    /// Exports each span as it ends.
    fn simple(self, exporter: impl SpanExporter + 'static, endpoint: &str) -> Self {
        let exporter = self.exporter(exporter, endpoint);
        self.with(SimpleSpanProcessor::new(exporter), endpoint)
    }

    fn otlp(self, otlp: &Otlp, settings: &Settings, variables: &Variables<'_>) -> Result<Self, SetupError> {
        let endpoint = otlp::shown(&otlp.endpoint);
        match otlp::exporter(otlp) {
            Ok(exporter) => {
                let exporter = self.exporter(exporter, &endpoint);
                let processor = BatchSpanProcessor::builder(exporter).with_batch_config(settings.batches()).build();
                Ok(self.with(processor, &endpoint))
            }
            Err(SetupError::NoRuntime) => Err(SetupError::NoRuntime),
            Err(error) => {
                let cause = error.to_string();
                variables.ignore(error)?;
                Ok(self.simple(NoExporter(cause), &endpoint))
            }
        }
    }

    fn exporter<E: SpanExporter>(&self, exporter: E, endpoint: &str) -> impl SpanExporter + use<E> {
        CountingExporter::new(TruncatingExporter::new(exporter, self.value_limit), endpoint, &self.exports)
    }

    fn with(mut self, processor: impl SpanProcessor + 'static, endpoint: &str) -> Self {
        let processor = CountingProcessor::new(processor, endpoint, &self.exports);
        self.builder = if self.keep_errors {
            self.builder.with_span_processor(KeepErrors::new(processor))
        } else {
            self.builder.with_span_processor(processor)
        };
        self
    }
}

/// In place of an exporter that could not be built: fails with the reason.
#[derive(Debug)]
struct NoExporter(String);

impl SpanExporter for NoExporter {
    async fn export(&self, _: Vec<opentelemetry_sdk::trace::SpanData>) -> opentelemetry_sdk::error::OTelSdkResult {
        Err(OTelSdkError::InternalFailure(self.0.clone()))
    }
}
