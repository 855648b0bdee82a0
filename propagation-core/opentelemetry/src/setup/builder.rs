use std::fmt;

use opentelemetry_sdk::{
    resource::ResourceDetector,
    trace::{ShouldSample, SpanExporter},
};
use propagation_core::{
    Direction, Peer, Policy, Propagator, PropagatorBuilder, Rejection, semconv::SemanticConventions,
};

#[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
use super::install;
#[cfg(feature = "logs")]
use super::logs;
#[cfg(feature = "metrics")]
use super::metrics;
use super::pipeline::Pipeline;

type LookUp = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;
type Install = Box<dyn FnOnce(Pipeline) -> Pipeline + Send>;

/// Sets up the telemetry of a service: see the [module](super).
#[must_use]
pub struct Setup {
    pub(super) service: String,
    pub(super) version: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) detectors: Vec<Box<dyn ResourceDetector + Send>>,
    pub(super) propagator: PropagatorBuilder,
    #[cfg(feature = "policy-file")]
    pub(super) policy_file: Option<std::path::PathBuf>,
    #[cfg(feature = "reload")]
    pub(super) reload_interval: Option<std::time::Duration>,
    pub(super) variables: LookUp,
    pub(super) exporter: Option<Install>,
    #[cfg(feature = "metrics")]
    pub(super) metric_exporter: Option<metrics::DynExporter>,
    #[cfg(feature = "metrics")]
    pub(super) metrics: bool,
    #[cfg(feature = "logs")]
    pub(super) log_exporter: Option<logs::DynExporter>,
    #[cfg(feature = "logs")]
    pub(super) logs: bool,
    pub(super) sampler: Option<Box<dyn ShouldSample>>,
    pub(super) keep_errors: bool,
    pub(super) strict: bool,
    pub(super) random_flag: bool,
    pub(super) stack_traces: bool,
    pub(super) semantic_conventions: SemanticConventions,
    #[cfg(feature = "tracing")]
    pub(super) tracing: bool,
    #[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
    pub(super) layers: install::Layers,
}

