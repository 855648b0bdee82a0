//! One hop: what an adapter says of it once, for whichever tracing API the application uses.

mod attribute;
mod error_type;
mod exception;
mod external;
pub(crate) mod gate;
mod guard_leak;
mod link;
mod outcome;
mod run;
mod scope;
mod span;
mod stack;
pub(crate) mod thread_end;

use std::{borrow::Cow, fmt};

pub use self::{
    attribute::{Attribute, AttributeValue},
    error_type::{dyn_error_type, error_type},
    exception::Exception,
    external::ExternalText,
    gate::{TelemetryLimits, TextGuard},
    guard_leak::GuardLeaks,
    link::Link,
    outcome::Outcome,
    scope::Scope,
    span::HopSpan,
};
pub(crate) use self::{
    guard_leak::CallSite,
    stack::{innermost, is_inside, origin_of},
};
use crate::{Admission, PropagationContext, bridge::HopId};

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
    /// The span's links.
    pub links: Vec<Link>,
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
        let links = links.into_iter().map(Link::from).collect();
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

    /// Replaces the links.
    #[must_use]
    pub fn linked(mut self, links: impl IntoIterator<Item: Into<Link>>) -> Self {
        self.links = links.into_iter().map(Into::into).collect();
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
