use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use opentelemetry::KeyValue;

use super::{conventions, instruments::Instruments};
use propagation_core::{
    Attribute, AttributeValue, Hop, Link, Outcome, SpanKind, bridge::BridgeSpan, hop::MessageSource, semconv,
};

/// A span, if a bridge makes one, that is measured when it ends.
pub(super) struct Measured {
    span: Option<Box<dyn BridgeSpan>>,
    noted: Mutex<Noted>,
    instruments: Arc<Instruments>,
    /// The attributes of an active request.
    active: Option<Vec<KeyValue>>,
}

/// The description of a hop, as far as metrics use it.
pub(super) struct Noted {
    pub(super) kind: SpanKind,
    pub(super) attributes: Vec<Attribute>,
    /// Keys that are for the span alone.
    span_only: Cow<'static, [&'static str]>,
    pub(super) source: Option<MessageSource>,
    /// How many messages the hop links to.
    pub(super) links: u64,
    pub(super) began: Instant,
}

impl Noted {
    /// Returns `None` for work inside a process.
    pub(super) fn of(hop: &Hop) -> Option<Self> {
        let kind = Some(hop.kind).filter(|kind| conventions::is_measured(*kind))?;
        let is_measured = |attribute: &&Attribute| {
            conventions::is_known(&attribute.key) && !is_listed(&hop.span_only, &attribute.key)
        };
        let attributes = hop.attributes.iter().filter(is_measured);
        Some(Self {
            kind,
            attributes: attributes.cloned().collect(),
            span_only: hop.span_only.clone(),
            source: hop.source,
            links: u64::try_from(hop.links.len()).unwrap_or(u64::MAX),
            began: Instant::now(),
        })
    }

    /// Returns an attribute by its name of version 1.45, also if it was recorded with that of 1.44.
    pub(super) fn get(&self, key: &str) -> Option<&AttributeValue> {
        let is_named = |found: &str| found == key || semconv::current_name(found) == key;
        self.attributes.iter().find(|attribute| is_named(&attribute.key)).map(|attribute| &attribute.value)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            AttributeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    fn set(&mut self, attribute: &Attribute) {
        if !conventions::is_known(&attribute.key) || is_listed(&self.span_only, &attribute.key) {
            return;
        }
        match self.attributes.iter_mut().find(|known| known.key == attribute.key) {
            Some(known) => known.value = attribute.value.clone(),
            None => self.attributes.push(attribute.clone()),
        }
    }
}

fn is_listed(keys: &[&str], key: &str) -> bool {
    !keys.is_empty() && conventions::lists(keys, key)
}

impl Measured {
    pub(super) fn new(span: Option<Box<dyn BridgeSpan>>, noted: Noted, instruments: Arc<Instruments>) -> Self {
        let active = instruments.begin(&noted);
        Self { span, noted: Mutex::new(noted), instruments, active }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured").field("span", &self.span).finish_non_exhaustive()
    }
}

impl BridgeSpan for Measured {
    fn enter(&self, run: &mut dyn FnMut()) {
        match &self.span {
            Some(span) => span.enter(run),
            None => run(),
        }
    }

    fn set_attribute(&self, attribute: Attribute) {
        self.noted().set(&attribute);
        if let Some(span) = &self.span {
            span.set_attribute(attribute);
        }
    }

    fn add_link(&self, link: Link) {
        self.noted().links += 1;
        if let Some(span) = &self.span {
            span.add_link(link);
        }
    }

    fn rename(&self, name: Cow<'static, str>) {
        if let Some(span) = &self.span {
            span.rename(name);
        }
    }

    fn end(&self, outcome: &Outcome) {
        if let Some(active) = &self.active {
            self.instruments.end(active);
        }
        self.instruments.record(&self.noted(), outcome);
        if let Some(span) = &self.span {
            span.end(outcome);
        }
    }
}
