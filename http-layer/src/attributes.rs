//! What the semantic conventions want to know of an HTTP request (1.44, http/http-spans).

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri, Version, header::HOST};
use propagation_core::{Attribute, AttributeValue, Hop, Policy};

/// The methods that a span may be named after; any other is `_OTHER`, so that callers can't make names up.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

/// The method as a name of low cardinality, if it is a known one.
#[must_use]
pub fn known_method(method: &Method) -> Option<&'static str> {
    let known = METHODS.iter().find(|known| *known == method)?;
    Some(match known.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "CONNECT" => "CONNECT",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        _ => "PATCH",
    })
}

/// Notes the method, and the original one where it is none that is known.
pub fn method(hop: &mut Hop, method: &Method) {
    let known = known_method(method);
    push(hop, "http.request.method", known.unwrap_or("_OTHER"));
    if known.is_none() {
        // As long as it is sent, and never longer than a word.
        let original: String = method.as_str().chars().take(32).collect();
        push(hop, "http.request.method_original", original);
    }
}

/// Notes the protocol version.
pub fn version(hop: &mut Hop, version: Version) {
    let version = match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_11 => "1.1",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => return,
    };
    push(hop, "network.protocol.version", version);
}

/// Notes host and port of the server; the port that a scheme has anyway only if `always`.
pub fn server(hop: &mut Hop, authority: &str, scheme: &str, always: bool) {
    let (host, port) = host_and_port(authority);
    if host.is_empty() {
        return;
    }
    push(hop, "server.address", host.to_owned());
    let usual = match scheme {
        "https" => 443,
        _ => 80,
    };
    if let Some(port) = port.or(always.then_some(usual)) {
        push(hop, "server.port", port);
    }
}

/// Who is asked: the authority of the URI, else the host header.
#[must_use]
pub fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    uri.authority().map(http::uri::Authority::as_str).or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default()
}

/// The host without userinfo, brackets and port, and the port.
#[must_use]
pub fn host_and_port(authority: &str) -> (&str, Option<u16>) {
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

/// Notes the listed headers, as far as telemetry may say them.
pub(crate) fn headers(
    out: &mut Vec<Attribute>,
    prefix: &str,
    listed: &[http::HeaderName],
    headers: &HeaderMap,
    policy: &Policy,
) {
    for name in listed {
        let show = |value: &http::HeaderValue| {
            let text = String::from_utf8_lossy(value.as_bytes());
            let may = policy.lets_telemetry_say(name.as_str(), &text);
            if may { text.into_owned() } else { crate::redact::REDACTED.to_owned() }
        };
        let values: Vec<String> = headers.get_all(name).iter().map(show).collect();
        if !values.is_empty() {
            out.push(Attribute::new(format!("{prefix}.{name}"), AttributeValue::Texts(values)));
        }
    }
}

/// Adds an attribute.
pub fn push(hop: &mut Hop, key: impl Into<Cow<'static, str>>, value: impl Into<AttributeValue>) {
    hop.attributes.push(Attribute::new(key, value));
}
