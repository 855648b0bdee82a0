use std::{str::FromStr, time::Duration};

use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfig, BatchConfigBuilder, ShouldSample, SpanLimits},
};

use super::{StartUpError, sampler};

const SERVICE: &str = "service.name";
const ENVIRONMENT: &str = "deployment.environment.name";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What the variables say, understood.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) disabled: bool,
    /// What the variables choose; `None` where they say nothing.
    pub(super) sampler: Option<Box<dyn ShouldSample>>,
    pub(super) limits: SpanLimits,
    /// Characters of a text in an attribute.
    pub(super) value_limit: Option<usize>,
    pub(super) export: Export,
    attributes: Vec<(String, String)>,
    delay: Option<u64>,
    queue: Option<usize>,
    batch: Option<usize>,
}

#[derive(Debug)]
pub(super) enum Export {
    Otlp(Protocol),
    Console,
    None,
}

/// How OTLP travels, and where to.
#[derive(Debug)]
pub(super) enum Protocol {
    /// Without an endpoint, the exporter's own default.
    Grpc { endpoint: Option<String> },
    #[cfg(feature = "otlp-http")]
    HttpProtobuf { url: String, timeout: Duration },
}

impl Settings {
    pub(super) fn read(look_up: &dyn Fn(&str) -> Option<String>) -> Result<Self, StartUpError> {
        // Empty is as not set (OpenTelemetry's environment variables, "Parsing empty value").
        let read =
            Variables(&|name| look_up(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()));
        let mut attributes = read.attributes()?;
        if let Some(name) = read.get("OTEL_SERVICE_NAME") {
            set(&mut attributes, SERVICE, name);
        }
        Ok(Self {
            disabled: read.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            sampler: sampler::read(read.0)?,
            limits: read.limits()?,
            value_limit: read.value_limit()?,
            export: read.export()?,
            attributes,
            delay: read.number("OTEL_BSP_SCHEDULE_DELAY")?,
            queue: read.number("OTEL_BSP_MAX_QUEUE_SIZE")?,
            batch: read.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?,
        })
    }

