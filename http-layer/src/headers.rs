//! Headers as attributes.

use http::{HeaderMap, HeaderName};
use propagation_core::{Attribute, ExternalText, Policy};

/// The headers that are recorded, of requests and of responses.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordedHeaders {
    pub(crate) request: Vec<HeaderName>,
    pub(crate) response: Vec<HeaderName>,
    /// Headers that hold credentials, beside those that always count as such.
    pub(crate) credentials: Vec<HeaderName>,
}

impl RecordedHeaders {
    pub(crate) fn of_request(&self, out: &mut Vec<Attribute>, headers: &HeaderMap, policy: &Policy) {
        self.record(out, "http.request.header", &self.request, headers, policy);
    }

    pub(crate) fn of_response(&self, out: &mut Vec<Attribute>, headers: &HeaderMap, policy: &Policy) {
        self.record(out, "http.response.header", &self.response, headers, policy);
    }

    /// Adds the listed headers, as far as telemetry may show them. Credentials never are, listed or not, nor are values that are marked as
    /// sensitive.
    fn record(
        &self,
        out: &mut Vec<Attribute>,
        prefix: &str,
        listed: &[HeaderName],
        headers: &HeaderMap,
        policy: &Policy,
    ) {
        for name in listed.iter().filter(|name| !self.credentials.contains(name) && !is_credential(name)) {
            // The guard records no more of them: each counts for 16 bytes at least.
            let most = policy.telemetry_limits().value / 16 + 1;
            let values: Vec<ExternalText> = headers
                .get_all(name)
                .iter()
                .filter(|value| !value.is_sensitive())
                .take(most)
                .map(|value| ExternalText::from_bytes(value.as_bytes()).with_key_hint(name.as_str()))
                .collect();
            if !values.is_empty() {
                out.push(Attribute::new(format!("{prefix}.{name}"), values));
            }
        }
    }
}

/// Names of headers that hold credentials, where no word of the name tells.
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

/// Words that tell of a credential wherever they are in a header's name.
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

/// Whether a header holds credentials: by its name, or by a word of it (`x-vault-token`, `x-api-key`, `private-token`).
fn is_credential(name: &HeaderName) -> bool {
    let name = name.as_str();
    let words = || name.split(['-', '_', '.']);
    CREDENTIALS.contains(&name)
        || words().any(|word| WORDS.contains(&word))
        // `x-api-key`, `ocp-apim-subscription-key`, `x-functions-key`; but not `idempotency-key` or `sec-websocket-key`.
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
