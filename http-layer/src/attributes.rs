//! Span attributes of the semantic conventions for HTTP (1.45, http/http-spans), for protocols on top of HTTP.

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri, Version, header::HOST};
use propagation_core::{Attribute, AttributeValue, ExternalText, Hop, Policy, Propagator, semconv};

use crate::{PeerAddress, hosts::HostCache};

pub use crate::{
    headers::header,
    names::{SpanName, SpanNames},
};

/// Adds the method. An unknown one becomes `_OTHER`, with the original as a further attribute.
pub(crate) fn method(hop: &mut Hop, method: &Method, known: Option<&'static str>) {
    push(hop, semconv::HTTP_REQUEST_METHOD, known.unwrap_or("_OTHER"));
    if known.is_none() {
        // Bounded: the caller chooses it.
        let original: String = method.as_str().chars().take(32).collect();
        push(hop, semconv::HTTP_REQUEST_METHOD_ORIGINAL, original);
    }
}

/// Returns the protocol version, `network.protocol.version`.
pub(crate) fn version(version: Version) -> Option<Attribute> {
    let version = match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_11 => "1.1",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => return None,
    };
    Some(Attribute::new(semconv::NETWORK_PROTOCOL_VERSION, version))
}

/// Returns the scheme of a URI, borrowed if it is one of HTTP's.
pub(crate) fn scheme(uri: &Uri) -> Option<Cow<'static, str>> {
    uri.scheme_str().map(|scheme| match scheme {
        "http" => Cow::Borrowed("http"),
        "https" => Cow::Borrowed("https"),
        other => Cow::Owned(other.to_owned()),
    })
}

/// Adds `server.address` and `server.port`. Adds the default port of a scheme only if `always`.
pub fn server(hop: &mut Hop, authority: &str, scheme: &str, always: bool) {
    hop.attributes.extend(server_attributes(authority, scheme, always).into_iter().flatten());
}

fn server_attributes(authority: &str, scheme: &str, always: bool) -> [Option<Attribute>; 2] {
    let (host, port) = host_and_port(authority);
    if host.is_empty() {
        return [None, None];
    }
    let address = canonical_host(host);
    // A server's IP address is not personal data, although the scrubbers would detect it.
    let address = match address.parse::<std::net::IpAddr>() {
        Ok(_) => AttributeValue::trusted(address.into_owned()),
        Err(_) => ExternalText::from(address).into(),
    };
    let usual = match scheme {
        "https" => 443,
        _ => 80,
    };
    let port = port.or(always.then_some(usual));
    [
        Some(Attribute::new(semconv::SERVER_ADDRESS, address)),
        port.map(|port| Attribute::new(semconv::SERVER_PORT, port)),
    ]
}

/// Returns the attributes of [`server`] after the policy's guard.
pub(crate) fn guarded_server(policy: &Policy, authority: &str, scheme: &str, always: bool) -> Vec<Attribute> {
    let attributes = server_attributes(authority, scheme, always).into_iter().flatten();
    attributes.filter_map(|attribute| policy.guard_attribute(attribute)).collect()
}

/// Adds `server.address` and `server.port` like [`server`], and remembers up to 16 hosts, so that their names are not scanned again.
///
/// Each layer has one; clones share the hosts.
#[derive(Clone, Debug, Default)]
pub struct Servers(HostCache<Vec<Attribute>>);

impl Servers {
    /// Adds the attributes of a server. The port is added only if the authority has one.
    pub fn describe(&self, hop: &mut Hop, propagator: &Propagator, authority: &str) {
        let scheme = "http";
        let describe = |policy: &Policy| guarded_server(policy, authority, scheme, false);
        self.0.read(propagator, scheme, authority, describe, |found| hop.attributes.extend_from_slice(found));
    }
}

/// Returns `network.peer.address` and, if it is known, `network.peer.port` of a connection.
pub fn network_peer(peer: PeerAddress) -> impl Iterator<Item = Attribute> {
    let address = AttributeValue::trusted(peer.ip().to_canonical().to_string());
    let port = peer.port().map(|port| Attribute::new(semconv::NETWORK_PEER_PORT, port));
    std::iter::once(Attribute::new(semconv::NETWORK_PEER_ADDRESS, address)).chain(port)
}

/// The attributes of [`server`]. Metrics omit them if the caller chose their values.
pub(crate) const SERVER: [&str; 2] = [semconv::SERVER_ADDRESS, semconv::SERVER_PORT];

/// Returns the authority of a request: the URI's, or else the host header.
#[must_use]
pub fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    uri.authority().map_or_else(|| host_header(headers), http::uri::Authority::as_str)
}

/// Returns the value of the host header, which is empty if it is absent.
pub(crate) fn host_header(headers: &HeaderMap) -> &str {
    headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// Returns the authority of a URL, or else a copy of the host header, so that the headers can be changed meanwhile.
pub(crate) fn authority_of<'a>(authority: &'a str, headers: &HeaderMap) -> Cow<'a, str> {
    if authority.is_empty() { host_header(headers).to_owned().into() } else { authority.into() }
}

/// Splits an authority into the host, without userinfo and brackets, and the port.
pub(crate) fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let authority = split_at_last(authority, b'@').map_or(authority, |(_, host)| host);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').and_then(|port| port.parse().ok())),
        None => match split_at_last(authority, b':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (authority, None),
        },
    }
}

/// Like `rsplit_once`, which costs more than a loop for texts as short as an authority.
fn split_at_last(text: &str, byte: u8) -> Option<(&str, &str)> {
    let mut head = text.as_bytes();
    while let [before @ .., last] = head {
        if *last == byte {
            return Some((text.get(..before.len())?, text.get(before.len() + 1..)?));
        }
        head = before;
    }
    None
}

/// Returns a host in the form of policy rules: lower-case, without the trailing dot of a fully qualified name.
pub(crate) fn canonical_host(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host.into() }
}

/// Returns the host of an authority in the form of policy rules, without userinfo, brackets and port.
#[cfg(any(feature = "reqwest-0-13", feature = "tower-http-0-6"))]
pub(crate) fn policy_host(authority: &str) -> Cow<'_, str> {
    canonical_host(host_and_port(authority).0)
}

/// Adds an attribute.
pub(crate) fn push(hop: &mut Hop, key: impl Into<Cow<'static, str>>, value: impl Into<AttributeValue>) {
    hop.attributes.push(Attribute::new(key, value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_is_split_into_host_and_port() {
        for (authority, host, port) in [
            ("shop.example:8080", "shop.example", Some(8080)),
            ("shop.example", "shop.example", None),
            ("anna:pw@shop.example:80", "shop.example", Some(80)),
            ("a@b@shop", "shop", None),
            ("grün:80", "grün", Some(80)),
            ("[2001:db8::1]:443", "2001:db8::1", Some(443)),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("shop:", "shop", None),
            ("@:80", "", Some(80)),
            ("", "", None),
        ] {
            assert_eq!(host_and_port(authority), (host, port), "{authority}");
        }
    }

    #[test]
    fn version_is_written_as_the_conventions_define() {
        for (version, expected) in [
            (Version::HTTP_09, "0.9"),
            (Version::HTTP_10, "1.0"),
            (Version::HTTP_11, "1.1"),
            (Version::HTTP_2, "2"),
            (Version::HTTP_3, "3"),
        ] {
            let attribute = super::version(version).unwrap();
            assert_eq!(attribute.key, "network.protocol.version");
            assert_eq!(attribute.value, AttributeValue::from(expected));
        }
    }
}
