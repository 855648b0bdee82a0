use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    Resource,
    resource::{ResourceDetector, SdkProvidedResourceDetector, TelemetryResourceDetector},
    trace::{BatchConfig, BatchConfigBuilder, ShouldSample, SpanLimits},
};

use super::{
    SetupError, sampler,
    variables::{Variables, positive, refused},
};
use propagation_core::{
    Formats,
    semconv::{self, SemanticConventions},
};

const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const QUEUE_SIZE: usize = 2_048;
const BATCH_SIZE: usize = 512;

/// The values of the variables, parsed.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) disabled: bool,
    pub(super) formats: Formats,
    /// `None` where the variables choose none.
    pub(super) sampler: Option<Box<dyn ShouldSample>>,
    pub(super) limits: SpanLimits,
    /// Characters of a text in an attribute.
    pub(super) value_limit: Option<usize>,
    pub(super) exports: Vec<Export>,
    attributes: Vec<(String, String)>,
    delay: Option<u64>,
    queue: Option<usize>,
    batch: Option<usize>,
}

#[derive(Debug)]
pub(super) enum Export {
    Otlp(Otlp),
    Console,
}

/// The settings of an OTLP exporter.
#[derive(Debug)]
pub(super) struct Otlp {
    pub(super) protocol: Protocol,
    pub(super) endpoint: String,
    pub(super) timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    #[cfg(feature = "otlp-http")]
    HttpProtobuf,
}

impl Settings {
    pub(super) fn read(read: &Variables<'_>) -> Result<Self, SetupError> {
        let mut attributes = read.accept(attributes(read))?;
        if let Some(name) = read.get("OTEL_SERVICE_NAME") {
            set(&mut attributes, semconv::SERVICE_NAME, name);
        }
        // Read by the propagator itself; here for the warning.
        read.is_true("PROPAGATION_DISABLED")?;
        read.first_of([SemanticConventions::VARIABLE], opt_in)?;
        let queue = read.number("OTEL_BSP_MAX_QUEUE_SIZE")?;
        let most = queue.unwrap_or(QUEUE_SIZE);
        let batch = read.first_of([BATCH], |name, value| match positive(name, value)? {
            batch if batch > most => Err(refused(name, "is larger than the queue (OTEL_BSP_MAX_QUEUE_SIZE)")),
            batch => Ok(batch),
        })?;
        Ok(Self {
            disabled: read.is_true("OTEL_SDK_DISABLED")?,
            formats: read.formats()?,
            sampler: sampler::read(read)?,
            limits: limits(read)?,
            value_limit: value_limit(read)?,
            exports: exports(read)?,
            attributes,
            delay: read.number("OTEL_BSP_SCHEDULE_DELAY")?,
            queue,
            batch,
        })
    }

    /// The resource: variables first, then the values given in code, then those that the SDK detects. The SDK's own detector of
    /// variables is left out: it reads a list that was refused.
    pub(super) fn resource(&self, service: &str, environment: Option<&str>) -> Resource {
        let mut attributes = self.attributes.clone();
        for (key, value) in
            [(semconv::SERVICE_NAME, Some(service)), (semconv::DEPLOYMENT_ENVIRONMENT_NAME, environment)]
        {
            if let Some(value) = value
                && !attributes.iter().any(|(known, _)| known == key)
            {
                set(&mut attributes, key, value.to_owned());
            }
        }
        let detectors: [Box<dyn ResourceDetector>; 2] =
            [Box::new(SdkProvidedResourceDetector), Box::new(TelemetryResourceDetector)];
        Resource::builder_empty()
            .with_detectors(&detectors)
            .with_attributes(attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)))
            .build()
    }

    /// How many spans can wait for their export, those of a batch under way included.
    pub(super) fn capacity(&self) -> u64 {
        let waiting = self.queue.unwrap_or(QUEUE_SIZE).saturating_add(self.batch.unwrap_or(BATCH_SIZE));
        u64::try_from(waiting).unwrap_or(u64::MAX)
    }

    /// All values are given, as the SDK's builder takes those that are not from the environment, a queue of size zero included.
    pub(super) fn batches(&self) -> BatchConfig {
        BatchConfigBuilder::default()
            .with_scheduled_delay(Duration::from_millis(self.delay.unwrap_or(5_000)))
            .with_max_queue_size(self.queue.unwrap_or(QUEUE_SIZE))
            .with_max_export_batch_size(self.batch.unwrap_or(BATCH_SIZE))
            .build()
    }
}

/// `key=value,…`, percent-encoded. A list with an error in it is refused as a whole, as the specification asks.
fn attributes(read: &Variables<'_>) -> Result<Vec<(String, String)>, SetupError> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let mut attributes = Vec::new();
    let list = read.get(NAME).unwrap_or_default();
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

fn limits(read: &Variables<'_>) -> Result<SpanLimits, SetupError> {
    let mut limits = SpanLimits::default();
    let general = read.count("OTEL_ATTRIBUTE_COUNT_LIMIT")?;
    if let Some(count) = read.count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")?.or(general) {
        limits.max_attributes_per_span = count;
    }
    if let Some(count) = read.count("OTEL_SPAN_EVENT_COUNT_LIMIT")? {
        limits.max_events_per_span = count;
    }
    if let Some(count) = read.count("OTEL_SPAN_LINK_COUNT_LIMIT")? {
        limits.max_links_per_span = count;
    }
    if let Some(count) = read.count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT")?.or(general) {
        limits.max_attributes_per_event = count;
    }
    if let Some(count) = read.count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT")?.or(general) {
        limits.max_attributes_per_link = count;
    }
    Ok(limits)
}

