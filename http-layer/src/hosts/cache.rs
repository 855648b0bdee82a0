//! A bounded cache of descriptions of hosts.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use propagation_core::{Policy, Propagator};

/// Descriptions of hosts under the policy in force, so that a host's name is not parsed and scanned again for each request.
///
/// Holds the first 16 hosts, and forgets them when the policy is replaced. Further hosts are described each time: a caller who invents host
/// names costs speed, never memory. Clones share the descriptions.
pub(crate) struct HostCache<T>(Arc<ArcSwap<Vec<Arc<Described<T>>>>>);

/// The description of one host under one policy.
struct Described<T> {
    policy: Arc<Policy>,
    scheme: Box<str>,
    authority: Box<str>,
    description: T,
}

impl<T> HostCache<T> {
    const MAX_HOSTS: usize = 16;
    /// The maximum length of an authority in bytes.
    const MAX_AUTHORITY: usize = 128;

    /// Calls `read` with the description of a host, which is the result of `describe` or an earlier one for the same arguments.
    pub(crate) fn read<R>(
        &self,
        propagator: &Propagator,
        scheme: &str,
        authority: &str,
        describe: impl FnOnce(&Policy) -> T,
        read: impl FnOnce(&T) -> R,
    ) -> R {
        let policy = propagator.policy_guard();
        let is_current = |host: &Described<T>| std::ptr::eq(&*host.policy, &*policy);
        let hosts = self.0.load();
        let found =
            hosts.iter().find(|host| *host.authority == *authority && *host.scheme == *scheme && is_current(host));
        if let Some(found) = found {
            return read(&found.description);
        }
        let description = describe(&policy);
        let known = hosts.iter().filter(|host| is_current(host));
        // Userinfo is not kept.
        if known.clone().count() >= Self::MAX_HOSTS || authority.len() > Self::MAX_AUTHORITY || authority.contains('@')
        {
            return read(&description);
        }
        let kept = propagator.policy();
        if !std::ptr::eq(&*kept, &*policy) {
            // The policy was replaced meanwhile.
            return read(&description);
        }
        let host =
            Arc::new(Described { policy: kept, scheme: scheme.into(), authority: authority.into(), description });
        self.0.store(Arc::new(known.cloned().chain([Arc::clone(&host)]).collect()));
        read(&host.description)
    }
}

impl<T> Clone for HostCache<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for HostCache<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> fmt::Debug for HostCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostCache").field("hosts", &self.0.load().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a host, and returns its description and whether it was described anew.
    fn read(cache: &HostCache<String>, propagator: &Propagator, authority: &str) -> (String, bool) {
        let mut anew = false;
        let describe = |_: &Policy| {
            anew = true;
            format!("described {authority}")
        };
        let description = cache.read(propagator, "http", authority, describe, Clone::clone);
        (description, anew)
    }

    #[test]
    fn host_is_described_once_for_each_policy() {
        let (cache, propagator) = (HostCache::default(), Propagator::default());
        for policy in 0..3 {
            assert_eq!(read(&cache, &propagator, "shop:80"), ("described shop:80".to_owned(), true), "{policy}");
            assert_eq!(read(&cache.clone(), &propagator, "shop:80"), ("described shop:80".to_owned(), false));
            propagator.set_policy(Policy::default());
        }
        assert_eq!(cache.0.load().len(), 1, "descriptions of earlier policies are dropped");
    }

    #[test]
    fn invented_hosts_do_not_grow_the_cache() {
        let (cache, propagator) = (HostCache::default(), Propagator::default());
        let long = "x".repeat(129);
        for authority in ["anna:pw@shop:80", &long] {
            assert!(read(&cache, &propagator, authority).1 && read(&cache, &propagator, authority).1);
        }
        assert!(cache.0.load().is_empty());
        for nth in 0..100 {
            assert!(read(&cache, &propagator, &format!("made-{nth}.example")).1);
        }
        assert_eq!(cache.0.load().len(), 16);
        assert!(!read(&cache, &propagator, "made-7.example").1 && read(&cache, &propagator, "made-77.example").1);
    }
}
