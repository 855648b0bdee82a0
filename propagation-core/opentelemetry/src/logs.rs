//! Log correlation: trace ids and baggage in log lines, for the `fmt` layers of `tracing-subscriber` 0.3.
//!
//! Wraps whichever event format writes the lines, and adds `trace_id`, `span_id`, `trace_sampled` and the baggage that was asked for:
//! to JSON lines as members of the outer object (so `jq 'select(.trace_id == "…")'` finds a request), to text lines in front.
//!
//! ```
//! use propagation_core::Propagator;
//! use propagation_opentelemetry::logs::TraceFields;
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! let propagator = Propagator::default();
//! let lines = TraceFields::new(&propagator).with_baggage(["tenant.id"]).json_layer().with_writer(std::io::stderr);
//! let subscriber = tracing_subscriber::registry().with(lines);
//! # let _ = subscriber;
//! ```
//!
//! The ids are those that an outgoing call would carry: the innermost span's with a bridge, the caller's without one. Inside of a
//! `tracing` span that is exported by `tracing-opentelemetry`, the line has that span's id as long as that layer activates
//! contexts, as it does by default; with `with_context_activation(false)` it is the hop's. A line outside of any trace is left as it is.

#[cfg(feature = "logs")]
mod export;
mod line;

use std::{fmt, sync::Arc};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, Layer,
        format::{DefaultFields, Format, Full, Json, JsonFields, Writer},
    },
    registry::LookupSpan,
};

#[cfg(feature = "logs")]
pub use self::export::LogExportLayer;
use self::line::Fields;
use propagation_core::Propagator;

/// The fields of the current context that log lines get.
#[derive(Clone, Debug)]
pub struct TraceFields {
    propagator: Propagator,
    keys: Arc<[Box<str>]>,
}

impl TraceFields {
    /// The ids, and no baggage.
    #[must_use]
    pub fn new(propagator: &Propagator) -> Self {
        Self { propagator: propagator.clone(), keys: Arc::default() }
    }

    /// Adds keys of the baggage, as `baggage.<key>`. A value that the policy's scrubbers object to is left out of the
    /// line, whatever their action is for values that cross.
    #[must_use]
    pub fn with_baggage(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.keys = keys.into_iter().map(|key| key.into().into_boxed_str()).collect();
        self
    }

    /// Returns a layer that writes JSON lines, to standard output unless another writer is set.
    #[must_use]
    pub fn json_layer<S>(self) -> Layer<S, JsonFields, JsonLines<Format<Json>>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_subscriber::fmt::layer().json().map_event_format(|format| self.json(format))
    }

    /// Returns a layer that writes lines of text, to standard output unless another writer is set.
    #[must_use]
    pub fn text_layer<S>(self) -> Layer<S, DefaultFields, TextLines<Format<Full>>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_subscriber::fmt::layer().map_event_format(|format| self.text(format))
    }

    /// Adds to the lines of a format that writes one JSON object each; a line that is none is left as it is.
    pub fn json<F>(self, format: F) -> JsonLines<F> {
        JsonLines { format, fields: self }
    }

    /// Puts `trace_id=… span_id=… trace_sampled=…` in front of the lines of a format.
    pub fn text<F>(self, format: F) -> TextLines<F> {
        TextLines { format, fields: self }
    }

    /// Returns the fields of the current context. While a subscriber handles an event, `tracing`'s own current span may be out of sight: the bridge finds
    /// the one that OpenTelemetry's context holds.
    fn current(&self) -> Fields {
        let current = self.propagator.current();
        let policy = if self.keys.is_empty() { None } else { Some(self.propagator.policy()) };
        let baggage = self.keys.iter().filter_map(|key| {
            let value = current.baggage.get(key)?;
            let guarded = policy.as_ref()?.guard_text(key, &value)?;
            // Each format of lines escapes in its own way; a text that was cut is escaped already.
            let whole = value.len() <= policy.as_ref()?.telemetry_limits().value;
            Some((key.clone(), if whole { value.into_owned() } else { guarded.into_owned() }))
        });
        Fields { baggage: baggage.collect(), trace: current.trace }
    }
}

/// An event format that adds the current context to JSON lines.
#[derive(Clone, Debug)]
pub struct JsonLines<F> {
    format: F,
    fields: TraceFields,
}

/// An event format that adds the current context to lines of text.
#[derive(Clone, Debug)]
pub struct TextLines<F> {
    format: F,
    fields: TraceFields,
}

impl<S, N, F> FormatEvent<S, N> for JsonLines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let current = self.fields.current();
        if current.is_empty() {
            return self.format.format_event(context, out, event);
        }
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let Some(members) = line.strip_prefix('{') else { return out.write_str(&line) };
        out.write_char('{')?;
        current.write_json(&mut out)?;
        if !members.trim_start().starts_with('}') {
            out.write_char(',')?;
        }
        out.write_str(members)
    }
}

impl<S, N, F> FormatEvent<S, N> for TextLines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        self.fields.current().write_text(&mut out)?;
        self.format.format_event(context, out, event)
    }
}
