//! Redaction of URLs in telemetry.

use std::{borrow::Cow, sync::Arc};

use propagation_core::{Policy, scrub::is_secret_query_key, semconv, truncate_text};

pub(crate) const REDACTED: &str = "REDACTED";

/// The query keys whose values are replaced by `REDACTED` in attributes.
///
/// Keys that hold secrets are built in: those of signed URLs in the semantic conventions, and the others of [`is_secret_query_key`].
/// Userinfo is always redacted. Path segments and query values are redacted if the policy's scrubbers find personal data or secrets.
///
/// ```
/// use propagation_core::Propagator;
/// use propagation_http::{ClientPropagationLayer, Redaction};
///
/// let redaction = Redaction::default().redact_query_key("pin");
/// let layer = ClientPropagationLayer::new(Propagator::default()).with_redaction(redaction);
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
pub struct Redaction {
    keys: Arc<[Box<str>]>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self { keys: Arc::new([]) }
    }
}

impl Redaction {
    /// Adds a query key whose values are redacted, compared without regard to ASCII case.
    #[must_use]
    pub fn redact_query_key(mut self, key: &str) -> Self {
        self.keys = self.keys.iter().cloned().chain([key.to_ascii_lowercase().into()]).collect();
        self
    }

    /// Returns a query string with its sensitive values redacted, of at most the policy's limit for values.
    pub(crate) fn query(&self, query: &str, policy: &Policy) -> String {
        let limit = policy.telemetry_limits().value;
        // Keeps whole pairs within the limit. A single pair is truncated by the guard.
        let head = truncate_text(query, limit);
        let whole = if head.len() < query.len() { head.rsplit_once(['&', ';']) } else { None };
        let query = whole.map_or(query, |(pairs, _)| pairs);
        let mut shown = String::with_capacity(query.len().min(limit));
        // Some servers accept `;` as a separator.
        for part in query.split_inclusive(['&', ';']) {
            let (pair, end) = match part.strip_suffix(['&', ';']) {
                Some(pair) => (pair, part.get(pair.len()..).unwrap_or_default()),
                None => (part, ""),
            };
            match pair.split_once('=') {
                // Scans each byte once: the key by itself, and the value with its key as the hint.
                Some((key, value)) => {
                    let guarded = policy.guard_text(semconv::URL_QUERY, key);
                    let shows = guarded.is_some() && !self.is_sensitive(key);
                    let value = if shows { policy.guard_text(key, value) } else { None };
                    shown.push_str(guarded.as_deref().unwrap_or(REDACTED));
                    shown.push('=');
                    shown.push_str(value.as_deref().unwrap_or(REDACTED));
                }
                None => shown.push_str(policy.guard_text(semconv::URL_QUERY, pair).as_deref().unwrap_or(REDACTED)),
            }
            shown.push_str(end);
            if shown.len() >= limit {
                break;
            }
        }
        shown.truncate(truncate_text(&shown, limit).len());
        shown
    }

    fn is_sensitive(&self, key: &str) -> bool {
        // Percent-encoding can hide a secret key: encoded keys are sensitive.
        key.contains('%') || is_secret_query_key(key) || self.keys.iter().any(|known| known.eq_ignore_ascii_case(key))
    }

    /// Returns a URL without fragment, with redacted path and query, after its [`origin`].
    pub(crate) fn url(&self, origin: &str, url_path: &str, query: Option<&str>, policy: &Policy) -> String {
        let path = path(url_path, policy);
        let mut url = String::with_capacity(origin.len() + path.len() + query.map_or(0, |query| query.len() + 1));
        url.extend([origin, &path]);
        if let Some(query) = query {
            url.push('?');
            url.push_str(&self.query(query, policy));
        }
        url.truncate(truncate_text(&url, policy.telemetry_limits().value).len());
        url
    }
}

/// Returns the origin of a URL, with redacted userinfo and host.
pub(crate) fn origin(scheme: &str, authority: &str, policy: &Policy) -> String {
    let (userinfo, host) = match authority.rsplit_once('@') {
        Some((_, host)) => ("REDACTED:REDACTED@", host),
        None => ("", authority),
    };
    let (name, _) = crate::attributes::host_and_port(host);
    let is_address = host.len() <= 64 && name.parse::<std::net::IpAddr>().is_ok();
    let guarded = if is_address { Some(host.into()) } else { policy.guard_text(semconv::SERVER_ADDRESS, host) };
    [scheme, "://", userinfo, guarded.as_deref().unwrap_or(REDACTED)].concat()
}

