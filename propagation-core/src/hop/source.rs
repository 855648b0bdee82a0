use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::LazyLock,
};

/// Identifies, within the process, the queue or subscription that messages are received from.
///
/// Receive and process spans of one source can have other destination names: RabbitMQ names exchange and routing key once a message is
/// known, and leaves out generated queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageSource(u64);

impl MessageSource {
    /// Creates the identity of a source from the messaging system and its name there.
    #[must_use]
    pub fn new(system: &str, source: impl Hash) -> Self {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(SEED.hash_one((system, source)))
    }
}
