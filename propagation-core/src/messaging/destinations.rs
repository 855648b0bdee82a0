//! Descriptions of destinations, made once for a policy.

use std::{borrow::Cow, fmt, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    Attribute, Hop, Policy, PropagationContext, Propagator,
    hop::{MessageSource, gate},
    model::origin::Generation,
};

/// The descriptions of an adapter's destinations: span names and attributes that have passed the policy's guard.
///
/// A producer sends to few topics, and a consumer reads from few. Their names are scanned once for each policy, instead of once for each
/// message. A replaced policy discards all descriptions.
///
/// An adapter holds one of these beside the settings that its descriptions depend on, and starts with a new one when a setting changes.
/// Clones share the descriptions.
#[derive(Clone, Default)]
pub struct Destinations(Arc<ArcSwap<Described>>);

/// The descriptions under one policy, sorted by key.
#[derive(Default)]
struct Described {
    policy: Option<Generation>,
    all: Vec<Arc<Description>>,
}

/// The part of a hop's description that depends on its destination alone.
struct Description {
    key: Box<[Box<str>]>,
    /// `None` if the name is a literal.
    name: Option<String>,
    literal: &'static str,
    attributes: Vec<Attribute>,
    span_only: Cow<'static, [&'static str]>,
    source: Option<MessageSource>,
}

impl Destinations {
    /// The most descriptions that are kept. Hops of further destinations are described, and guarded, one by one.
    pub const MAX: usize = 256;
    /// The most bytes of a key.
    const MAX_KEY_BYTES: usize = 512;

    /// Describes a hop: its name, the attributes that are only on its span, its source, and further attributes.
    ///
    /// `describe` is called if no description is kept for the key, with a hop without name and attributes. The description must depend on
    /// nothing but the key and the settings of the adapter: the key has the operation, and all names that a message or its sender chooses.
    pub fn describe(&self, propagator: &Propagator, hop: &mut Hop, key: &[&str], describe: impl FnOnce(&mut Hop)) {
        let policy = propagator.policy_guard();
        let described = self.0.load();
        let found = if described.policy == Some(policy.generation()) { described.find(key) } else { Err(0) };
        if let Ok(found) = found.map(|at| described.all.get(at)) {
            return found.into_iter().for_each(|description| description.apply(hop));
        }
        if !described.has_room(&policy, key) {
            return describe(hop);
        }
        let mut blank = if hop.local { Hop::local } else { Hop::remote }(hop.kind, PropagationContext::EMPTY);
        describe(&mut blank);
        gate::hop(&*policy, &mut blank);
        let description = Arc::new(Description::of(key, blank));
        description.apply(hop);
        self.0.store(Arc::new(described.with(&policy, description)));
    }
}

impl Described {
    /// Returns the index of a key, or the index where it would be inserted.
    fn find(&self, key: &[&str]) -> Result<usize, usize> {
        self.all.binary_search_by(|description| description.parts().cmp(key.iter().copied()))
    }

    fn has_room(&self, policy: &Policy, key: &[&str]) -> bool {
        (self.policy != Some(policy.generation()) || self.all.len() < Destinations::MAX)
            && key.iter().map(|part| part.len()).sum::<usize>() <= Destinations::MAX_KEY_BYTES
    }

    /// Returns the descriptions and one more. Discards those of another policy.
    fn with(&self, policy: &Policy, description: Arc<Description>) -> Self {
        let policy = Some(policy.generation());
        let mut all = if self.policy == policy { self.all.clone() } else { Vec::new() };
        all.push(description);
        all.sort_by(|one, other| one.parts().cmp(other.parts()));
        Self { policy, all }
    }
}

impl Description {
    fn of(key: &[&str], hop: Hop) -> Self {
        let (name, literal) = match hop.name {
            Cow::Owned(name) => (Some(name), ""),
            Cow::Borrowed(literal) => (None, literal),
        };
        let key = key.iter().map(|part| Box::from(*part)).collect();
        let Hop { attributes, span_only, source, .. } = hop;
        Self { key, name, literal, attributes, span_only, source }
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(|part| &**part)
    }

