//! What must not be seen in URLs that telemetry shows.

use std::sync::Arc;

use propagation_core::{Policy, scrub::is_secret_query_key};

pub(crate) const REDACTED: &str = "REDACTED";

/// Which query values are replaced by `REDACTED` in attributes. Userinfo always is, and so is what the policy's scrubbers object to,
/// in a path and in a query.
///
/// Keys that hold a secret are known: those of signed URLs that the semantic conventions name, and the others of
/// [`is_secret_query_key`].
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

    /// A query string with its sensitive values replaced.
    pub(crate) fn query(&self, query: &str, policy: &Policy) -> String {
        let limit = policy.telemetry_limits().value;
        // Whole pairs within the bound; the only pair is cut by the guard.
        let head = cut(query, limit);
        let whole = if head.len() < query.len() { head.rsplit_once(['&', ';']) } else { None };
        let query = whole.map_or(query, |(pairs, _)| pairs);
        let mut shown = String::with_capacity(query.len().min(limit));
        // Some servers take `;` for `&`.
        for part in query.split_inclusive(['&', ';']) {
            let (pair, end) = match part.strip_suffix(['&', ';']) {
                Some(pair) => (pair, part.get(pair.len()..).unwrap_or_default()),
                None => (part, ""),
            };
            match pair.split_once('=') {
                // Each byte is scanned once: a value with its key as the hint, a key by itself.
                Some((key, value)) => {
                    let guarded = policy.guard_text("url.query", key);
                    let shows = guarded.is_some() && !self.is_sensitive(key);
                    let value = if shows { policy.guard_text(key, value) } else { None };
                    shown.push_str(guarded.as_deref().unwrap_or(REDACTED));
                    shown.push('=');
                    shown.push_str(value.as_deref().unwrap_or(REDACTED));
                }
                None => shown.push_str(policy.guard_text("url.query", pair).as_deref().unwrap_or(REDACTED)),
            }
            shown.push_str(end);
            if shown.len() >= limit {
                break;
            }
        }
        shown.truncate(cut(&shown, limit).len());
        shown
    }

    fn is_sensitive(&self, key: &str) -> bool {
        // A key may hide behind percent-encoding: whatever is encoded in a key is not shown to be harmless.
        key.contains('%') || is_secret_query_key(key) || self.keys.iter().any(|known| known.eq_ignore_ascii_case(key))
    }

    /// A URL without fragment, its userinfo and sensitive query values replaced.
    pub(crate) fn url(&self, uri: &http::Uri, scheme: &str, authority: &str, policy: &Policy) -> String {
        let guarded = |host| {
            let (name, _) = crate::attributes::host_and_port(host);
            if host.len() <= 64 && name.parse::<std::net::IpAddr>().is_ok() {
                return host.into();
            }
            policy.guard_text("server.address", host).unwrap_or_else(|| REDACTED.into())
        };
        let host = match authority.rsplit_once('@') {
            Some((_, host)) => format!("REDACTED:REDACTED@{}", guarded(host)),
            None => guarded(authority).into_owned(),
        };
        let query = uri.query().map(|query| format!("?{}", self.query(query, policy))).unwrap_or_default();
        let mut url = format!("{scheme}://{host}{}{query}", path(uri.path(), policy));
        url.truncate(cut(&url, policy.telemetry_limits().value).len());
        url
    }
}

/// The beginning of a text that has at most so many bytes.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// A path whose segments are replaced where telemetry may not show them.
pub(crate) fn path(path: &str, policy: &Policy) -> String {
    // Longer paths are cut below: neither copied nor searched whole here.
    let head = cut(path, policy.telemetry_limits().value.saturating_mul(2));
    if head.contains(';') {
        return policy.guard_parts("url.path", &without_parameters(head), '/', REDACTED);
    }
    policy.guard_parts("url.path", path, '/', REDACTED)
}

/// Returns a path with the values of its secret parameters replaced: `/cart;jsessionid=…`.
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
    fn long_urls_are_cut_at_the_bound() {
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
    fn secrets_in_urls_are_not_shown() {
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
            assert_eq!(redaction.url(&uri, "http", &authority, &Policy::default()), shown, "{uri}");
        }
    }
}
