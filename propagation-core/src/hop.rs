//! One hop: what an adapter says of it once, for whichever tracing API the application uses.

mod attribute;
pub(crate) mod external;
pub(crate) mod gate;

use std::{borrow::Cow, fmt, sync::Arc};

use self::external::bounded_cow;
pub use self::{
    attribute::{Attribute, AttributeValue},
    external::ExternalText,
    gate::{TelemetryLimits, TextGuard},
};
use crate::{
    Admission, Exception, Policy, PropagationContext, TraceContext,
    bridge::HopId,
    error_type::{error_type, is_opaque},
};

/// The span kind, closed by OpenTelemetry's specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// Handles a request.
    Server,
    /// Makes a request and waits for its outcome; also receives and settles messages.
    Client,
    /// Creates or sends a message whose context is this span's.
    Producer,
    /// Processes a message.
    Consumer,
    /// Work inside a process.
    Internal,
}

/// A hop that is about to start.
///
/// An adapter fills in name and attributes only where the bridge [records](crate::Propagator::is_recording) something.
///
/// [`Propagator::start`](crate::Propagator::start) passes the name, the external attributes and the links through the policy's
/// [`TextGuard`] before the bridge sees them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Hop {
    /// `None` makes no span: the context becomes current, and that is all.
    pub kind: Option<SpanKind>,
    /// A name of low cardinality, by the semantic conventions. An owned name is external, a borrowed one is not.
    pub name: Cow<'static, str>,
    /// What the span is a child of, and the baggage that goes with it. Without a bridge, what the hop goes on with.
    pub parent: PropagationContext,
    /// Whether the parent is in this process.
    pub local: bool,
    /// What the span links to.
    pub links: Vec<TraceContext>,
    /// What is known at the start: samplers may look at it.
    pub attributes: Vec<Attribute>,
    /// Keys of attributes that go on the span and on no metric: a caller chose their values, so each would be a time series of its own.
    pub span_only: Vec<&'static str>,
    /// Identifies the hop among those on this thread.
    pub(crate) id: HopId,
}

impl Hop {
    /// A hop of this kind under a parent from another process.
    #[must_use]
    pub fn remote(kind: SpanKind, parent: PropagationContext) -> Self {
        Self::new(Some(kind), parent, false)
    }

    /// A hop of this kind under what is current in this process.
    #[must_use]
    pub fn local(kind: SpanKind, parent: PropagationContext) -> Self {
        Self::new(Some(kind), parent, true)
    }

    /// A hop of this kind for what a policy has let in: with its links, and what it copies from baggage to attributes.
    #[must_use]
    pub fn admitted(kind: SpanKind, admission: Admission) -> Self {
        let Admission { context, links, attributes, .. } = admission;
        Self { links, attributes, ..Self::remote(kind, context) }
    }

    /// No hop at all: work that is resumed in a context, stored or handed over.
    #[must_use]
    pub fn resume(context: PropagationContext) -> Self {
        Self::new(None, context, false)
    }

    /// No hop at all: what is current here, handed over within the process. It keeps the id of the hop that it is taken from,
    /// so that user spans of that hop still count as inside.
    pub(crate) fn carry(context: PropagationContext, id: Option<HopId>) -> Self {
        let hop = Self::new(None, context, true);
        Self { id: id.unwrap_or(hop.id), ..hop }
    }

    fn new(kind: Option<SpanKind>, parent: PropagationContext, local: bool) -> Self {
        Self {
            kind,
            name: Cow::Borrowed(""),
            parent,
            local,
            links: Vec::new(),
            attributes: Vec::new(),
            span_only: Vec::new(),
            id: HopId::next(),
        }
    }

    /// The same with a name.
    #[must_use]
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// The same with links.
    #[must_use]
    pub fn linked(mut self, links: Vec<TraceContext>) -> Self {
        self.links = links;
        self
    }

    /// The same with one more attribute.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<AttributeValue>) -> Self {
        self.attributes.push(Attribute::new(key, value));
        self
    }

    /// What identifies the hop; a bridge leaves it in its own context.
    #[must_use]
    pub fn id(&self) -> HopId {
        self.id
    }
}