    fn apply(&self, hop: &mut Hop) {
        match &self.name {
            Some(name) => hop.set_guarded_name(name.clone()),
            None => hop.name = self.literal.into(),
        }
        if hop.attributes.capacity() == 0 {
            hop.reserve_attributes();
        }
        hop.attributes.extend_from_slice(&self.attributes);
        if hop.span_only.is_empty() {
            hop.span_only = self.span_only.clone();
        } else {
            hop.span_only.to_mut().extend_from_slice(&self.span_only);
        }
        hop.source = self.source;
    }
}

/// Prints no names.
impl fmt::Debug for Destinations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destinations").field("kept", &self.0.load().all.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{ExternalText, Scrub, SpanKind, hop::names};

    /// Describes a send to a destination, and returns the hop as a bridge gets it.
    fn described(destinations: &Destinations, propagator: &Propagator, to: &str, calls: &Cell<usize>) -> Hop {
        let mut hop = Hop::local(SpanKind::Producer, PropagationContext::EMPTY);
        destinations.describe(propagator, &mut hop, &["send", to], |hop| {
            calls.set(calls.get() + 1);
            hop.name = format!("send {to}").into();
            hop.add_attribute("messaging.destination.name", ExternalText::from(to));
            hop.add_attribute("server.port", 9092_u16);
            hop.source = Some(MessageSource::new("kafka", to));
        });
        gate::hop(&*propagator.policy_guard(), &mut hop);
        names::hop(propagator.semantic_conventions(), &mut hop);
        hop
    }

    #[test]
    fn kept_description_equals_a_new_one() {
        let (propagator, kept) = (Propagator::default(), Destinations::default());
        let long = "x".repeat(300);
        for to in ["orders", "anna@example.com", "two\nlines", "", &long] {
            let calls = Cell::new(0);
            let (first, second) =
                (described(&kept, &propagator, to, &calls), described(&kept, &propagator, to, &calls));
            let new = described(&Destinations::default(), &propagator, to, &Cell::new(0));
            for hop in [first, second] {
                assert_eq!((&hop.name, &hop.attributes, hop.source), (&new.name, &new.attributes, new.source), "{to}");
            }
            assert_eq!(calls.get(), 1, "{to}");
        }
        assert_eq!(described(&kept, &propagator, "anna@example.com", &Cell::new(0)).name, "send");
    }

    #[test]
    fn replaced_policy_discards_descriptions() {
        let (propagator, kept, calls) = (Propagator::default(), Destinations::default(), Cell::new(0));
        assert_eq!(described(&kept, &propagator, "anna@example.com", &calls).name, "send");
        propagator.set_policy(Policy::builder().scrub(Scrub::off()).build().unwrap());
        assert_eq!(described(&kept, &propagator, "anna@example.com", &calls).name, "send anna@example.com");
        propagator.set_policy(Policy::default());
        assert_eq!(described(&kept, &propagator, "anna@example.com", &calls).name, "send");
        assert_eq!(calls.get(), 3);
    }

    #[test]
    fn name_that_is_set_afterwards_is_guarded() {
        let (propagator, kept) = (Propagator::default(), Destinations::default());
        for _ in 0..2 {
            let mut hop = Hop::local(SpanKind::Producer, PropagationContext::EMPTY);
            kept.describe(&propagator, &mut hop, &["send"], |hop| hop.name = "send orders".to_owned().into());
            hop.name = "send anna@example.com".to_owned().into();
            gate::hop(&*propagator.policy_guard(), &mut hop);
            assert_eq!(hop.name, "send");
        }
    }

    #[test]
    fn descriptions_are_bounded() {
        let (propagator, kept, calls) = (Propagator::default(), Destinations::default(), Cell::new(0));
        for number in 0..Destinations::MAX + 10 {
            described(&kept, &propagator, &format!("orders-{number}"), &calls);
        }
        assert_eq!(kept.0.load().all.len(), Destinations::MAX);
        let further = described(&kept, &propagator, &format!("orders-{}", Destinations::MAX + 1), &calls);
        assert_eq!(further.name, format!("send orders-{}", Destinations::MAX + 1));
        let long = "y".repeat(Destinations::MAX_KEY_BYTES);
        let kept = Destinations::default();
        described(&kept, &propagator, &long, &calls);
        assert!(kept.0.load().all.is_empty());
    }
}
