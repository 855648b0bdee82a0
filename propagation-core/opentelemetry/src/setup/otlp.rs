//! Exporters to a Collector.

use opentelemetry_otlp::{SpanExporter, WithExportConfig};

use super::{StartUpError, settings::Protocol};

pub(super) fn exporter(protocol: &Protocol) -> Result<SpanExporter, StartUpError> {
    match protocol {
        Protocol::Grpc { endpoint } => grpc(endpoint.as_deref()),
        #[cfg(feature = "otlp-http")]
        Protocol::HttpProtobuf { url, timeout } => http_protobuf(url, *timeout),
    }
}

fn grpc(endpoint: Option<&str>) -> Result<SpanExporter, StartUpError> {
    // The channel needs a runtime to connect on, and panics without one.
    if ::tokio::runtime::Handle::try_current().is_err() {
        return Err(StartUpError::NoRuntime);
    }
    let mut exporter = SpanExporter::builder().with_tonic();
    if let Some(endpoint) = endpoint {
        exporter = exporter.with_endpoint(endpoint);
    }
    exporter.build().map_err(refused)
}

/// Over a client that blocks: batches are exported from a thread of their own, which has no runtime. Which client the exporter would choose
/// by itself depends on what other crates have enabled.
#[cfg(feature = "otlp-http")]
fn http_protobuf(url: &str, timeout: std::time::Duration) -> Result<SpanExporter, StartUpError> {
    use opentelemetry_otlp::WithHttpConfig;

    // Such a client can't be made on a thread of a runtime.
    let client = std::thread::spawn(move || reqwest::blocking::Client::builder().timeout(timeout).build()).join();
    let client =
        client.map_err(|_| StartUpError::Exporter("the HTTP client could not be made".into()))?.map_err(refused)?;
    let exporter = SpanExporter::builder().with_http().with_http_client(client).with_endpoint(url);
    exporter.with_protocol(opentelemetry_otlp::Protocol::HttpBinary).build().map_err(refused)
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> StartUpError {
    StartUpError::Exporter(Box::new(error))
}
