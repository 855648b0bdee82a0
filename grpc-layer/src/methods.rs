use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use crate::DescriptorSetError;

/// The maximum number of learned methods. No real service has as many; a server that accepts any name reaches it.
const MAX_LEARNED: usize = 1_000;

/// The maximum length of a method name in bytes. Longer names are unknown.
const MAX_NAME: usize = 512;

/// The known methods of a service: declared ones, and those that a call proved to exist.
///
/// Clones share the learned methods.
#[derive(Clone, Debug, Default)]
pub(crate) struct Methods {
    declared: Arc<HashSet<Box<str>>>,
    learned: Arc<RwLock<HashSet<Box<str>>>>,
}

impl Methods {
    pub(crate) fn declare(&mut self, name: &str) {
        Arc::make_mut(&mut self.declared).insert(name.strip_prefix('/').unwrap_or(name).into());
    }

    pub(crate) fn declare_set(&mut self, set: &[u8]) -> Result<(), DescriptorSetError> {
        let found = crate::descriptor::methods(set)?;
        Arc::make_mut(&mut self.declared).extend(found.into_iter().map(String::into_boxed_str));
        Ok(())
    }

    /// Returns `true` for a method that the service has declared.
    pub(crate) fn declares(&self, name: &str) -> bool {
        // A long path is not hashed.
        name.len() <= MAX_NAME && self.declared.contains(name)
    }

    /// Returns `true` for a method that a call proved to exist.
    pub(crate) fn has_learned(&self, name: &str) -> bool {
        name.len() <= MAX_NAME && self.learned.read().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn contains(&self, name: &str) -> bool {
        self.declares(name) || self.has_learned(name)
    }

    /// Stores an existing method. Returns `false` if the limit is reached or the name is too long.
    pub(crate) fn learn(&self, name: &str) -> bool {
        if self.contains(name) {
            return true;
        }
        if self.learned.read().unwrap_or_else(PoisonError::into_inner).len() >= MAX_LEARNED {
            return false;
        }
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        let fits = learned.len() < MAX_LEARNED && name.len() <= MAX_NAME;
        if fits {
            learned.insert(name.into());
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learned_methods_are_bounded_and_shared_by_clones() {
        let mut methods = Methods::default();
        methods.declare("/shop.Orders/Place");
        let clone = methods.clone();
        assert!(clone.contains("shop.Orders/Place") && !clone.contains("shop.Orders/Cancel"));
        for n in 0..MAX_LEARNED {
            assert!(clone.learn(&format!("made.Up{n}/Call")));
        }
        assert!(methods.contains("made.Up999/Call") && methods.learn("made.Up7/Call"));
        assert!(!methods.learn("one.More/Call") && !methods.contains("one.More/Call"));
        assert!(!Methods::default().learn(&format!("long.Name/{}", "x".repeat(MAX_NAME))));
    }
}
