//! The hosts that metrics record.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use propagation_core::{Peer, Policy, policy::PeerNaming};

use crate::attributes::canonical_host;

/// The hosts that a client's metrics record: declared ones, and those in outbound rules of the policy.
///
/// This bounds the time series of a service that calls URLs of its customers.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownHosts {
    declared: Vec<Box<str>>,
    /// Hosts that match only a pattern, and `host:port` with ports other than 80 and 443.
    seen: Arc<Mutex<HashSet<Box<str>>>>,
}

impl KnownHosts {
    /// The maximum number of entries in `seen`.
    const MAX_SEEN: usize = 256;

    pub(crate) fn declare(&mut self, hosts: impl IntoIterator<Item = impl AsRef<str>>) {
        self.declared.extend(hosts.into_iter().map(|host| Box::from(&*canonical_host(host.as_ref()))));
    }

    /// Returns `true` if metrics may record a host, which is in canonical form.
    pub(crate) fn has_host(&self, policy: &Policy, host: &str) -> bool {
        if self.declared.iter().any(|declared| **declared == *host) {
            return true;
        }
        match policy.peer_naming(&Peer::http(host)) {
            Some(PeerNaming::Exact) => true,
            Some(_) => self.admits(host),
            None => self.declared.iter().any(|pattern| matches(pattern, host)) && self.admits(host),
        }
    }

    /// Returns `true` if metrics may record a port of a known host.
    pub(crate) fn has_port(&self, host: &str, port: u16) -> bool {
        matches!(port, 80 | 443) || self.admits(&format!("{host}:{port}"))
    }

    fn admits(&self, name: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.contains(name) || seen.len() < Self::MAX_SEEN && seen.insert(name.into())
    }
}

fn matches(pattern: &str, host: &str) -> bool {
    pattern
        .split_once('*')
        .is_some_and(|(prefix, suffix)| host.strip_prefix(prefix).is_some_and(|rest| rest.ends_with(suffix)))
}
