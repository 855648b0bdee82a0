//! The whole of it: the subscriber of the process, too.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, Registry, filter::Targets, layer::SubscriberExt};

use super::{LogLines, StartUp, StartUpError, Telemetry};

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// What the subscriber is made of, beside the spans.
#[derive(Default)]
pub(super) struct Layers {
    spans: Option<Targets>,
    lines: Option<LogLines>,
    more: Vec<Boxed>,
}

impl StartUp {
    /// Writes log lines, once [`install`](Self::install)ed. Without it, none.
    #[must_use]
    pub fn log_lines(mut self, lines: LogLines) -> Self {
        self.layers.lines = Some(lines);
        self
    }

    /// Which `tracing` spans are exported, once [`install`](Self::install)ed. Without it, all from info up, but for those of the
    /// crates that export does with. The adapters' own have the target `propagation`.
    #[must_use]
    pub fn exported_spans(mut self, filter: Targets) -> Self {
        self.layers.spans = Some(filter);
        self
    }

    /// Puts a layer of the service's own into the subscriber, once [`install`](Self::install)ed.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers.more.push(layer.boxed());
        self
    }

    /// Sets everything up [`with_tracing`](Self::with_tracing), and makes it the subscriber of the process.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), for a `RUST_LOG` that is no filter, and where the process has a subscriber already.
    pub fn install(mut self) -> Result<Telemetry, StartUpError> {
        let layers = std::mem::take(&mut self.layers);
        // Asked before anything is built; the variable is read again by nobody.
        let rust_log = (self.variables)("RUST_LOG");
        let telemetry = self.with_tracing().start()?;
        let spans = telemetry.span_layer().with_filter(layers.spans.unwrap_or_else(without_the_exporters));
        let mut all = vec![spans.boxed()];
        if let Some(lines) = layers.lines {
            all.push(lines.layer(&telemetry.propagator(), &|_| rust_log.clone())?);
        }
        all.extend(layers.more);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(all))
            .map_err(|_| StartUpError::SubscriberInstalled)?;
        Ok(telemetry)
    }
}

/// The spans of what exports spans would be exported in turn, for ever.
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
