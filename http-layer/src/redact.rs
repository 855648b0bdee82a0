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
    /// The same and one key more, compared without regard to ASCII case.
    #[must_use]
    pub fn with(mut self, key: &str) -> Self {
        self.keys = self.keys.iter().cloned().chain([key.to_ascii_lowercase().into()]).collect();
        self
    }

    /// A query string with its sensitive values replaced.
    pub(crate) fn query(&self, query: &str, policy: &Policy) -> String {
        let mut shown = String::with_capacity(query.len());
        // Some servers take `;` for `&`.
        for part in query.split_inclusive(['&', ';']) {
            let (pair, end) = match part.strip_suffix(['&', ';']) {
                Some(pair) => (pair, part.get(pair.len()..).unwrap_or_default()),
                None => (part, ""),
            };
            match pair.split_once('=') {
                Some((key, value)) if self.is_sensitive(key) || !policy.lets_telemetry_say(key, value) => {
                    let key = if policy.lets_telemetry_say("url.query", key) { key } else { REDACTED };
                    shown.extend([key, "=", REDACTED]);
                }
                _ if policy.lets_telemetry_say("url.query", pair) => shown.push_str(pair),
                _ => shown.push_str(REDACTED),
            }
            shown.push_str(end);
        }
        shown
    }

    fn is_sensitive(&self, key: &str) -> bool {
        // A key may hide behind percent-encoding: whatever is encoded in a key is not shown to be harmless.
        key.contains('%') || is_secret_query_key(key) || self.keys.iter().any(|known| known.eq_ignore_ascii_case(key))
    }

    /// A URL without fragment, its userinfo and sensitive query values replaced.
    pub(crate) fn url(&self, uri: &http::Uri, scheme: &str, authority: &str, policy: &Policy) -> String {
        let host = match authority.rsplit_once('@') {
            Some((_, host)) => format!("REDACTED:REDACTED@{host}"),
            None => authority.to_owned(),
        };
        let query = uri.query().map(|query| format!("?{}", self.query(query, policy))).unwrap_or_default();
        format!("{scheme}://{host}{}{query}", path(uri.path(), policy))
    }
}

/// A path whose segments are replaced where telemetry may not say them.
pub(crate) fn path(path: &str, policy: &Policy) -> String {
    if path.contains(';') {
        return shown_path(&without_parameters(path), policy);
    }
    shown_path(path, policy)
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

fn shown_path(path: &str, policy: &Policy) -> String {
    if policy.lets_telemetry_say("url.path", path) {
        return path.to_owned();
    }
    let show = |segment| if policy.lets_telemetry_say("url.path", segment) { segment } else { REDACTED };
    let shown = path.split('/').map(show).collect::<Vec<_>>().join("/");
    // What is only seen across segments hides the whole.
    if policy.lets_telemetry_say("url.path", &shown) { shown } else { format!("/{REDACTED}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_urls_are_not_shown() {
        let redaction = Redaction::default().with("Pin");
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
            ("http://api/a?anna@example.com=1", "http://api/a?REDACTED"),
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
