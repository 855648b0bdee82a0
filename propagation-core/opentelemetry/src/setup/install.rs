//! The whole of it: the subscriber of the process, too.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter::Targets, layer::SubscriberExt};

use super::{
    LogFormat, Setup, SetupError, Telemetry, report,
    variables::{Variables, refused},
};

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// The layers of the subscriber.
#[derive(Default)]
pub(super) struct Layers {
    spans: Option<Targets>,
    lines: Option<LogFormat>,
    more: Vec<Boxed>,
}

impl Setup {
    /// Writes log lines, once [`install`](Self::install)ed. Without it, none.
    pub fn log_format(mut self, lines: LogFormat) -> Self {
        self.layers.lines = Some(lines);
        self
    }

    /// Which `tracing` spans are exported, once [`install`](Self::install)ed. Without it, all from info up, but for those of the
    /// crates that export does with. The adapters' own have the target `propagation`.
    pub fn exported_spans(mut self, filter: Targets) -> Self {
        self.layers.spans = Some(filter);
        self
    }

    /// Puts a layer of the service's own into the subscriber, once [`install`](Self::install)ed.
    pub fn layer(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers.more.push(layer.boxed());
        self
    }

    /// Sets everything up [`with_tracing`](Self::with_tracing), and makes it the subscriber of the process.
    ///
    /// Where a filter disables our spans, or `RUST_LOG` our log lines, one line on standard error names it: nothing else would.
    ///
    /// # Errors
    ///
    /// Like [`build`](Self::build); and where the process has a subscriber already.
    pub fn install(mut self) -> Result<Telemetry, SetupError> {
        const NAME: &str = "RUST_LOG";
        let layers = std::mem::take(&mut self.layers);
        let variables = Variables::new(&self.variables, self.strict);
        let rust_log = variables.first_of([NAME], |name, value| match EnvFilter::try_new(value) {
            Ok(filter) => Ok((filter, value.to_owned())),
            Err(_) => Err(refused(name, "is no filter of log lines")),
        })?;
        let mut ignored = variables.into_ignored();
        let mut telemetry = self.with_tracing().build_quietly()?;
        let spans = telemetry.span_layer().with_filter(layers.spans.unwrap_or_else(without_the_exporters));
        let mut all = vec![spans.boxed()];
        let mut unseen = None;
        if let Some(lines) = layers.lines {
            let (filter, value) = rust_log.unzip();
            unseen = value.filter(|value| !shows_errors(value));
            all.push(lines.layer(&telemetry.propagator(), filter));
        }
        #[cfg(feature = "logs")]
        all.extend(telemetry.log_layer().map(|layer| layer.with_filter(without_the_exporters()).boxed()));
        all.extend(layers.more);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(all))
            .map_err(|_| SetupError::SubscriberInstalled)?;
        telemetry.ignore(&mut ignored);
        telemetry.ignored_variables().iter().for_each(report::ignored);
        match (telemetry.propagator().check(), unseen) {
            (Err(problem), _) => report::to_stderr(format_args!("{problem}")),
            (Ok(()), Some(value)) => report::to_stderr(format_args!(
                "RUST_LOG={value:?} hides the log lines of the target `propagation`, lost spans and rejected headers among them: \
                 add `,propagation=info` to it"
            )),
            (Ok(()), None) => {}
        }
        Ok(telemetry)
    }
}

/// Whether a filter shows errors of our target. One that is `off` hides them on purpose.
fn shows_errors(value: &str) -> bool {
    let Ok(filter) = EnvFilter::try_new(value) else { return true };
    value.eq_ignore_ascii_case("off")
        || tracing::subscriber::with_default(
            tracing_subscriber::registry().with(filter),
            || tracing::event_enabled!(target: "propagation", tracing::Level::ERROR),
        )
}

/// Excludes the crates of the exporters: their spans and events would be exported in turn, without end.
fn without_the_exporters() -> Targets {
    let theirs = [
        "h2",
        "hyper",
        "hyper_util",
        "opentelemetry",
        "opentelemetry_sdk",
        "opentelemetry_otlp",
        "reqwest",
        "tonic",
        "tower",
    ];
    Targets::new().with_default(LevelFilter::INFO).with_targets(theirs.map(|name| (name, LevelFilter::OFF)))
}
