//! Headers recorded as attributes.

use http::{HeaderMap, HeaderName};
use propagation_core::{Attribute, ExternalText, HopSpan, Policy, Propagator};

/// The request and response headers to record.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordedHeaders {
    pub(crate) request: Vec<HeaderName>,
    pub(crate) response: Vec<HeaderName>,
    /// Headers that hold credentials, besides those of [`is_credential`].
    pub(crate) credentials: Vec<HeaderName>,
}

impl RecordedHeaders {
    pub(crate) fn record_request(&self, out: &mut Vec<Attribute>, headers: &HeaderMap, policy: &Policy) {
        self.record(out, "http.request.header", &self.request, headers, policy);
    }

    pub(crate) fn record_response(&self, propagator: &Propagator, headers: &HeaderMap, hop: &HopSpan) {
        let mut attributes = Vec::new();
        self.record(&mut attributes, "http.response.header", &self.response, headers, &propagator.policy_guard());
        for attribute in attributes {
            hop.set_attribute(attribute.key, attribute.value);
        }
    }

    /// Adds the listed headers, redacted by the policy. Skips credentials and values that are marked as sensitive.
    fn record(
        &self,
        out: &mut Vec<Attribute>,
        prefix: &str,
        listed: &[HeaderName],
        headers: &HeaderMap,
        policy: &Policy,
    ) {
        let shown = listed.iter().filter(|name| !self.credentials.contains(name));
        out.extend(shown.filter_map(|name| header(prefix, name, headers, policy)));
    }
}

/// Returns the values of a header as the attribute `{prefix}.{name}`. For protocols on top of HTTP.
///
/// Returns `None` if the header is absent, if its name is one of credentials (`authorization`, `x-api-key`, …), or if its values are
/// marked as sensitive. The values pass the policy's guard when the attribute is recorded.
#[must_use]
pub fn header(prefix: &str, name: &HeaderName, headers: &HeaderMap, policy: &Policy) -> Option<Attribute> {
    if is_credential(name) {
        return None;
    }
    // The policy's limit counts at least 16 bytes for each value: further values would be dropped.
    let max = policy.telemetry_limits().value / 16 + 1;
    let values: Vec<ExternalText> = headers
        .get_all(name)
        .iter()
        .filter(|value| !value.is_sensitive())
        .take(max)
        .map(|value| ExternalText::from_bytes(value.as_bytes()).with_key_hint(name.as_str()))
        .collect();
    (!values.is_empty()).then(|| Attribute::new(format!("{prefix}.{name}"), values))
}

/// Names of credential headers without a word of [`WORDS`].
const CREDENTIALS: [&str; 9] = [
    "authentication-info",
    "dpop",
    "proxy-authenticate",
    "proxy-authentication-info",
    "www-authenticate",
    "x-amzn-oidc-data",
    "x-forwarded-client-cert",
    "x-goog-iap-jwt-assertion",
    "x-hub-signature-256",
];

/// Words that mark a header as a credential, anywhere in its name.
const WORDS: [&str; 22] = [
    "apikey",
    "assertion",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "cookie2",
    "cookies",
    "credential",
    "credentials",
    "csrf",
    "jwt",
    "passwd",
    "password",
    "secret",
    "secrets",
    "session",
    "sessionid",
    "signature",
    "token",
    "tokens",
    "xsrf",
];

/// Returns `true` for a header that holds credentials, by its name or a word in it (`x-vault-token`, `x-api-key`, `private-token`).
fn is_credential(name: &HeaderName) -> bool {
    let name = name.as_str();
    let words = || name.split(['-', '_', '.']);
    CREDENTIALS.contains(&name)
        || words().any(|word| WORDS.contains(&word))
        // For example `x-api-key`, `ocp-apim-subscription-key`, `x-functions-key`; not `idempotency-key` or `sec-websocket-key`.
        || words().next_back() == Some("key")
            && words().any(|word| matches!(word, "api" | "access" | "functions" | "master" | "private" | "subscription"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_header_is_recognized_by_its_name() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "set-cookie2",
            "www-authenticate",
            "x-api-key",
            "apikey",
            "api_key",
            "x-goog-api-key",
            "x-amz-security-token",
            "x-vault-token",
            "private-token",
            "x-auth-token",
            "x-csrf-token",
            "x-forwarded-authorization",
            "x-functions-key",
            "ocp-apim-subscription-key",
            "x-hub-signature",
            "x-hub-signature-256",
            "x-ms-token-aad-id-token",
            "cf-access-jwt-assertion",
            "cf-access-client-secret",
            "x-access-key",
            "dpop",
            "x-session-token",
            "x-auth",
            "x-user-password",
        ] {
            assert!(is_credential(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "accept",
            "content-type",
            "idempotency-key",
            "sec-websocket-key",
            "x-request-id",
            "x-author",
            "user-agent",
            "etag",
            "x-tokenizer",
            "surrogate-key",
            "x-tenant-id",
            "server-timing",
        ] {
            assert!(!is_credential(&HeaderName::from_static(name)), "{name}");
        }
    }
}
