//! The address of a backend, with headers and certificates.

use std::fmt;
use std::str::FromStr;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Uri, http::uri::Scheme};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::BackendError;

/// The address of a backend's API, with headers and certificate authorities for each request.
///
/// Requests are sent over HTTP/1.1 without a proxy, and do not follow redirects.
///
/// ```
/// use propagation_testkit::backend::{Endpoint, tempo::Tempo};
///
/// let endpoint = Endpoint::new("https://traces.example/tempo")?.with_header("x-scope-orgid", "shop")?;
/// let tempo = Tempo::at(&endpoint)?;
/// # let _ = tempo;
/// # Ok::<(), propagation_testkit::backend::BackendError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Endpoint {
    pub(super) base: String,
    pub(super) https: bool,
    pub(super) headers: HeaderMap,
    pub(super) authorities: Vec<CertificateDer<'static>>,
}

impl Endpoint {
    /// Parses an address such as `https://traces.example:3200/tempo`. A path is put before those of the API.
    ///
    /// # Errors
    /// [`BackendError::Address`]: not an `http://` or `https://` URL, or one with user information or a query.
    pub fn new(address: &str) -> Result<Self, BackendError> {
        let refuse = || BackendError::Address(without_user(address).chars().take(200).collect());
        let uri: Uri = address.parse().map_err(|_| refuse())?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(refuse()),
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(refuse)?;
        if authority.host().is_empty() || uri.query().is_some() {
            return Err(refuse());
        }
        let scheme = if https { "https" } else { "http" };
        let base = format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/'));
        Ok(Self { base, https, headers: HeaderMap::new(), authorities: Vec::new() })
    }

    /// Adds a header to each request, for example `authorization`.
    ///
    /// # Errors
    /// [`BackendError::Header`]: not a valid name or value.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, BackendError> {
        let refuse = || BackendError::Header(name.chars().take(64).collect());
        let header = HeaderName::from_str(name.trim()).map_err(|_| refuse())?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| refuse())?;
        value.set_sensitive(true);
        self.headers.append(header, value);
        Ok(self)
    }

    /// Trusts these certificate authorities besides those of the machine: one or more certificates in PEM.
    ///
    /// # Errors
    /// [`BackendError::Certificate`]: no certificate in PEM.
    pub fn with_ca_certificates(mut self, pem: &[u8]) -> Result<Self, BackendError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.map_err(|error| BackendError::Certificate(format!("invalid PEM: {error}")))?;
        if certificates.is_empty() {
            return Err(BackendError::Certificate("no `BEGIN CERTIFICATE` in the text".to_owned()));
        }
        self.authorities.extend(certificates);
        Ok(self)
    }
}

/// Removes user information, which is a secret, from an address for an error text.
fn without_user(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => address.rsplit_once('@').map_or(address, |(_, host)| host).to_owned(),
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&HeaderName> = self.headers.keys().collect();
        f.debug_struct("Endpoint")
            .field("base", &self.base)
            .field("headers", &headers)
            .field("authorities", &self.authorities.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_with_path_becomes_the_base() {
        for (address, base) in [
            ("http://127.0.0.1:9411", "http://127.0.0.1:9411"),
            ("http://[::1]:9411/", "http://[::1]:9411"),
            ("https://traces.example/tempo/", "https://traces.example/tempo"),
            ("HTTPS://traces.example", "https://traces.example"),
        ] {
            assert_eq!(Endpoint::new(address).expect(address).base, base);
        }
    }

    #[test]
    fn other_addresses_are_rejected_without_showing_secrets() {
        for address in [
            "",
            "traces.example",
            "ftp://a",
            "https://user:hunter2@a/b",
            "http://a/?q=1",
            "https:///a",
            "user:hunter2@a",
        ] {
            let error = Endpoint::new(address).expect_err(address).to_string();
            assert!(error.contains("http:// or https://") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn debug_has_no_header_values() {
        let endpoint = Endpoint::new("http://a").expect("valid").with_header("authorization", "Bearer hunter2");
        let shown = format!("{:?}", endpoint.expect("valid"));
        assert!(shown.contains("authorization") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn invalid_headers_and_certificates_are_rejected() {
        let endpoint = || Endpoint::new("http://a").expect("valid");
        for (name, value) in [("", "a"), ("a b", "c"), ("a", "b\nc")] {
            assert!(matches!(endpoint().with_header(name, value), Err(BackendError::Header(_))), "{name}");
        }
        for pem in [
            "",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(
                matches!(endpoint().with_ca_certificates(pem.as_bytes()), Err(BackendError::Certificate(_))),
                "{pem}"
            );
        }
    }
}
