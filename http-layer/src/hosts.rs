//! The hosts that a client calls: their attributes, and those that metrics record.

mod cache;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use propagation_core::{Attribute, Peer, Policy, Propagator, policy::PeerNaming, semconv};

pub(crate) use self::cache::HostCache;
use crate::{
    attributes::{SERVER, canonical_host, guarded_server, host_and_port},
    redact,
};

/// The hosts that a client's metrics record: declared ones, and those in outbound rules of the policy.
///
/// This bounds the time series of a service that calls URLs of its customers.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownHosts {
    declared: Vec<Box<str>>,
    /// Hosts that match only a pattern, and `host:port` with ports other than 80 and 443.
    seen: Arc<Mutex<HashSet<Box<str>>>>,
    described: HostCache<DescribedHost>,
}

/// The description of one host under one policy.
pub(crate) struct DescribedHost {
    /// `server.address` and `server.port`, which have passed the policy's guard.
    pub(crate) attributes: Vec<Attribute>,
    /// The attributes that metrics omit.
    pub(crate) span_only: &'static [&'static str],
    /// The beginning of `url.full`, redacted.
    pub(crate) origin: String,
}

impl KnownHosts {
    /// The maximum number of entries in `seen`.
    const MAX_SEEN: usize = 256;

    pub(crate) fn declare(&mut self, hosts: impl IntoIterator<Item = impl AsRef<str>>) {
        self.declared.extend(hosts.into_iter().map(|host| Box::from(&*canonical_host(host.as_ref()))));
        self.described = HostCache::default();
    }

    /// Calls `read` with the description of a host.
    pub(crate) fn with_described<R>(
        &self,
        propagator: &Propagator,
        scheme: &str,
        authority: &str,
        read: impl FnOnce(&DescribedHost) -> R,
    ) -> R {
        self.described.read(propagator, scheme, authority, |policy| self.describe(policy, scheme, authority), read)
    }

    fn describe(&self, policy: &Policy, scheme: &str, authority: &str) -> DescribedHost {
        let (host, port) = host_and_port(authority);
        let host = canonical_host(host);
        let attributes = guarded_server(policy, authority, scheme, true);
        let span_only: &'static [&'static str] = if !self.has_host(policy, &host) {
            &SERVER
        } else if port.is_some_and(|port| !self.has_port(&host, port)) {
            &[semconv::SERVER_PORT]
        } else {
            &[]
        };
        DescribedHost { attributes, span_only, origin: redact::origin(scheme, authority, policy) }
    }

    /// Returns `true` if metrics may record a host, which is in canonical form.
    fn has_host(&self, policy: &Policy, host: &str) -> bool {
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
    fn has_port(&self, host: &str, port: u16) -> bool {
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
