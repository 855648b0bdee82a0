//! Start-up in one call: resource, exporter, batches, sampler, limits and propagator, from OpenTelemetry's standard variables.
//!
//! ```no_run
//! use propagation_core::Policy;
//! use propagation_opentelemetry::setup::StartUp;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let telemetry = StartUp::new("orders").policy(Policy::default()).start()?;
//! let propagator = telemetry.propagator();
//! // … serve …
//! # let _ = propagator;
//! telemetry.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! | Variable | What it does | Without it |
//! |---|---|---|
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | the resource | the name given in code |
//! | `OTEL_TRACES_EXPORTER` | `otlp`, `console` (a line for each span on standard output) or `none` | `otlp` |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL`, `…_TRACES_PROTOCOL` | `grpc`, or `http/protobuf` with the feature `otlp-http` | `grpc` |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_TRACES_ENDPOINT` | the Collector; over HTTP, `/v1/traces` is added to the first, and not to the second | `http://localhost:4317`, over HTTP `http://localhost:4318` |
//! | `OTEL_EXPORTER_OTLP_…` `HEADERS`, `TIMEOUT`, `INSECURE` | read by the exporter itself, from the environment; over HTTP, the timeout is looked up like the rest | a timeout of 10,000 ms |
//! | `OTEL_BSP_SCHEDULE_DELAY`, `…_MAX_QUEUE_SIZE`, `…_MAX_EXPORT_BATCH_SIZE` | batches | 5,000 ms, 2,048, 512 |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | the sampler: [names](#samplers) | the one given in code, or `parentbased_always_on` |
//! | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, `…_EVENT_…`, `…_LINK_…` | limits of a span | 128 each |
//! | `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, `OTEL_SPAN_…` | characters of a text in an attribute, cut on export | no limit |
//! | `OTEL_PROPAGATORS` | the formats | `tracecontext,baggage` |
//! | `RUST_LOG` | which log lines are written, where [`install`](StartUp::install) writes any | what code says, or `info` |
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
//! code: [`StartUp::sampler`]. See [`sampling`](crate::sampling).
//!
//! What does not fit is an error that names the variable, never a silent default. [`StartUp::start`] sets no global;
//! [`StartUp::install`] sets the subscriber of `tracing`, and nothing else.

mod console;
mod cutting;
mod error;
#[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
mod install;
#[cfg(feature = "tracing-subscriber")]
mod lines;
mod otlp;
mod sampler;
mod settings;
mod telemetry;

use std::fmt;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SdkTracerProvider, ShouldSample, SimpleSpanProcessor, SpanExporter, SpanProcessor,
    TracerProviderBuilder,
};

pub use error::StartUpError;
#[cfg(feature = "tracing-subscriber")]
pub use lines::LogLines;
pub use telemetry::Telemetry;

use self::{
    console::Console,
    cutting::Cutting,
    settings::{Export, Settings},
};
use propagation_core::{Formats, Policy, Propagator};

use crate::{
    OpenTelemetryBridge,
    sampling::{KeepErrors, Recording},
};

type LookUp = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;
type Install = Box<dyn FnOnce(Pipeline) -> TracerProviderBuilder + Send>;

/// What a service sets up before it serves.
pub struct StartUp {
    service: String,
    environment: Option<String>,
    policy: Policy,
    variables: LookUp,
    exporter: Option<Install>,
    sampler: Option<Box<dyn ShouldSample>>,
    keep_errors: bool,
    #[cfg(feature = "tracing")]
    tracing: bool,
    #[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
    layers: install::Layers,
}

impl StartUp {
    /// Starts from the process's environment. `service` is the `service.name` where no variable says another.
    #[must_use]
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            environment: None,
            policy: Policy::default(),
            variables: Box::new(|name| std::env::var(name).ok()),
            exporter: None,
            sampler: None,
            keep_errors: false,
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
        self.policy = policy;
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

    /// Exports each span as it ends to this exporter, in place of OTLP: for tests and small tools.
    #[must_use]
    pub fn exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        self.exporter = Some(Box::new(move |pipeline| {
            let exporter = Cutting::new(exporter, pipeline.value_limit);
            pipeline.with(SimpleSpanProcessor::new(exporter))
        }));
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
    /// # Errors
    ///
    /// Refuses a variable that says what cannot be done, names formats that there are none of, or an endpoint that the exporter
    /// refuses; and to export by gRPC where no Tokio runtime runs.
    pub fn start(self) -> Result<Telemetry, StartUpError> {
        let settings = Settings::read(&self.variables)?;
        let formats = Formats::from_lookup(&self.variables).map_err(StartUpError::Formats)?;
        let resource = settings.resource(&self.service, self.environment.as_deref());
        let mut sampler = settings.sampler.clone().or(self.sampler).unwrap_or_else(sampler::standard);
        if self.keep_errors && !settings.disabled {
            sampler = Recording::new(sampler).into();
        }
        let builder = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(sampler)
            .with_span_limits(settings.limits);
        let pipeline = Pipeline { builder, value_limit: settings.value_limit, keep_errors: self.keep_errors };
        let builder = match (self.exporter, &settings.export) {
            _ if settings.disabled => pipeline.builder,
            (Some(install), _) => install(pipeline),
            (None, Export::Otlp(protocol)) => {
                let exporter = Cutting::new(otlp::exporter(protocol)?, pipeline.value_limit);
                pipeline.with(BatchSpanProcessor::builder(exporter).with_batch_config(settings.batches()).build())
            }
            (None, Export::Console) => {
                let exporter = Cutting::new(Console::default(), pipeline.value_limit);
                pipeline.with(SimpleSpanProcessor::new(exporter))
            }
            (None, Export::None) => pipeline.builder,
        };
        let provider = builder.build();
        let propagator = Propagator::builder().formats(formats).policy(self.policy).switches_from(&self.variables);
        #[cfg(feature = "tracing")]
        if self.tracing {
            let bridge = crate::TracingBridge::new();
            return Ok(Telemetry::new(propagator.bridge(bridge).build(), provider));
        }
        let bridge = OpenTelemetryBridge::new(provider.tracer("propagation"));
        Ok(Telemetry::new(propagator.bridge(bridge).build(), provider))
    }
}

impl fmt::Debug for StartUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartUp").field("service", &self.service).finish_non_exhaustive()
    }
}

/// A provider under way, and what its processors are to do.
struct Pipeline {
    builder: TracerProviderBuilder,
    value_limit: Option<usize>,
    keep_errors: bool,
}

impl Pipeline {
    fn with(self, processor: impl SpanProcessor + 'static) -> TracerProviderBuilder {
        if self.keep_errors {
            self.builder.with_span_processor(KeepErrors::new(processor))
        } else {
            self.builder.with_span_processor(processor)
        }
    }
}