/// Prints no owned name: a caller may have chosen it.
impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hop")
            .field("kind", &self.kind)
            .field("name", &external::Masked(&self.name))
            .field("parent", &self.parent)
            .field("local", &self.local)
            .field("links", &self.links)
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

/// How a hop ended.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// No error: the span's status stays unset, as the conventions ask of instrumentation.
    #[default]
    Unset,
    /// It failed.
    Error {
        /// `error.type`: a status code, an exception's type, `_OTHER`; of low cardinality.
        kind: Cow<'static, str>,
        /// The span status's description; may be empty. Left out if the policy's scrubbers object to it.
        description: Cow<'static, str>,
        /// What was raised, for an exception record.
        exception: Option<Box<Exception>>,
    },
    /// It was dropped before it ended: the caller hung up, a timeout or a `select!` gave up on it. No error: the span's status stays
    /// unset, and `error.type` is `cancelled`.
    Cancelled,
}

impl Outcome {
    /// Returns the outcome of a result: the [type of its error](error_type) becomes `error.type` and an exception record. Its text is
    /// not taken: it may be personal. See [`Exception::of`] for one with its text.
    #[must_use]
    pub fn of<T, E: 'static>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Unset,
            Err(error) => Self::raised(Exception::new(error_type(error))),
        }
    }

    /// It failed with an exception; its type becomes `error.type`.
    #[must_use]
    pub fn raised(exception: Exception) -> Self {
        Self::Error {
            kind: exception.kind.clone(),
            description: Cow::Borrowed(""),
            exception: Some(Box::new(exception)),
        }
    }

    /// It failed; `kind` becomes `error.type`.
    #[must_use]
    pub fn error(kind: impl Into<Cow<'static, str>>) -> Self {
        Self::Error { kind: bounded_cow(kind.into()), description: Cow::Borrowed(""), exception: None }
    }

    /// `error.type`, as it stands on the span and on metrics; nothing where it did not fail.
    #[must_use]
    pub fn error_type(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Unset => None,
            Self::Error { kind, .. } => Some(kind.clone()),
            Self::Cancelled => Some(Cow::Borrowed("cancelled")),
        }
    }

    /// The same, with a description for the span's status.
    #[must_use]
    pub fn described(self, text: impl Into<Cow<'static, str>>) -> Self {
        match self {
            Self::Error { kind, exception, .. } => {
                Self::Error { kind, description: bounded_cow(text.into()), exception }
            }
            other => other,
        }
    }

    /// Adds an exception that was recorded inside of the hop, and passes every owned text through the guard.
    pub(crate) fn guarded(&self, noted: Option<&Exception>, policy: impl FnOnce() -> Arc<Policy>) -> Cow<'_, Self> {
        let Self::Error { kind, description, exception } = self else { return Cow::Borrowed(self) };
        // A type that was lost in a box is known to the code that noted the error.
        let kind = noted.map(|noted| &noted.kind).filter(|_| is_opaque(kind)).unwrap_or(kind);
        // What the code inside says of an error is more than its type.
        let own = exception.as_deref();
        let exception = own.filter(|exception| exception.message.is_some()).or(noted).or(own);
        if exception.is_none() && description.is_empty() && matches!(kind, Cow::Borrowed(_)) {
            return Cow::Borrowed(self);
        }
        let policy = policy();
        Cow::Owned(Self::Error {
            kind: gate::error_type(&*policy, kind.clone()),
            description: gate::value(&*policy, "exception.message", description.clone()).unwrap_or_default(),
            exception: exception.map(|exception| Box::new(exception.clone().guarded(&*policy))),
        })
    }
}

/// Prints no texts: a caller may have chosen them.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("Unset"),
            Self::Error { kind, description, exception } => f
                .debug_struct("Error")
                .field("kind", &external::Masked(kind))
                .field("description", &external::Masked(description))
                .field("exception", exception)
                .finish(),
            Self::Cancelled => f.write_str("Cancelled"),
        }
    }
}
