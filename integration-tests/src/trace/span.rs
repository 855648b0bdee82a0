//! One span, as plain data.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Attributes, SpanId, TraceId, Value};

/// A finished span as a backend or receiver got it.
///
/// All fields are public and hold the exporter's values uninterpreted. Times are nanoseconds since
/// the Unix epoch, by the clock of the machine that made the span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The id of its parent; `None` for a root.
    pub parent: Option<SpanId>,
    /// The span's name, for example `GET /orders/{id}`.
    pub name: String,
    /// Its role.
    pub kind: SpanKind,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// The attributes.
    pub attributes: Attributes,
    /// Other spans that it refers to.
    pub links: Vec<Link>,
    /// The events of the span.
    pub events: Vec<Event>,
    /// Its outcome.
    pub status: Status,
    /// The `tracestate` that it was made with, as one header value; empty when there was none.
    pub trace_state: String,
    /// The flags as OTLP has them: W3C trace flags in the low byte, bits 8 and 9 on whether the parent is remote. `None`
    /// where the source does not carry them (Zipkin and Jaeger, old exporters).
    pub flags: Option<u32>,
    /// The number of attributes, events and links that the exporter dropped.
    pub dropped: u32,
    /// The resource: `service.name` and similar. Shared by all spans of one export.
    pub resource: Arc<Attributes>,
    /// The instrumentation scope (library) that made it.
    pub scope: String,
    /// Whether attribute types survived. Zipkin turns every value into text.
    pub typed: bool,
}

impl Span {
    /// A span with these ids and name, and nothing else: INTERNAL, no parent, no time, unknown service.
    #[must_use]
    pub fn new(trace_id: TraceId, span_id: SpanId, name: impl Into<String>) -> Self {
        Self {
            trace_id,
            span_id,
            parent: None,
            name: name.into(),
            kind: SpanKind::Internal,
            start: 0,
            end: 0,
            attributes: Attributes::new(),
            links: Vec::new(),
            events: Vec::new(),
            status: Status::Unset,
            trace_state: String::new(),
            flags: None,
            dropped: 0,
            resource: Arc::new(Attributes::new()),
            scope: String::new(),
            typed: true,
        }
    }

    /// `service.name` of the resource, or `unknown_service`, as the specification names it.
    #[must_use]
    pub fn service(&self) -> &str {
        self.resource.text("service.name").unwrap_or("unknown_service")
    }

    /// Whose clock the times are by: the service's name and, where given, its instance and host.
    #[must_use]
    pub fn clock(&self) -> String {
        let part = |key| self.resource.text(key).unwrap_or_default();
        format!("{}/{}/{}", self.service(), part("service.instance.id"), part("host.name"))
    }

    /// How long it took; zero when it ended before it began.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.saturating_sub(self.start))
    }

    /// Returns the W3C trace flags; `None` if they are not known. OpenTelemetry's exporter for Python sets only the bits on the remote
    /// parent, so its zero trace flags count as unknown.
    #[must_use]
    pub fn trace_flags(&self) -> Option<u8> {
        let flags = self.flags.map(|flags| flags.to_le_bytes()[0])?;
        let left_out = flags == 0 && self.resource.text("telemetry.sdk.language") == Some("python");
        (!left_out).then_some(flags)
    }

    /// The W3C sampled flag; `None` when flags are not known.
    #[must_use]
    pub fn sampled(&self) -> Option<bool> {
        self.trace_flags().map(|flags| flags & 0x01 != 0)
    }

    /// The W3C random flag; `None` when flags are not known.
    #[must_use]
    pub fn random(&self) -> Option<bool> {
        self.trace_flags().map(|flags| flags & 0x02 != 0)
    }

    /// Whether the parent is in another process; `None` if the exporter does not report it.
    #[must_use]
    pub fn parent_is_remote(&self) -> Option<bool> {
        self.flags.filter(|flags| flags & 0x100 != 0).map(|flags| flags & 0x200 != 0)
    }

    /// The attribute with this key.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.get(key)
    }

    /// Returns one line that identifies the span: service, name, kind and id.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} · {} [{}] {}", shown(self.service()), shown(&self.name), self.kind, self.span_id)
    }
}

/// The role of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum SpanKind {
    /// Not given.
    Unspecified,
    /// Work inside a process.
    #[default]
    Internal,
    /// Handles a request from elsewhere.
    Server,
    /// Makes a request to elsewhere and waits.
    Client,
    /// Hands a message over.
    Producer,
    /// Handles a message.
    Consumer,
}

impl fmt::Display for SpanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        })
    }
}

/// The outcome of a span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Status {
    /// Unset: no error is known.
    #[default]
    Unset,
    /// The application has marked the span as successful.
    Ok,
    /// It failed, with this description, which may be empty.
    Error(String),
}

/// A reference from one span to another, in any trace.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Link {
    /// The trace of the other span.
    pub trace_id: TraceId,
    /// The id of the other span.
    pub span_id: SpanId,
    /// The `tracestate` of the other span.
    pub trace_state: String,
    /// Flags of the other span, as in [`Span::flags`].
    pub flags: Option<u32>,
    /// The attributes of the link.
    pub attributes: Attributes,
}

impl Link {
    /// A link to this span, with nothing recorded about it.
    #[must_use]
    pub fn to(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, trace_state: String::new(), flags: None, attributes: Attributes::new() }
    }
}

/// Something that happened while a span was open.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The event's name, for example `exception`.
    pub name: String,
    /// When, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// The attributes.
    pub attributes: Attributes,
}

impl Event {
    /// An event with this name at this time, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn new(name: impl Into<String>, time: u64) -> Self {
        Self { name: name.into(), time, attributes: Attributes::new() }
    }
}

/// Text from outside, fit for a terminal: no control characters, and never longer than a line of reasonable length.
pub(crate) fn shown(text: &str) -> String {
    const LIMIT: usize = 160;
    let mut out = String::with_capacity(text.len().min(LIMIT));
    for (index, character) in text.chars().enumerate() {
        if index == LIMIT {
            out.push('…');
            break;
        }
        // Escape sequences and bidirectional overrides could repaint the terminal that shows a failure.
        if character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}
