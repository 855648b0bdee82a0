//! Recent deliveries, so that settling a message finds the span that processed it.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
    sync::{LazyLock, Mutex},
};

use super::Propagator;
use crate::{
    Admission, Attribute, Link, TraceContext, Transport,
    model::origin::{AdmissionToken, ProcessId},
};

/// The creation context of a received message and the trust it was admitted with, for spans of a batch and for settling.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CreationContext {
    /// The context that spans link to. Empty if the message has no ids, or the policy allows no link to the sender.
    pub trace: TraceContext,
    /// The attributes of the message on the links of batches: its id, its partition and offset.
    pub attributes: Vec<Attribute>,
    /// Whether spans continue the trace, or only link to it.
    continues: bool,
    admission: Option<AdmissionToken>,
}

impl CreationContext {
    /// Returns the creation context of an admitted message.
    #[must_use]
    pub fn of(admission: &Admission) -> Self {
        let trace = &admission.context.trace;
        let continues = trace.has_ids();
        let links = std::iter::once(trace).chain(&admission.links);
        Self {
            trace: links.clone().find(|trace| trace.has_ids()).cloned().unwrap_or_default(),
            attributes: Vec::new(),
            continues,
            admission: admission.context.origin.admission,
        }
    }

    /// Returns `true` if a span may be a child of this context.
    pub(crate) fn is_admitted(&self) -> bool {
        self.continues
    }

    /// Replaces the attributes of the message on the links of batches.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Vec<Attribute>) -> Self {
        self.attributes = attributes;
        self
    }

    /// Returns a link to the message with its attributes. Bridges make no link of a context without ids.
    #[must_use]
    pub fn link(&self) -> Link {
        Link::new(self.trace.clone()).with_attributes(self.attributes.clone())
    }

    /// Returns the token of the admission; `None` for a message of this service.
    pub(crate) fn admission(&self) -> Option<AdmissionToken> {
        self.admission
    }

    /// Adopts the less trusted admission of two messages, for a span of both.
    pub fn restrict(&mut self, propagator: &Propagator, other: &Self) {
        self.admission = propagator.policy_guard().stricter(self.admission, other.admission);
    }
}

impl From<TraceContext> for CreationContext {
    /// Returns the creation context of a message of this service.
    fn from(trace: TraceContext) -> Self {
        Self { continues: trace.has_ids(), trace, attributes: Vec::new(), admission: None }
    }
}

/// Identifies one delivery of a message within the process: a receipt handle, a topic, partition and offset, a channel and delivery tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryKey(u64);

impl DeliveryKey {
    /// Creates a key from the data that identifies the delivery on its transport.
    #[must_use]
    pub fn new(transport: Transport, delivery: impl Hash) -> Self {
        // Receipt handles and topics come from outside: a secret seed prevents chosen collisions.
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(SEED.hash_one((transport.as_str(), delivery)))
    }
}

/// A delivery that was received or processed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivered {
    pub(crate) creation: CreationContext,
    /// The process span, once there is one.
    pub(crate) process: Option<(ProcessId, TraceContext)>,
}

/// The last deliveries by key; the oldest is evicted first.
#[derive(Default)]
pub(crate) struct Deliveries(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    deliveries: HashMap<DeliveryKey, Delivered, BuildHasherDefault<KeyHasher>>,
    order: VecDeque<DeliveryKey>,
}

/// Takes a key as its own hash: it is a hash with a secret seed already.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Deliveries {
    /// The most deliveries that are kept, about a megabyte.
    pub(crate) const CAPACITY: usize = 4_096;

    /// Remembers a delivery. Keeps the attributes of an earlier entry that the new one does not have: those that receiving noted.
    pub(crate) fn remember(&self, key: DeliveryKey, mut delivered: Delivered) {
        let Ok(mut inner) = self.0.lock() else { return };
        if let Some(before) = inner.deliveries.get_mut(&key) {
            if delivered.creation.attributes.is_empty() {
                delivered.creation.attributes = std::mem::take(&mut before.creation.attributes);
            }
            *before = delivered;
            return;
        }
        inner.deliveries.insert(key, delivered);
        inner.order.push_back(key);
        if inner.order.len() > Self::CAPACITY
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.deliveries.remove(&oldest);
        }
    }

    pub(crate) fn recall(&self, key: DeliveryKey) -> Option<Delivered> {
        self.0.lock().ok()?.deliveries.get(&key).cloned()
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_evict_the_oldest_first() {
        let deliveries = Deliveries::default();
        let key = |number: usize| DeliveryKey::new(Transport::SQS, number);
        for number in 0..Deliveries::CAPACITY + 10 {
            deliveries.remember(key(number), Delivered::default());
        }
        assert_eq!(deliveries.0.lock().unwrap().deliveries.len(), Deliveries::CAPACITY);
        assert!(deliveries.recall(key(9)).is_none());
        assert!(deliveries.recall(key(10)).is_some());
    }

    #[test]
    fn processing_keeps_the_attributes_noted_by_receiving() {
        let deliveries = Deliveries::default();
        let key = DeliveryKey::new(Transport::SQS, "handle");
        let noted = CreationContext::default().with_attributes(vec![Attribute::new("id", "m-1")]);
        deliveries.remember(key, Delivered { creation: noted.clone(), process: None });
        deliveries.remember(key, Delivered::default());
        assert_eq!(deliveries.recall(key).unwrap().creation.attributes, noted.attributes);
        assert_eq!(deliveries.0.lock().unwrap().order.len(), 1);
    }

    #[test]
    fn delivery_keys_differ_by_transport() {
        assert_ne!(DeliveryKey::new(Transport::SQS, 1_u64), DeliveryKey::new(Transport::AMQP, 1_u64));
        assert_eq!(DeliveryKey::new(Transport::SQS, "handle"), DeliveryKey::new(Transport::SQS, "handle"));
    }
}
