//! Recent deliveries, so that settling a message finds the span that processed it.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::{LazyLock, Mutex},
};

use super::CreationContext;
use crate::{TraceContext, Transport, model::origin::ProcessId};

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
    deliveries: HashMap<DeliveryKey, Delivered>,
    order: VecDeque<DeliveryKey>,
}

impl Deliveries {
    /// The most deliveries that are kept, about a megabyte.
    pub(crate) const CAPACITY: usize = 4_096;

    pub(crate) fn remember(&self, key: DeliveryKey, delivered: Delivered) {
        let Ok(mut inner) = self.0.lock() else { return };
        if inner.deliveries.insert(key, delivered).is_none() {
            inner.order.push_back(key);
        }
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
    fn delivery_keys_differ_by_transport() {
        assert_ne!(DeliveryKey::new(Transport::SQS, 1_u64), DeliveryKey::new(Transport::AMQP, 1_u64));
        assert_eq!(DeliveryKey::new(Transport::SQS, "handle"), DeliveryKey::new(Transport::SQS, "handle"));
    }
}
