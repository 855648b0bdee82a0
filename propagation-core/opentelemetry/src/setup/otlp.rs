//! Exporters to a Collector.

use opentelemetry_otlp::{SpanExporter, WithExportConfig};

use super::{
    SetupError,
    settings::{Otlp, Protocol},
};

pub(super) fn exporter(settings: &Otlp) -> Result<SpanExporter, SetupError> {
    match settings.protocol {
        Protocol::Grpc => grpc(settings),
        #[cfg(feature = "otlp-http")]
        Protocol::HttpProtobuf => http_protobuf(settings),
    }
}

/// A URL for reports: without credentials, query and fragment.
pub(super) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

fn grpc(settings: &Otlp) -> Result<SpanExporter, SetupError> {
    // The channel needs a runtime to connect on, and panics without one.
    if ::tokio::runtime::Handle::try_current().is_err() {
        return Err(SetupError::NoRuntime);
    }
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(&settings.endpoint);
    exporter.with_timeout(settings.timeout).build().map_err(|error| refused(&error, settings))
}

/// Over a client that blocks: batches are exported from a thread of their own, which has no runtime. Which client the exporter would choose
/// by itself depends on what other crates have enabled.
#[cfg(feature = "otlp-http")]
fn http_protobuf(settings: &Otlp) -> Result<SpanExporter, SetupError> {
    use opentelemetry_otlp::WithHttpConfig;

    let timeout = settings.timeout;
    // Such a client can't be made on a thread of a runtime.
    let client = std::thread::spawn(move || reqwest::blocking::Client::builder().timeout(timeout).build()).join();
    let client = client
        .map_err(|_| SetupError::Exporter("the HTTP client could not be made".into()))?
        .map_err(|error| refused(&error, settings))?;
    let exporter = SpanExporter::builder().with_http().with_http_client(client).with_endpoint(&settings.endpoint);
    exporter.with_protocol(opentelemetry_otlp::Protocol::HttpBinary).build().map_err(|error| refused(&error, settings))
}

/// Without the credentials that the URL in the error's text may hold.
fn refused(error: &impl std::error::Error, settings: &Otlp) -> SetupError {
    SetupError::Exporter(error.to_string().replace(&settings.endpoint, &shown(&settings.endpoint)).into())
}
