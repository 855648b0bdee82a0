//! TLS of the exporters: certificates and keys from the files that variables name.

use std::fmt;

use opentelemetry_otlp::WithTonicConfig;

use super::{
    SetupError,
    signal::Signal,
    variables::{Variables, refused},
};

/// Certificates and keys, as PEM.
#[derive(Default)]
pub(super) struct Tls {
    #[cfg(feature = "tls")]
    roots: Option<Vec<u8>>,
    #[cfg(feature = "tls")]
    identity: Option<Identity>,
}

/// The certificate and the key of the client.
#[cfg(feature = "tls")]
struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CLIENT_KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
const CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";

/// Reports files for an exporter over HTTP: its client, reqwest, has the TLS of its own features.
#[cfg(feature = "otlp-http")]
pub(super) fn ignore_files(read: &Variables<'_>, signal: &Signal) -> Result<(), SetupError> {
    for name in [signal.certificate, signal.client_key, signal.client_certificate] {
        read.first_of([name, general(name, signal)], |name, _| {
            Err::<(), _>(refused(
                name,
                "is read for OTLP over gRPC alone; over HTTP, the roots of the system are trusted",
            ))
        })?;
    }
    Ok(())
}

/// Reads the files that the variables name.
pub(super) fn read(read: &Variables<'_>, signal: &Signal) -> Result<Tls, SetupError> {
    let file = |name| read.first_of([name, general(name, signal)], pem);
    let roots = file(signal.certificate)?;
    let (key, certificate) = (file(signal.client_key)?, file(signal.client_certificate)?);
    #[cfg(feature = "tls")]
    {
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                read.ignore(refused(CLIENT_CERTIFICATE, "is set without OTEL_EXPORTER_OTLP_CLIENT_KEY"))?;
                None
            }
            (None, Some(_)) => {
                read.ignore(refused(CLIENT_KEY, "is set without OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"))?;
                None
            }
        };
        Ok(Tls { roots, identity })
    }
    #[cfg(not(feature = "tls"))]
    {
        let _: [Option<Vec<u8>>; 3] = [roots, key, certificate];
        Ok(Tls::default())
    }
}

/// Returns the variable of all signals for one of a signal.
fn general(name: &str, signal: &Signal) -> &'static str {
    if name == signal.certificate {
        CERTIFICATE
    } else if name == signal.client_key {
        CLIENT_KEY
    } else {
        CLIENT_CERTIFICATE
    }
}

#[cfg(feature = "tls")]
fn pem(name: &'static str, path: &str) -> Result<Vec<u8>, SetupError> {
    let text = std::fs::read(path).map_err(|_| refused(name, "names a file that cannot be read"))?;
    if text.windows(11).any(|part| part == b"-----BEGIN ") {
        Ok(text)
    } else {
        Err(refused(name, "names a file that is not PEM"))
    }
}

#[cfg(not(feature = "tls"))]
fn pem(name: &'static str, _: &str) -> Result<Vec<u8>, SetupError> {
    Err(refused(name, "names a file for TLS, for which the feature `tls` is not enabled"))
}

impl Tls {
    /// Configures TLS of an exporter over gRPC, if its endpoint uses it.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self, reason = "nothing to configure"))]
    pub(super) fn grpc<B: WithTonicConfig>(&self, builder: B, endpoint: &str) -> B {
        #[cfg(feature = "tls")]
        if is_https(endpoint) {
            use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};

            let mut config = ClientTlsConfig::new();
            config = match &self.roots {
                Some(roots) => config.ca_certificate(Certificate::from_pem(roots)),
                None => config.with_enabled_roots(),
            };
            if let Some(identity) = &self.identity {
                config = config.identity(Identity::from_pem(&identity.certificate, &identity.key));
            }
            return builder.with_tls_config(config);
        }
        let _ = endpoint;
        builder
    }
}

#[cfg(feature = "tls")]
fn is_https(endpoint: &str) -> bool {
    endpoint.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}
