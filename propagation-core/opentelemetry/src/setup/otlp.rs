//! OTLP: the settings of a signal's exporter, and the exporters.

use std::time::Duration;

use opentelemetry_otlp::{WithExportConfig, WithTonicConfig, tonic_types::metadata::MetadataMap};

use super::{
    SetupError,
    signal::Signal,
    tls::{self, Tls},
    variables::{Variables, decode, positive, refused},
};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The settings of an OTLP exporter.
#[derive(Debug)]
pub(super) struct Otlp {
    pub(super) protocol: Protocol,
    pub(super) endpoint: String,
    timeout: Duration,
    headers: http::HeaderMap,
    tls: Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    #[cfg(feature = "otlp-http")]
    HttpProtobuf,
}

impl Otlp {
    /// Reads the variables of a signal. Each goes before the one of all signals.
    pub(super) fn read(read: &Variables<'_>, signal: &Signal) -> Result<Self, SetupError> {
        let protocol = read.first_of([signal.protocol, "OTEL_EXPORTER_OTLP_PROTOCOL"], |name, value| {
            protocol(read, name, &value.to_ascii_lowercase())
        })?;
        let protocol = protocol.unwrap_or(Protocol::Grpc);
        let timeout = read.first_of([signal.timeout, "OTEL_EXPORTER_OTLP_TIMEOUT"], positive)?;
        let headers = read.first_of([signal.headers, "OTEL_EXPORTER_OTLP_HEADERS"], headers)?;
        Ok(Self {
            protocol,
            endpoint: endpoint(read, protocol, signal)?,
            timeout: Duration::from_millis(timeout.unwrap_or(10_000)),
            headers: headers.unwrap_or_default(),
            tls: match protocol {
                Protocol::Grpc => tls::read(read, signal)?,
                #[cfg(feature = "otlp-http")]
                Protocol::HttpProtobuf => {
                    tls::ignore_files(read, signal)?;
                    Tls::default()
                }
            },
        })
    }

    /// Returns the URL for reports: without credentials, query and fragment.
    pub(super) fn shown(&self) -> String {
        shown(&self.endpoint)
    }

    /// Builds the exporter of spans.
    pub(super) fn spans(&self) -> Result<opentelemetry_otlp::SpanExporter, SetupError> {
        let builder = opentelemetry_otlp::SpanExporter::builder();
        match self.protocol {
            Protocol::Grpc => self.grpc(builder.with_tonic())?.build(),
            #[cfg(feature = "otlp-http")]
            Protocol::HttpProtobuf => self.http(builder.with_http())?.build(),
        }
        .map_err(|error| self.refused(&error))
    }

    /// Builds the exporter of metrics.
    #[cfg(feature = "metrics")]
    pub(super) fn metrics(
        &self,
        temporality: opentelemetry_sdk::metrics::Temporality,
    ) -> Result<opentelemetry_otlp::MetricExporter, SetupError> {
        let builder = opentelemetry_otlp::MetricExporter::builder().with_temporality(temporality);
        match self.protocol {
            Protocol::Grpc => self.grpc(builder.with_tonic())?.build(),
            #[cfg(feature = "otlp-http")]
            Protocol::HttpProtobuf => self.http(builder.with_http())?.build(),
        }
        .map_err(|error| self.refused(&error))
    }

    /// Builds the exporter of log records.
    #[cfg(feature = "logs")]
    pub(super) fn logs(&self) -> Result<opentelemetry_otlp::LogExporter, SetupError> {
        let builder = opentelemetry_otlp::LogExporter::builder();
        match self.protocol {
            Protocol::Grpc => self.grpc(builder.with_tonic())?.build(),
            #[cfg(feature = "otlp-http")]
            Protocol::HttpProtobuf => self.http(builder.with_http())?.build(),
        }
        .map_err(|error| self.refused(&error))
    }

    fn grpc<B: WithExportConfig + WithTonicConfig>(&self, builder: B) -> Result<B, SetupError> {
        // The channel needs a runtime to connect on, and panics without one.
        if ::tokio::runtime::Handle::try_current().is_err() {
            return Err(SetupError::NoRuntime);
        }
        let builder = builder
            .with_endpoint(&self.endpoint)
            .with_timeout(self.timeout)
            .with_metadata(MetadataMap::from_headers(self.headers.clone()));
        Ok(self.tls.grpc(builder, &self.endpoint))
    }