fn value_limit(read: &Variables<'_>) -> Result<Option<usize>, SetupError> {
    let general = read.count("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")?;
    Ok(read.count("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")?.or(general))
}

/// The exporters that `OTEL_TRACES_EXPORTER` lists, without unknown names; OTLP where none is left.
fn exports(read: &Variables<'_>) -> Result<Vec<Export>, SetupError> {
    const NAME: &str = "OTEL_TRACES_EXPORTER";
    let list = read.lower_case(NAME).unwrap_or_default();
    let (mut otlp, mut console, mut none) = (false, false, false);
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "otlp" => otlp = true,
            "console" => console = true,
            "none" => none = true,
            _ => read.ignore(refused(NAME, "names an exporter that is none of 'otlp', 'console' and 'none'"))?,
        }
    }
    if none && (otlp || console) {
        read.ignore(refused(NAME, "names 'none' beside other exporters"))?;
    } else if none {
        return Ok(Vec::new());
    }
    let mut exports = Vec::new();
    if otlp || !console {
        exports.push(Export::Otlp(self::otlp(read)?));
    }
    if console {
        exports.push(Export::Console);
    }
    Ok(exports)
}

fn otlp(read: &Variables<'_>) -> Result<Otlp, SetupError> {
    // A variable of traces goes before the one of all signals.
    let protocol = read
        .first_of(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"], |name, value| {
            protocol(read, name, &value.to_ascii_lowercase())
        })?;
    let protocol = protocol.unwrap_or(Protocol::Grpc);
    let timeout = read.first_of(["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"], positive)?;
    // The exporter reads them from the environment, and leaves out malformed members.
    read.first_of(["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"], headers)?;
    let timeout = Duration::from_millis(timeout.unwrap_or(10_000));
    Ok(Otlp { protocol, endpoint: endpoint(read, protocol)?, timeout })
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

/// Checks `key=value,…`, percent-encoded.
fn headers(name: &'static str, list: &str) -> Result<(), SetupError> {
    let is_token = |key: &str| {
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let mut members = list.split(',').map(str::trim).filter(|member| !member.is_empty());
    let valid = members.all(|member| {
        member
            .split_once('=')
            .is_some_and(|(key, value)| is_token(key.trim()) && !decode(value).contains(char::is_control))
    });
    if valid { Ok(()) } else { Err(refused(name, "has a member that is no 'key=value'; the exporter leaves it out")) }
}

/// The URL to export to. Over HTTP, `/v1/traces` is added to the one of all signals (OTLP exporter, "Endpoint URLs for OTLP/HTTP").
fn endpoint(read: &Variables<'_>, protocol: Protocol) -> Result<String, SetupError> {
    const INSECURE: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"];
    let insecure = read.first_of(INSECURE, |name, value| match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(refused(name, "is neither 'true' nor 'false'")),
    })?;
    let endpoint = read.first_of([TRACES_ENDPOINT, ENDPOINT], |name, endpoint| {
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
            return Err(refused(name, "is no URL: it needs http:// or https://, a host and a port"));
        }
        Ok((name, endpoint))
    })?;
    Ok(match (protocol, endpoint) {
        (Protocol::Grpc, Some((_, endpoint))) => endpoint,
        (Protocol::Grpc, None) => "http://localhost:4317".to_owned(),
        #[cfg(feature = "otlp-http")]
        (Protocol::HttpProtobuf, Some((TRACES_ENDPOINT, url))) => url,
        #[cfg(feature = "otlp-http")]
        (Protocol::HttpProtobuf, Some((_, base))) => format!("{}/v1/traces", base.trim_end_matches('/')),
        #[cfg(feature = "otlp-http")]
        (Protocol::HttpProtobuf, None) => "http://localhost:4318/v1/traces".to_owned(),
    })
}

/// Checks the values for RPC and messaging. Values for other areas are meant for other libraries.
fn opt_in(name: &'static str, list: &str) -> Result<(), SetupError> {
    let is_known = |value: &str| {
        let (area, suffix) = value.split_once('/').unwrap_or((value, ""));
        !matches!(area, "rpc" | "messaging") || matches!(suffix, "" | "dup" | "old")
    };
    let list = list.to_ascii_lowercase();
    if list.split(',').map(str::trim).all(is_known) {
        Ok(())
    } else {
        Err(refused(name, "has a value of 'rpc' or 'messaging' other than these, with '/dup' or with '/old'"))
    }
}

fn set(attributes: &mut Vec<(String, String)>, key: &str, value: String) {
    attributes.retain(|(known, _)| known != key);
    attributes.push((key.to_owned(), value));
}

/// Decodes percent-encoding, without the white space around.
fn decode(text: &str) -> std::borrow::Cow<'_, str> {
    percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy()
}