    /// The resource: variables first, then what code says, then what the SDK detects.
    pub(super) fn resource(&self, service: &str, environment: Option<&str>) -> Resource {
        let mut attributes = self.attributes.clone();
        for (key, value) in [(SERVICE, Some(service)), (ENVIRONMENT, environment)] {
            if let Some(value) = value
                && !attributes.iter().any(|(known, _)| known == key)
            {
                set(&mut attributes, key, value.to_owned());
            }
        }
        Resource::builder()
            .with_attributes(attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)))
            .build()
    }

    pub(super) fn batches(&self) -> BatchConfig {
        let mut batches = BatchConfigBuilder::default();
        if let Some(delay) = self.delay {
            batches = batches.with_scheduled_delay(Duration::from_millis(delay));
        }
        if let Some(queue) = self.queue {
            batches = batches.with_max_queue_size(queue);
        }
        if let Some(batch) = self.batch {
            batches = batches.with_max_export_batch_size(batch);
        }
        batches.build()
    }
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    /// The first of these that is set, and its name.
    fn first_of<const N: usize>(&self, names: [&'static str; N]) -> Option<(&'static str, String)> {
        names.into_iter().find_map(|name| Some((name, self.get(name)?)))
    }

    /// A whole number above zero.
    fn number<T: FromStr + Default + PartialEq>(&self, name: &'static str) -> Result<Option<T>, StartUpError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.parse() {
            Ok(number) if number != T::default() => Ok(Some(number)),
            _ => Err(refused(name, "is not a whole number above zero")),
        }
    }

    /// A whole number, zero included.
    fn count<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, StartUpError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| refused(name, "is not a whole number"))
    }

    /// `key=value,…`, percent-encoded; a list with an error in it is refused as a whole, as the specification asks.
    fn attributes(&self) -> Result<Vec<(String, String)>, StartUpError> {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let mut attributes = Vec::new();
        let list = self.get(NAME).unwrap_or_default();
        for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(refused(NAME, "has a member without '='"))?;
            let key = decode(key);
            if key.is_empty() {
                return Err(refused(NAME, "has a member without a key"));
            }
            set(&mut attributes, &key, decode(value).into_owned());
        }
        Ok(attributes)
    }

    fn limits(&self) -> Result<SpanLimits, StartUpError> {
        let mut limits = SpanLimits::default();
        let general = self.count("OTEL_ATTRIBUTE_COUNT_LIMIT")?;
        if let Some(count) = self.count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")?.or(general) {
            limits.max_attributes_per_span = count;
        }
        if let Some(count) = self.count("OTEL_SPAN_EVENT_COUNT_LIMIT")? {
            limits.max_events_per_span = count;
        }
        if let Some(count) = self.count("OTEL_SPAN_LINK_COUNT_LIMIT")? {
            limits.max_links_per_span = count;
        }
        if let Some(count) = self.count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT")?.or(general) {
            limits.max_attributes_per_event = count;
        }
        if let Some(count) = self.count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT")?.or(general) {
            limits.max_attributes_per_link = count;
        }
        Ok(limits)
    }

    fn value_limit(&self) -> Result<Option<usize>, StartUpError> {
        let general = self.count("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")?;
        Ok(self.count("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")?.or(general))
    }

    fn export(&self) -> Result<Export, StartUpError> {
        const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
        match self.get(EXPORTER).as_deref() {
            None | Some("otlp") => {}
            Some("console") => return Ok(Export::Console),
            Some("none") => return Ok(Export::None),
            Some(_) => return Err(refused(EXPORTER, "is none of 'otlp', 'console' and 'none'")),
        }
        // What is said of traces goes before what is said of all signals.
        let said = self.first_of(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]);
        match said.as_ref().map(|(name, protocol)| (*name, protocol.as_str())) {
            None | Some((_, "grpc")) => {
                Ok(Export::Otlp(Protocol::Grpc { endpoint: self.endpoint()?.map(|(_, endpoint)| endpoint) }))
            }
            #[cfg(feature = "otlp-http")]
            Some((_, "http/protobuf")) => {
                let (url, timeout) = (self.traces_url()?, self.timeout()?);
                Ok(Export::Otlp(Protocol::HttpProtobuf { url, timeout }))
            }
            #[cfg(not(feature = "otlp-http"))]
            Some((name, "http/protobuf")) => {
                Err(refused(name, "is 'http/protobuf', for which the feature `otlp-http` is not enabled"))
            }
            Some((name, _)) => Err(refused(name, "is neither 'grpc' nor 'http/protobuf'")),
        }
    }

    /// Where to export to, and the variable that says so.
    fn endpoint(&self) -> Result<Option<(&'static str, String)>, StartUpError> {
        let Some((name, endpoint)) = self.first_of([TRACES_ENDPOINT, ENDPOINT]) else { return Ok(None) };
        // What has no scheme or no host would be found out only at the first export, and said nowhere.
        let host = ["http://", "https://"].into_iter().find_map(|scheme| endpoint.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.starts_with(['/', ':', '?', '#'])) {
            return Err(refused(name, "is no URL: http:// or https://, a host, and a port"));
        }
        Ok(Some((name, endpoint)))
    }

    /// How long an export may take; the exporter looks at it only where it makes its own client.
    #[cfg(feature = "otlp-http")]
    fn timeout(&self) -> Result<Duration, StartUpError> {
        let of_traces = self.number("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")?;
        let milliseconds = of_traces.or(self.number("OTEL_EXPORTER_OTLP_TIMEOUT")?);
        Ok(Duration::from_millis(milliseconds.unwrap_or(10_000)))
    }

    /// The URL of traces: as it is said of them, or below what is said of all signals (OTLP exporter, "Endpoint URLs for OTLP/HTTP").
    #[cfg(feature = "otlp-http")]
    fn traces_url(&self) -> Result<String, StartUpError> {
        Ok(match self.endpoint()? {
            Some((TRACES_ENDPOINT, url)) => url,
            Some((_, base)) => format!("{}/v1/traces", base.trim_end_matches('/')),
            None => "http://localhost:4318/v1/traces".to_owned(),
        })
    }
}

pub(super) fn refused(name: &'static str, problem: &'static str) -> StartUpError {
    StartUpError::Variable { name, problem }
}

fn set(attributes: &mut Vec<(String, String)>, key: &str, value: String) {
    attributes.retain(|(known, _)| known != key);
    attributes.push((key.to_owned(), value));
}

/// Decodes percent-encoding, without the white space around.
fn decode(text: &str) -> std::borrow::Cow<'_, str> {
    percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy()
}