/// Returns a path with redacted segments.
pub(crate) fn path<'a>(path: &'a str, policy: &Policy) -> Cow<'a, str> {
    // Longer paths are truncated below: they are neither copied nor scanned as a whole here.
    let head = truncate_text(path, policy.telemetry_limits().value.saturating_mul(2));
    if head.bytes().any(|byte| byte == b';') {
        return policy.guard_parts(semconv::URL_PATH, &without_parameters(head), '/', REDACTED).into_owned().into();
    }
    policy.guard_parts(semconv::URL_PATH, path, '/', REDACTED)
}

/// Returns a path with the values of its secret parameters redacted: `/cart;jsessionid=…`.
fn without_parameters(path: &str) -> String {
    let mut shown = String::with_capacity(path.len());
    for part in path.split_inclusive([';', '/']) {
        let (parameter, end) = match part.strip_suffix([';', '/']) {
            Some(parameter) => (parameter, part.get(parameter.len()..).unwrap_or_default()),
            None => (part, ""),
        };
        match parameter.split_once('=') {
            Some((key, _)) if key.contains('%') || is_secret_query_key(key) => shown.extend([key, "=", REDACTED, end]),
            _ => shown.extend([parameter, end]),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_urls_are_truncated_at_the_limit() {
        let policy = Policy::default();
        for query in
            ["a&".repeat(30_000), "a=b;".repeat(15_000), "a".repeat(60_000), format!("k={}", "v".repeat(60_000))]
        {
            let shown = Redaction::default().query(&query, &policy);
            assert!(shown.len() <= 1024 && !shown.is_empty() && query.starts_with(&shown), "{shown}");
        }
        let long = format!("/{}/anna@example.com", "x".repeat(1015));
        assert!(!path(&long, &policy).contains("anna"));
        assert!(path(&"/users".repeat(10_000), &policy).len() <= 1024);
        let query = format!("{}&to=anna@example.com", "x".repeat(1010));
        assert!(!Redaction::default().query(&query, &policy).contains("anna"));
    }

    #[test]
    fn secrets_in_urls_are_redacted() {
        let redaction = Redaction::default().redact_query_key("Pin");
        for (uri, shown) in [
            ("http://api/a?b=1", "http://api/a?b=1"),
            ("http://anna:pw@api/a", "http://REDACTED:REDACTED@api/a"),
            (
                "http://api/a?sig=x&B=1&PIN=2&X-Amz-Signature=y",
                "http://api/a?sig=REDACTED&B=1&PIN=REDACTED&X-Amz-Signature=REDACTED",
            ),
            ("http://api/a?%73ig=x", "http://api/a?%73ig=REDACTED"),
            ("http://api/a?b=1;sig=x", "http://api/a?b=1;sig=REDACTED"),
            ("http://api/a?b=1&to=anna%40example.com", "http://api/a?b=1&to=REDACTED"),
            ("http://api/a?anna@example.com", "http://api/a?REDACTED"),
            ("http://api/a?anna@example.com=1", "http://api/a?REDACTED=REDACTED"),
            ("http://api/users/anna@example.com/orders", "http://api/users/REDACTED/orders"),
            (
                "http://api/users/5b0c3f0e-9d6a-4b61-8f0e-2f4a7c1d9e33?a&b=&page=2",
                "http://api/users/5b0c3f0e-9d6a-4b61-8f0e-2f4a7c1d9e33?a&b=&page=2",
            ),
            ("http://api/v1.2.3.4/a", "http://api/v1.2.3.4/a"),
            (
                "http://api/cart;jsessionid=1A2B;v=2/items?ticket=ST-1",
                "http://api/cart;jsessionid=REDACTED;v=2/items?ticket=REDACTED",
            ),
            (
                "http://api/cb?code=a&SAMLResponse=b&oobCode=c&page=2",
                "http://api/cb?code=REDACTED&SAMLResponse=REDACTED&oobCode=REDACTED&page=2",
            ),
        ] {
            let uri: http::Uri = uri.parse().unwrap();
            let authority = uri.authority().unwrap().as_str().to_owned();
            let origin = origin("http", &authority, &Policy::default());
            assert_eq!(redaction.url(&origin, uri.path(), uri.query(), &Policy::default()), shown, "{uri}");
        }
    }
}
