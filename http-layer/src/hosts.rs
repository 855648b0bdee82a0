//! The hosts that a client calls: their attributes, and those that metrics record.

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use propagation_core::{Attribute, AttributeValue, Peer, Policy, Propagator, policy::PeerNaming, semconv};

use crate::{
    attributes::{SERVER, canonical_host, host_and_port},
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
    /// The hosts that were described last, so that their names are not scanned again for each call.
    described: Arc<ArcSwap<Vec<Arc<DescribedHost>>>>,
}

/// The description of one host under one policy.
#[derive(Debug)]
pub(crate) struct DescribedHost {
    policy: Arc<Policy>,
    scheme: Box<str>,
    authority: Box<str>,
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
    /// The maximum number of entries in `described`, and the maximum length of their authorities.
    const MAX_DESCRIBED: usize = 16;
    const MAX_AUTHORITY: usize = 128;

    pub(crate) fn declare(&mut self, hosts: impl IntoIterator<Item = impl AsRef<str>>) {
        self.declared.extend(hosts.into_iter().map(|host| Box::from(&*canonical_host(host.as_ref()))));
        self.described = Arc::default();
    }

    /// Calls `read` with the description of a host.
    pub(crate) fn with_described<R>(
        &self,
        propagator: &Propagator,
        scheme: &str,
        authority: &str,
        read: impl FnOnce(&DescribedHost) -> R,
    ) -> R {
        let policy = propagator.policy_guard();
        let is_current = |host: &DescribedHost| std::ptr::eq(&*host.policy, &*policy);
        let described = self.described.load();
        let found =
            described.iter().find(|host| *host.authority == *authority && *host.scheme == *scheme && is_current(host));
        if let Some(found) = found {
            return read(found);
        }
        let host = Arc::new(self.describe(propagator.policy(), scheme, authority));
        // Userinfo is not kept.
        if authority.len() <= Self::MAX_AUTHORITY && !authority.contains('@') {
            let mut all: Vec<_> = described.iter().filter(|host| is_current(host)).cloned().collect();
            if all.len() < Self::MAX_DESCRIBED {
                all.push(Arc::clone(&host));
                self.described.store(Arc::new(all));
            }
        }
        read(&host)
    }

    fn describe(&self, policy: Arc<Policy>, scheme: &str, authority: &str) -> DescribedHost {
        let (host, port) = host_and_port(authority);
        let host = canonical_host(host);
        // A server's IP address is not personal data, although the scrubbers would detect it.
        let address = match host.parse::<IpAddr>() {
            Ok(_) => Some(host.clone()),
            Err(_) => policy.guard_text(semconv::SERVER_ADDRESS, &host),
        };
        let mut attributes = Vec::new();
        if !host.is_empty() {
            let address = address.map(|address| AttributeValue::trusted(address.into_owned()));
            attributes.extend(address.map(|address| Attribute::new(semconv::SERVER_ADDRESS, address)));
            attributes
                .push(Attribute::new(semconv::SERVER_PORT, port.unwrap_or(if scheme == "https" { 443 } else { 80 })));
        }
        let span_only: &[&str] = if !self.has_host(&policy, &host) {
            &SERVER
        } else if port.is_some_and(|port| !self.has_port(&host, port)) {
            &[semconv::SERVER_PORT]
        } else {
            &[]
        };
        let origin = redact::origin(scheme, authority, &policy);
        DescribedHost { scheme: scheme.into(), authority: authority.into(), attributes, span_only, origin, policy }
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
