//! One unit of work at a boundary: its description, its running span, and the stack of hops that a thread is inside of.
//!
//! A hop follows its future, not the thread: it is entered on every poll, and on drop, and left again. After it, the context from
//! before it is current again.

mod active;
mod attribute;
mod error_type;
mod exception;
mod external;
mod findings;
pub(crate) mod gate;
mod guard_leak;
mod id;
mod link;
pub(crate) mod names;
mod outcome;
mod run;
mod scope;
mod seam;
mod source;
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
    id::HopId,
    link::Link,
    outcome::Outcome,
    scope::Scope,
    seam::{BridgeSpan, CurrentHop},
    source::MessageSource,
    span::HopSpan,
};
pub(crate) use self::{
    guard_leak::CallSite,
    seam::HopHost,
    stack::{current_id, innermost, is_inside, is_suppressed, origin_of, with_findings},
};
use crate::PropagationContext;

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

/// The description of a hop that is about to start.
///
/// An adapter fills in name and attributes only if the bridge [records](crate::Propagator::is_recording).
///
/// [`Propagator::start`](crate::Propagator::start) passes the name, the external attributes and the links through the policy's
/// [`TextGuard`] before the bridge sees them. Work that continues in a context without a span of its own needs no description: see
/// [`Propagator::continue_from`](crate::Propagator::continue_from).
#[derive(Clone)]
#[non_exhaustive]
pub struct Hop {
    /// The kind of the span.
    pub kind: SpanKind,
    /// A name of low cardinality, by the semantic conventions. An owned name is external, a borrowed one is not.
    pub name: Cow<'static, str>,
    /// The parent of the span, and the baggage of the hop. Without a bridge, the context of the hop itself.
    pub parent: PropagationContext,
    /// Whether the parent is in this process.
    pub local: bool,
    /// The links of the span.
    pub links: Vec<Link>,
    /// The attributes that are known at the start, which samplers see.
    pub attributes: Vec<Attribute>,
    /// Keys of attributes that go on the span and on no metric: a caller chose their values, so each would be a time series of its own.
    pub span_only: Cow<'static, [&'static str]>,
    /// The source of received messages, for metrics that count a message once for its receive and process spans. It goes on no span.
    pub source: Option<MessageSource>,
    /// A name that has passed the guard. It applies unless `name` is set.
    guarded_name: Option<String>,
    /// Identifies the hop among those on this thread.
    id: HopId,
}

impl Hop {
    /// Returns a hop whose parent is in another process.
    #[must_use]
    pub fn remote(kind: SpanKind, parent: PropagationContext) -> Self {
        Self::new(kind, parent, false)
    }

    /// Returns a hop whose parent is in this process: the current context.
    #[must_use]
    pub fn local(kind: SpanKind, parent: PropagationContext) -> Self {
        Self::new(kind, parent, true)
    }

    fn new(kind: SpanKind, parent: PropagationContext, local: bool) -> Self {
        Self {
            kind,
            name: Cow::Borrowed(""),
            parent,
            local,
            links: Vec::new(),
            attributes: Vec::new(),
            span_only: Cow::Borrowed(&[]),
            source: None,
            guarded_name: None,
            id: HopId::next(),
        }
    }

    /// Sets the name.
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

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<AttributeValue>) -> Self {
        self.add_attribute(key, value);
        self
    }

    /// Adds an attribute, for code that describes a hop in place.
    pub fn add_attribute(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<AttributeValue>) {
        self.attributes.push(Attribute::new(key, value));
    }

    /// Keeps the attributes of these keys off metrics: see [`span_only`](Self::span_only).
    pub fn omit_from_metrics(&mut self, keys: &'static [&'static str]) {
        if self.span_only.is_empty() {
            self.span_only = Cow::Borrowed(keys);
        } else {
            self.span_only.to_mut().extend_from_slice(keys);
        }
    }

    /// Reserves room for the attributes of most hops, so that further ones do not move those before them.
    ///
    /// This many take the memory of a whole number of OpenTelemetry's attributes: bridges convert them in place, and keep the allocation.
    pub fn reserve_attributes(&mut self) {
        self.attributes.reserve(14);
    }

    /// Sets a name that has passed the guard, instead of [`name`](Self::name).
    pub(crate) fn set_guarded_name(&mut self, name: String) {
        self.name = Cow::Borrowed("");
        self.guarded_name = Some(name);
    }

    /// Returns the id of the hop, which a bridge leaves in its own context.
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