impl Setup {
    /// Starts from the process's environment. `service` is the `service.name` where no variable sets another.
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            version: None,
            environment: None,
            detectors: Vec::new(),
            propagator: Propagator::builder(),
            #[cfg(feature = "policy-file")]
            policy_file: None,
            #[cfg(feature = "reload")]
            reload_interval: Some(std::time::Duration::from_secs(10)),
            variables: Box::new(|name| std::env::var(name).ok()),
            exporter: None,
            #[cfg(feature = "metrics")]
            metric_exporter: None,
            #[cfg(feature = "metrics")]
            metrics: true,
            #[cfg(feature = "logs")]
            log_exporter: None,
            #[cfg(feature = "logs")]
            logs: false,
            sampler: None,
            keep_errors: false,
            strict: false,
            random_flag: false,
            stack_traces: false,
            semantic_conventions: SemanticConventions::default(),
            #[cfg(feature = "tracing")]
            tracing: false,
            #[cfg(all(feature = "tracing", feature = "tracing-subscriber"))]
            layers: install::Layers::default(),
        }
    }

    /// Sets the `service.version` where `OTEL_RESOURCE_ATTRIBUTES` sets no other: `env!("CARGO_PKG_VERSION")`, for example.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets the `deployment.environment.name` where `OTEL_RESOURCE_ATTRIBUTES` sets no other.
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = Some(name.into());
        self
    }

    /// Adds the attributes of a detector to the resource, such as [`ContainerDetector`](super::ContainerDetector) and
    /// [`HostDetector`](super::HostDetector). Variables and values given in code go before.
    pub fn detector(mut self, detector: impl ResourceDetector + Send + 'static) -> Self {
        self.detectors.push(Box::new(detector));
        self
    }

    /// Sets the policy. Without it, [`Policy::default`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.propagator = self.propagator.policy(policy);
        self
    }

    /// Sets a callback for rejected and changed fields and keys: see [`PropagatorBuilder::on_rejection`].
    pub fn on_rejection(mut self, callback: impl Fn(Direction, &Peer<'_>, &Rejection) + Send + Sync + 'static) -> Self {
        self.propagator = self.propagator.on_rejection(callback);
        self
    }

    /// Reads the policy from a file, in place of [`policy`](Self::policy). `PROPAGATION_POLICY_FILE` names another file.
    ///
    /// With the feature `reload`, the file is read again every ten seconds ([`reload_interval`](Self::reload_interval)), until the shutdown.
    #[cfg(feature = "policy-file")]
    #[cfg_attr(docsrs, doc(cfg(feature = "policy-file")))]
    pub fn policy_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.policy_file = Some(path.into());
        self
    }

    /// Sets how often the policy file is read again: every ten seconds by default, at least 100 ms. `None` reads it once.
    #[cfg(feature = "reload")]
    #[cfg_attr(docsrs, doc(cfg(feature = "reload")))]
    pub fn reload_interval(mut self, interval: impl Into<Option<std::time::Duration>>) -> Self {
        self.reload_interval = interval.into();
        self
    }

    /// Looks variables up elsewhere than in the environment. The exporter reads `OTEL_EXPORTER_OTLP_COMPRESSION` and the variables of headers from
    /// the environment, too.
    pub fn variables(mut self, look_up: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.variables = Box::new(look_up);
        self
    }

    /// Sets the sampler where `OTEL_TRACES_SAMPLER` names none. Without it, `parentbased_always_on`.
    pub fn sampler(mut self, sampler: impl Into<Box<dyn ShouldSample>>) -> Self {
        self.sampler = Some(sampler.into());
        self
    }

    /// Exports spans that end as errors also if their trace is not sampled. All spans are recorded for that. [`KeepErrors`](crate::sampling::KeepErrors) documents the gaps
    /// of such traces.
    pub fn keep_errors(mut self) -> Self {
        self.keep_errors = true;
        self
    }

    /// Sets whether traces that begin here carry the random flag. Off by default; see [`OpenTelemetryBridge::with_random_flag`](crate::OpenTelemetryBridge::with_random_flag).
    pub fn with_random_flag(mut self, random: bool) -> Self {
        self.random_flag = random;
        self
    }

    /// Sets whether recorded exceptions get a stack trace. Off by default; see
    /// [`PropagatorBuilder::with_stack_traces`](propagation_core::PropagatorBuilder::with_stack_traces).
    pub fn with_stack_traces(mut self, capture: bool) -> Self {
        self.stack_traces = capture;
        self
    }

    /// Sets the names of attributes where `OTEL_SEMCONV_STABILITY_OPT_IN` names none. By default, those of the semantic conventions 1.45.
    pub fn semantic_conventions(mut self, names: SemanticConventions) -> Self {
        self.semantic_conventions = names;
        self
    }

    /// Sets whether metrics are exported where `OTEL_METRICS_EXPORTER` is not set. On by default.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn with_metrics(mut self, export: bool) -> Self {
        self.metrics = export;
        self
    }

    /// Sets whether `tracing` events are exported as log records where `OTEL_LOGS_EXPORTER` is not set. Off by default.
    ///
    /// [`install`](Self::install) adds the layer; a subscriber of your own needs `Telemetry::log_layer`.
    #[cfg(feature = "logs")]
    #[cfg_attr(docsrs, doc(cfg(feature = "logs")))]
    pub fn with_logs(mut self, export: bool) -> Self {
        self.logs = export;
        self
    }

    /// Exports each span as it ends to this exporter: for tests and small tools. Nothing is exported over OTLP then, the other signals included.
    pub fn exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        self.exporter = Some(Box::new(move |pipeline| pipeline.simple(exporter, "the exporter of Setup::exporter")));
        self
    }

    /// Exports metrics to this exporter, at `OTEL_METRIC_EXPORT_INTERVAL`. Nothing is exported over OTLP then, the other signals included.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn metric_exporter(
        mut self,
        exporter: impl opentelemetry_sdk::metrics::exporter::PushMetricExporter + 'static,
    ) -> Self {
        self.metric_exporter = Some(metrics::erased(exporter));
        self
    }

    /// Exports each log record as it is emitted to this exporter. Nothing is exported over OTLP then, the other signals included.
    #[cfg(feature = "logs")]
    #[cfg_attr(docsrs, doc(cfg(feature = "logs")))]
    pub fn log_exporter(mut self, exporter: impl opentelemetry_sdk::logs::LogExporter + 'static) -> Self {
        self.log_exporter = Some(Box::new(move |builder| builder.with_simple_exporter(exporter)));
        self
    }

    /// Makes a variable with an unknown or malformed value an error. Without it, such a variable is reported and ignored, as
    /// OpenTelemetry's specification requires: platforms inject variables for other SDKs.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Makes `tracing` spans in place of OpenTelemetry's own. Put `Telemetry::span_layer` (with the feature `tracing-subscriber`), or a layer of
    /// `tracing-opentelemetry` with [`Telemetry::tracer`](super::Telemetry::tracer), into the subscriber, too.
    #[cfg(feature = "tracing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn with_tracing(mut self) -> Self {
        self.tracing = true;
        self
    }

    /// Returns `true` if an exporter was given, in place of OTLP.
    pub(super) fn has_exporter(&self) -> bool {
        let given = self.exporter.is_some();
        #[cfg(feature = "metrics")]
        let given = given || self.metric_exporter.is_some();
        #[cfg(feature = "logs")]
        let given = given || self.log_exporter.is_some();
        given
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("service", &self.service).finish_non_exhaustive()
    }
}
