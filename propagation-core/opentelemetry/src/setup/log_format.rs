use std::fmt;

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::Targets,
    fmt::{MakeWriter, writer::BoxMakeWriter},
    registry::LookupSpan,
};

use propagation_core::Propagator;

use crate::logs::TraceFields;

/// The log lines of a service: each with the ids of the trace that it belongs to.
///
/// `RUST_LOG` filters the lines if it is set; otherwise [`filter`](Self::filter), otherwise the level info.
#[must_use]
pub struct LogFormat {
    json: bool,
    keys: Vec<String>,
    filter: Targets,
    writer: BoxMakeWriter,
}

impl LogFormat {
    /// One JSON object a line, to standard output.
    pub fn json() -> Self {
        Self::new(true)
    }

    /// Lines of text, to standard output.
    pub fn text() -> Self {
        Self::new(false)
    }

    fn new(json: bool) -> Self {
        let filter = Targets::new().with_default(LevelFilter::INFO);
        Self { json, keys: Vec::new(), filter, writer: BoxMakeWriter::new(std::io::stdout) }
    }

    /// Adds these keys of the baggage, as [`TraceFields::with_baggage`].
    pub fn with_baggage(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the filter for the case that `RUST_LOG` is not set.
    pub fn filter(mut self, filter: Targets) -> Self {
        self.filter = filter;
        self
    }

    /// Writes elsewhere, `std::io::stderr` for instance.
    pub fn writer<W>(mut self, writer: W) -> Self
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        self.writer = BoxMakeWriter::new(writer);
        self
    }

    /// The layer that writes them, by this filter if there is one.
    pub(super) fn layer<S>(self, propagator: &Propagator, filter: Option<EnvFilter>) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let fields = TraceFields::new(propagator).with_baggage(self.keys);
        let lines = if self.json {
            fields.json_layer().with_writer(self.writer).boxed()
        } else {
            fields.text_layer().with_ansi(false).with_writer(self.writer).boxed()
        };
        match filter {
            Some(filter) => lines.with_filter(filter).boxed(),
            None => lines.with_filter(self.filter).boxed(),
        }
    }
}

impl fmt::Debug for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFormat").field("json", &self.json).field("keys", &self.keys).finish_non_exhaustive()
    }
}
