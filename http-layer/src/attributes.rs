//! What the semantic conventions want to know of an HTTP request (1.44, http/http-spans).

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri, Version, header::HOST};
use propagation_core::{Attribute, AttributeValue, ExternalText, Hop};

/// Adds the method, and the original one where it is unknown.
pub(crate) fn method(hop: &mut Hop, method: &Method, known: Option<&'static str>) {
    push(hop, "http.request.method", known.unwrap_or("_OTHER"));
    if known.is_none() {
        // As long as it is sent, and never longer than a word.
        let original: String = method.as_str().chars().take(32).collect();
        push(hop, "http.request.method_original", original);
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
    Some(Attribute::new("network.protocol.version", version))
}

/// Notes host and port of the server; the port that a scheme has anyway only if `always`.
pub fn server(hop: &mut Hop, authority: &str, scheme: &str, always: bool) {
    let (host, port) = host_and_port(authority);
    if host.is_empty() {
        return;
    }
    // A server's address is no personal data, although the scrubbers would take it for a client's.
    let address = canonical_host(host);
    match address.parse::<std::net::IpAddr>() {
        Ok(_) => push(hop, "server.address", AttributeValue::trusted(address.into_owned())),
        Err(_) => push(hop, "server.address", ExternalText::from(address)),
    }
    let usual = match scheme {
        "https" => 443,
        _ => 80,
    };
    if let Some(port) = port.or(always.then_some(usual)) {
        push(hop, "server.port", port);
    }
}

/// The attributes of [`server`], which go on no metric where a caller chose them.
pub(crate) const SERVER: [&str; 2] = ["server.address", "server.port"];

/// Who is asked: the authority of the URI, else the host header.
#[must_use]
pub fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    uri.authority().map(http::uri::Authority::as_str).or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default()
}

/// The host without userinfo, brackets and port, and the port.
pub(crate) fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').and_then(|port| port.parse().ok())),
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (authority, None),
        },
    }
}

/// The host as policy rules name it: lower-case, without the dot that ends a fully qualified name.
pub(crate) fn canonical_host(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host.into() }
}

/// The host of an authority or a URL as policy rules name it: without userinfo, port and brackets.
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