    /// Over a client that blocks: batches are exported from a thread of their own, which has no runtime. Which client the exporter would choose
    /// by itself depends on the features that other crates have enabled.
    #[cfg(feature = "otlp-http")]
    fn http<B: WithExportConfig + opentelemetry_otlp::WithHttpConfig>(&self, builder: B) -> Result<B, SetupError> {
        let client = reqwest::blocking::Client::builder().timeout(self.timeout);
        // Such a client can't be made on a thread of a runtime.
        let client = std::thread::spawn(move || client.build()).join();
        let client = client
            .map_err(|_| SetupError::Exporter("the HTTP client could not be made".into()))?
            .map_err(|error| self.refused(&error))?;
        let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
        let headers = self.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        Ok(builder
            .with_http_client(client)
            .with_headers(headers.collect())
            .with_endpoint(&self.endpoint)
            .with_timeout(self.timeout)
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary))
    }

    /// Removes the credentials that the URL in the error's text may hold.
    fn refused(&self, error: &dyn std::error::Error) -> SetupError {
        SetupError::Exporter(error.to_string().replace(&self.endpoint, &self.shown()).into())
    }
}

/// Returns a URL without credentials, query and fragment.
pub(super) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

fn protocol(read: &Variables<'_>, name: &'static str, value: &str) -> Result<Protocol, SetupError> {
    match value {
        "grpc" => Ok(Protocol::Grpc),
        #[cfg(feature = "otlp-http")]
        "http/protobuf" => Ok(Protocol::HttpProtobuf),
        // A receiver of OTLP over HTTP takes both on one port (OTLP, "OTLP/HTTP").
        #[cfg(feature = "otlp-http")]
        "http/json" => {
            read.ignore(refused(name, "is 'http/json', for which 'http/protobuf' is used"))?;
            Ok(Protocol::HttpProtobuf)
        }
        #[cfg(not(feature = "otlp-http"))]
        "http/protobuf" | "http/json" => {
            let _ = read;
            Err(refused(name, "asks for HTTP, for which the feature `otlp-http` is not enabled"))
        }
        _ => Err(refused(name, "is neither 'grpc' nor 'http/protobuf'")),
    }
}

/// Parses `key=value,…`, percent-encoded. A list with a malformed member is rejected.
fn headers(name: &'static str, list: &str) -> Result<http::HeaderMap, SetupError> {
    let malformed =
        || refused(name, "has a member that is not 'key=value', percent-encoded, with a header's name as key");
    let mut headers = http::HeaderMap::new();
    for member in list.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        let (key, value) = member.split_once('=').ok_or_else(malformed)?;
        let key = http::HeaderName::try_from(key.trim()).map_err(|_| malformed())?;
        let mut value = http::HeaderValue::try_from(&*decode(value)).map_err(|_| malformed())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Returns the URL to export to. Over HTTP, the signal's path is added to the one of all signals (OTLP exporter, "Endpoint URLs for
/// OTLP/HTTP").
fn endpoint(read: &Variables<'_>, protocol: Protocol, signal: &Signal) -> Result<String, SetupError> {
    let insecure = read.first_of([signal.insecure, "OTEL_EXPORTER_OTLP_INSECURE"], |name, value| {
        match value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(refused(name, "is neither 'true' nor 'false'")),
        }
    })?;
    let endpoint = read.first_of([signal.endpoint, ENDPOINT], |name, endpoint| {
        let mut endpoint = endpoint.to_owned();
        // Without a scheme, the variable for it decides, over gRPC (OTLP exporter, "Insecure").
        if let Some(insecure) = insecure
            && protocol == Protocol::Grpc
            && !endpoint.contains("://")
        {
            endpoint.insert_str(0, if insecure { "http://" } else { "https://" });
        }
        let host = |scheme: &str| {
            let (given, rest) = endpoint.split_at_checked(scheme.len())?;
            given.eq_ignore_ascii_case(scheme).then_some(rest)
        };
        let host = ["http://", "https://"].into_iter().find_map(host);
        if host.is_none_or(|host| host.is_empty() || host.starts_with(['/', ':', '?', '#'])) {
            return Err(refused(name, "is not a URL: it needs http:// or https://, a host and a port"));
        }
        Ok((name, endpoint))
    })?;
    Ok(match (protocol, endpoint) {
        (Protocol::Grpc, Some((_, endpoint))) => endpoint,
        (Protocol::Grpc, None) => "http://localhost:4317".to_owned(),
        #[cfg(feature = "otlp-http")]
        (Protocol::HttpProtobuf, Some((ENDPOINT, base))) => format!("{}{}", base.trim_end_matches('/'), signal.path),
        #[cfg(feature = "otlp-http")]
        (Protocol::HttpProtobuf, Some((_, url))) => url,
        #[cfg(feature = "otlp-http")]
        (Protocol::HttpProtobuf, None) => format!("http://localhost:4318{}", signal.path),
    })
}
