//! What must not be seen in URLs that telemetry shows.

use std::sync::Arc;

/// Which query values are replaced by `REDACTED` in attributes. Userinfo always is.
///
/// The default is the keys of signed URLs that the semantic conventions name, and those that usually hold a secret.
#[derive(Clone, Debug)]
pub struct Redaction {
    keys: Arc<[Box<str>]>,
}

const KEYS: [&str; 14] = [
    "awsaccesskeyid",
    "signature",
    "sig",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "x-goog-signature",
    "access_token",
    "api_key",
    "apikey",
    "code",
    "password",
    "secret",
    "token",
];

impl Default for Redaction {
    fn default() -> Self {
        Self { keys: KEYS.iter().map(|key| Box::from(*key)).collect() }
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
    #[must_use]
    pub fn query(&self, query: &str) -> String {
        let redact = |pair: &str| match pair.split_once('=') {
            Some((key, _)) if self.is_sensitive(key) => format!("{key}=REDACTED"),
            _ => pair.to_owned(),
        };
        query.split('&').map(redact).collect::<Vec<_>>().join("&")
    }

    fn is_sensitive(&self, key: &str) -> bool {
        // A key may hide behind percent-encoding: whatever is encoded in a key is not shown to be harmless.
        key.contains('%') || self.keys.iter().any(|known| known.eq_ignore_ascii_case(key))
    }

    /// A URL without fragment, its userinfo and sensitive query values replaced.
    pub(crate) fn url(&self, uri: &http::Uri, scheme: &str, authority: &str) -> String {
        let host = match authority.rsplit_once('@') {
            Some((_, host)) => format!("REDACTED:REDACTED@{host}"),
            None => authority.to_owned(),
        };
        let query = uri.query().map(|query| format!("?{}", self.query(query))).unwrap_or_default();
        format!("{scheme}://{host}{}{query}", uri.path())
    }
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
        ] {
            let uri: http::Uri = uri.parse().unwrap();
            let authority = uri.authority().unwrap().as_str().to_owned();
            assert_eq!(redaction.url(&uri, "http", &authority), shown);
        }
    }
}
